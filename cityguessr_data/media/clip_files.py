"""Writes clips as video files, cut by decoded frames (`--keep-clips`). They show unblurred people: only for the cache.

A cut with `-c copy` falls on key frames (300+300+300 frames come out as 500+250+150), so the span is encoded again.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from ..core.errors import MediaError, disk_full_stops
from ..core.types import Clip
from .limits import MAX_ALLOCATION_BYTES, MAX_PADDED_PIXELS
from .opening import FORMATS

_START_S, _FRAME_S = 600.0, 1.0
"""What ffmpeg may take, and what more for every frame up to the end of the last clip. It decodes what PyAV has decoded
before it; a slow core needs a fifth of a second for a frame of 4K."""
_LOOK_S = 0.2


def write_clip_files(
    source: Path, clips: Sequence[Clip], folder: Path, alive: Callable[[], None] = lambda: None
) -> list[Path]:
    """Write each clip to `folder`/<clip_id>.mp4 (H.264, upright, no sound), frame for frame.

    One pass over the source for each run of adjoining clips.

    Args:
        clips: of one video, in order, not overlapping.
        alive: called while ffmpeg works.
    Returns:
        The files, in the order of `clips`.
    Raises:
        MediaError: ffmpeg could not cut the source, or hangs over it.
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
                _cut(source, run, work, alive)
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


def _cut(source: Path, run: Sequence[Clip], folder: Path, alive: Callable[[], None]) -> None:
    first, last = run[0], run[-1]
    cuts = [clip.start_frame - first.start_frame for clip in run[1:]]
    stream = (
        ffmpeg.input(
            f"file:{source.resolve()}",
            protocol_whitelist="file",
            format_whitelist=FORMATS,
            max_pixels=MAX_PADDED_PIXELS,
        )
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
    limits = ("-max_alloc", str(MAX_ALLOCATION_BYTES))
    command = stream.output(target, **options).global_args("-nostdin", "-v", "error", *limits)
    limit_s = _START_S + _FRAME_S * last.end_frame
    failed, words = _run(command.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True), limit_s, alive)
    if failed:
        lines = words.strip().splitlines()
        text = lines[-1] if lines else "no message"
        if "No space left" in text:
            raise OSError(errno.ENOSPC, text)
        raise MediaError(f"ffmpeg could not cut {source.name} into clips ({text})")


def _run(command: Sequence[str], limit_s: float, alive: Callable[[], None]) -> tuple[bool, str]:
    """Whether ffmpeg failed, and what it said."""
    deadline_s = time.monotonic() + limit_s
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            while process.poll() is None:
                alive()
                if time.monotonic() > deadline_s:
                    return True, f"it was not done after {limit_s:.0f} s"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
        finally:
            process.kill()
        said.seek(0)
        return process.returncode != 0, said.read().decode(errors="replace")
