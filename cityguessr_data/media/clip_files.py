"""Writes clips as video files, cut by decoded frames (`--keep-clips`). They show unblurred people: only for the cache.

A cut with `-c copy` falls on key frames (300+300+300 frames come out as 500+250+150), so the span is encoded again.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from ..core.errors import MediaError, disk_full_stops
from ..core.types import Clip
from .decode import FORMATS


def write_clip_files(source: Path, clips: Sequence[Clip], folder: Path) -> list[Path]:
    """Write each clip to `folder`/<clip_id>.mp4 (H.264, upright, no sound), frame for frame.

    One pass over the source for each run of adjoining clips.

    Args:
        clips: of one video, in order, not overlapping.
    Returns:
        The files, in the order of `clips`.
    Raises:
        MediaError: ffmpeg could not cut the source.
        DiskFullError: no space left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / f"{clip.clip_id}.mp4" for clip in clips]
    for run in _adjoining(clips):
        work = folder / f".{run[0].clip_id}.cutting"
        shutil.rmtree(work, ignore_errors=True)
        try:
            with disk_full_stops(str(folder)):
                work.mkdir()
                _cut(source, run, work)
                parts = sorted(work.glob("*.mp4"))
                if len(parts) != len(run):
                    raise MediaError(f"ffmpeg cut {len(parts)} clips of {source.name}, not {len(run)}")
                for part, clip in zip(parts, run, strict=True):
                    part.replace(folder / f"{clip.clip_id}.mp4")
        finally:
            shutil.rmtree(work, ignore_errors=True)  # half a clip shows unblurred people too
    return targets


def _adjoining(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Runs of clips where each begins where the one before ends."""
    runs: list[list[Clip]] = []
    for clip in clips:
        if runs and runs[-1][-1].end_frame == clip.start_frame:
            runs[-1].append(clip)
        else:
            runs.append([clip])
    return runs


def _cut(source: Path, run: Sequence[Clip], folder: Path) -> None:
    first, last = run[0], run[-1]
    cuts = [clip.start_frame - first.start_frame for clip in run[1:]]
    stream = (
        ffmpeg.input(f"file:{source.resolve()}", protocol_whitelist="file", format_whitelist=FORMATS)
        .video.filter("trim", start_frame=first.start_frame, end_frame=last.end_frame)
        .filter("setpts", "PTS-STARTPTS")
        .filter("pad", "ceil(iw/2)*2", "ceil(ih/2)*2")  # H.264 in 4:2:0 has even sides
    )
    options = {"vcodec": "libx264", "preset": "veryfast", "crf": 18, "pix_fmt": "yuv420p", "fps_mode": "passthrough"}
    if cuts:
        # all clips of a run but the last have the same length, so every cut falls on a multiple of it
        options["force_key_frames"] = f"expr:not(mod(n,{first.n_frames}))"
        options |= {"f": "segment", "segment_frames": ",".join(map(str, cuts)), "reset_timestamps": 1}
        target = str(folder).replace("%", "%%") + "/%06d.mp4"  # the segment muxer expands every % of the path
    else:
        target = str(folder / "000000.mp4")
    try:
        stream.output(target, **options).global_args("-nostdin", "-v", "error").run(
            cmd=imageio_ffmpeg.get_ffmpeg_exe(), capture_stderr=True, overwrite_output=True
        )
    except ffmpeg.Error as exc:
        lines = (exc.stderr or b"").decode(errors="replace").strip().splitlines()
        text = lines[-1] if lines else "no message"
        if "No space left" in text:
            raise OSError(errno.ENOSPC, text) from exc
        raise MediaError(f"ffmpeg could not cut {source.name} into clips ({text})") from exc
