"""One frame of a long video, for a person who waits for it: by seeking, and in one pass where a file cannot be sought.

A build never seeks: it needs many frames, and their numbers must not depend on a container's index. Here a frame is
known by the time that demuxing gave it, so what is shown is the frame of that number, or the slow way is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av.error
from av.video.reformatter import VideoReformatter

from ..core.errors import MediaError
from .decode import DecodeBreak, VideoIndex, decode
from .opening import open_video
from .orientation import orientation_of, upright

if TYPE_CHECKING:
    from ..core.types import RGB

_BACK_S = (0.0, 2.0, 12.0)
"""How far before a frame to look for a key frame: a transport stream has no index, and seeking in it lands anywhere."""

_SLACK = 0.25
"""How far, in times between two neighbours, a frame's time may lie from the one that is sought."""


def frame_at(path: Path, number: int, index: VideoIndex, threads: int = 0) -> RGB:
    """Frame `number` of a video, from 0 in presentation order, upright, uint8 RGB (H, W, 3).

    Args:
        index: of the same file (`index_video`).
        threads: of the decoder; 0: its own choice.
    Raises:
        MediaError: it cannot be decoded.
    """
    if not 0 <= number < index.info.n_frames:
        raise MediaError(f"{path.name} has no frame {number}: it holds {index.info.n_frames}")
    found = _sought(path, number, index, threads)
    if found is not None:
        return found
    try:
        for frame in decode(path, {number}, number + 1, index, threads):
            return frame.rgb
    except DecodeBreak as exc:
        raise MediaError(f"{path.name}: {exc}") from exc
    raise MediaError(f"{path.name}: frame {number} was not decoded")


def _sought(path: Path, number: int, index: VideoIndex, threads: int) -> RGB | None:
    """The frame, by seeking to the key frame before it; None where times do not tell which frame is which."""
    if index.first_s is None:
        return None
    own = float(index.times_s[number])
    gaps = [abs(float(index.times_s[i]) - own) for i in (number - 1, number + 1) if 0 <= i < len(index.times_s)]
    slack_s = min(gaps, default=1.0) * _SLACK
    if slack_s <= 0:
        return None  # two frames of one time
    wanted_s = index.first_s + own
    for back_s in _BACK_S:
        with open_video(path) as (container, stream):
            stream.codec_context.thread_count = threads
            try:
                found = _near(container, stream, wanted_s, slack_s, back_s)
            except av.error.FFmpegError:
                return None
        if found is not None:
            return found
    return None


def _near(container: Any, stream: Any, wanted_s: float, slack_s: float, back_s: float) -> RGB | None:
    """The frame shown at `wanted_s`, decoding from `back_s` before it.

    None where decoding began after it, or without a key frame before it: a picture would then lack what it is made of.
    """
    container.seek(int((wanted_s - slack_s - back_s) / float(stream.time_base)), stream=stream, backward=True)
    whole = False
    for frame in container.decode(stream):
        if frame.pts is None:
            return None
        whole = whole or bool(frame.key_frame)
        time_s = float(frame.pts * stream.time_base)
        if time_s > wanted_s + slack_s:
            return None
        if whole and abs(time_s - wanted_s) <= slack_s:
            rgb: RGB = VideoReformatter().reformat(frame, format="rgb24").to_ndarray()  # type: ignore[assignment]
            return upright(rgb, orientation_of(frame))
    return None
