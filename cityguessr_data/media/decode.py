"""Counts and decodes the frames of one local video file, in one sequential pass each.

`index_video` demuxes only: it tells how many frames there are and when they are shown, which fixes the clips. `decode`
then decodes from the start and converts only the wanted frames to RGB: a seek per frame costs twelve times as much.
What a file may ask for is bounded (limits.py), and so is what it may lead to (opening.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av.error
import numpy as np
from av.video.reformatter import VideoReformatter

from ..core.errors import MediaError
from ..core.types import MediaInfo
from .limits import MAX_DURATION_S, MAX_FRAMES, MOST_PX
from .opening import open_container, open_video, packets_of, reason, video_stream
from .orientation import displayed_size, orientation_of, upright

if TYPE_CHECKING:
    from ..core.types import RGB

_TOLERANCE_S = 1e-6
_USUAL_RATE, _HIGHEST_RATE = 25.0, 1e6
"""Of frames a second: what is taken where a file tells none, and where it is no longer believed."""
_MOST_SHOWN = 8
"""How often a file's bytes may be read: an edit list may show a part again. Packets of 1 byte fill a small file's
tables with millions of frames all the same."""
_TELLS_SHOWING = ("mov", "matroska", "mpegts", "flv")
"""Containers whose packets say when they are shown. Elsewhere ffmpeg works it out, for an AVI with B-frames wrongly."""


@dataclass(frozen=True)
class VideoIndex:
    """When every frame of a video is shown, from demuxing alone."""

    info: MediaInfo
    times_s: np.ndarray[Any, np.dtype[np.float64]]
    """(n_frames,) float64, ascending, seconds from the first frame."""
    fault: str | None = None
    """What demuxing found wrong, e.g. that the file ends before its header says; the frames before it are good."""
    first_s: float | None = None
    """When the first frame is shown by the file's own clock; None where packets do not say when they are shown."""

    def frame_at(self, time_s: float) -> int:
        """The first frame shown at or after `time_s`; n_frames when there is none."""
        return bisect_left(self.times_s, time_s - _TOLERANCE_S)

    def time_of(self, frame: int) -> float:
        """When a frame is shown; the video's duration for the frame after the last."""
        return float(self.times_s[frame]) if frame < len(self.times_s) else self.info.duration_s


@dataclass(frozen=True)
class DecodedFrame:
    """One frame of the source: its number from 0 in presentation order, its time from the first frame, its pixels."""

    index: int
    time_s: float
    rgb: RGB


def index_video(path: Path, alive: Callable[[], None] = lambda: None) -> VideoIndex:
    """Demux `path` and count the video packets that will be shown.

    Not counted are packets that an edit list hides, empty ones (an AVI's dropped frames) and, where the stream was cut
    before a key frame, those ahead of the first frame that can be decoded.

    Args:
        alive: called for every packet: a long file takes minutes.
    Raises:
        MediaError: no such container, no video stream, not one video packet, or more than limits.py allows.
    """
    with open_container(path) as container:
        room_bytes = _MOST_SHOWN * path.stat().st_size
        stream = video_stream(container, path)
        context = stream.codec_context
        stamps: list[int | None] = []
        lacks_pts = not container.format.name.startswith(_TELLS_SHOWING)
        keys: list[bool] = []
        hidden = 0
        last_dts = -1
        time_base = float(stream.time_base) if stream.time_base else 0.0
        fault: str | None = None
        try:
            for packet in packets_of(container, stream):
                alive()
                room_bytes -= packet.size
                if room_bytes < 0 or len(stamps) > MAX_FRAMES:
                    raise MediaError(f"{path.name} declares more frames than it can hold, or than are read")
                if packet.dts is not None:
                    last_dts = packet.dts
                if packet.size == 0:  # an empty one has a time, the flush packet that PyAV adds has none
                    hidden += packet.dts is not None
                elif packet.is_discard:
                    hidden += 1
                else:
                    stamps.append(packet.pts if packet.pts is not None else packet.dts)
                    lacks_pts = lacks_pts or packet.pts is None
                    keys.append(packet.is_keyframe)
        except av.error.FFmpegError as exc:
            fault = f"the file breaks: {reason(exc)}"
        first = _first_frame(path)
        if first is None and context.width == 0:  # where a header declares too much, ffmpeg forgets what it said
            raise MediaError(f"{path.name} holds no picture that can be decoded, or only ones too large ({MOST_PX})")
        unseen = _unseen_packets(stamps, keys, first)
        stamps = [stamp for number, stamp in enumerate(stamps) if number not in unseen]
        n_frames = len(stamps)
        if n_frames == 0:
            raise MediaError(f"{path.name} holds no video frame" + (f" ({fault})" if fault else ""))
        read = n_frames + len(unseen) + hidden
        if container.format.name == "avi":
            read = max(read, last_dts + 1)  # a dts there is the place in the index; empty places are skipped silently
        if fault is None and stream.frames > read:
            fault = f"the file ends after frame {n_frames} of {stream.frames}"
        told_rate = float(stream.average_rate or stream.guessed_rate or 0)
        rate = told_rate if 0 < told_rate < _HIGHEST_RATE else _USUAL_RATE
        timed = [stamp * time_base for stamp in stamps if stamp is not None]
        shown = np.sort(np.asarray(timed)) if len(timed) == n_frames else np.arange(n_frames) / rate
        first_s = float(shown[0]) if len(timed) == n_frames and not lacks_pts else None
        shown = shown - shown[0]
        last_s = float(shown[-1])
        if not last_s < MAX_DURATION_S:
            raise MediaError(f"the clock of {path.name} is broken: its frames lie {last_s / 86_400:,.0f} days apart")
        fps = (n_frames - 1) / last_s if last_s > 0 else rate
        size = displayed_size(
            context.width, context.height, orientation_of(first) if first is not None else (1, 0, 0, 1)
        )
        info = MediaInfo(n_frames=n_frames, fps=fps, width=size[0], height=size[1], duration_s=last_s + 1 / fps)
        return VideoIndex(info, shown, fault, first_s)


def decode(
    path: Path,
    wanted: Collection[int],
    end: int,
    index: VideoIndex,
    threads: int = 0,
    alive: Callable[[], None] = lambda: None,
) -> Iterator[DecodedFrame]:
    """Decode from the first frame up to frame `end` (exclusive) and yield the wanted frames, upright, as RGB.

    Args:
        wanted: frame numbers in presentation order, all under `end`.
        end: that many frames must be decodable, the wanted ones and those after them.
        index: of the same file.
        threads: of the decoder; 0: its own choice. One costs the fewest CPU seconds, by 7 %.
        alive: called for every packet: hours may pass before the first wanted frame.
    Yields:
        DecodedFrame with `rgb` uint8 (H, W, 3), in displayed orientation, one by one in order.
    Raises:
        DecodeBreak: decoding ended before frame `end`; it says how many frames were decoded.
    """
    reformatter = VideoReformatter()
    decoded = 0
    size: tuple[int, int] | None = None
    fault = "the stream ends"
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = threads
        packets = packets_of(container, stream)
        while decoded < end:
            alive()
            try:
                packet = next(packets, None)
                # an empty packet with a time is a dropped frame; the decoder would take it for the end of the stream
                frames: list[Any] = []
                if packet is not None and (packet.size > 0 or packet.dts is None):
                    frames = packet.decode()
            except av.error.FFmpegError as exc:
                if decoded == 0 and not isinstance(exc, av.error.EOFError):
                    continue  # a stream cut before its first key frame: nothing is shown yet
                fault = f"the decoder stopped: {reason(exc)}"
                break
            if packet is None:
                break
            for frame in frames:
                size = size or (frame.width, frame.height)
                if (frame.width, frame.height) != size:
                    raise DecodeBreak(decoded, f"the picture size changes from {size} to {(frame.width, frame.height)}")
                if decoded in wanted:
                    try:
                        rgb: RGB = reformatter.reformat(frame, format="rgb24").to_ndarray()  # type: ignore[assignment]
                    except (av.error.FFmpegError, ValueError) as exc:  # a kind of pixels or colours that is none
                        raise DecodeBreak(decoded, f"a picture cannot be shown ({reason(exc)})") from exc
                    time_s = index.time_of(decoded)
                    yield DecodedFrame(decoded, time_s, upright(rgb, orientation_of(frame)))
                decoded += 1
                if decoded == end:
                    return
    if decoded < end:
        raise DecodeBreak(decoded, fault)


class DecodeBreak(Exception):
    """Decoding ended early after `n_decoded` frames, because of `fault`. The clip stage decides what it means."""

    def __init__(self, n_decoded: int, fault: str) -> None:
        super().__init__(f"{fault} after {n_decoded} frames")
        self.n_decoded = n_decoded
        self.fault = fault


def _first_frame(path: Path) -> Any:
    """The first frame that comes out of the decoder (only it knows the display matrix); None when there is none."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        packets = packets_of(container, stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return None
                if packet.size == 0 and packet.dts is not None:
                    continue
                for frame in packet.decode():
                    return frame
            except av.error.EOFError:
                return None
            except av.error.FFmpegError:
                continue  # cut before its first key frame, or it breaks: then no more packets come


def _unseen_packets(stamps: list[int | None], keys: list[bool], first: Any) -> set[int]:
    """Which leading packets (by place in demuxing order) the decoder drops, since what they refer to was cut off.

    The first decoded frame's pts tells: packets shown before it were dropped. They stand ahead of its packet, or come
    right after it (leading pictures of an open GOP). Where packets have no times, the first key frame is the border.
    Containers that flag no key frames lose nothing by this.
    """
    if first is None:
        return set()
    timed = [stamp for stamp in stamps if stamp is not None]
    if len(timed) < len(stamps) or first.pts is None:
        return set(range(keys.index(True))) if first.key_frame and True in keys else set()
    if first.pts not in timed:
        return set()
    own = timed.index(first.pts)
    after = next((place for place in range(own + 1, len(timed)) if timed[place] >= first.pts), len(timed))
    # only the head is looked at: a joined stream may well start its clock again further on
    return {place for place in range(after) if timed[place] < first.pts}
