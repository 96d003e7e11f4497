"""Writes clips as video files, cut by decoded frames (`--keep-clips`). They show unblurred people: only for the cache.

A cut with `-c copy` falls on key frames (300+300+300 frames come out as 500+250+150), so the span is encoded again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from ..core.errors import MediaError, disk_full_stops
from ..core.types import Clip
from .limits import MAX_ALLOCATION_BYTES, MAX_PADDED_PIXELS
from .opening import FORMATS

_LOOK_S = 0.2
_PR_SET_PDEATHSIG = 1
"""Its number for prctl, in linux/prctl.h."""


def write_clip_files(
    source: Path, clips: Sequence[Clip], folder: Path, alive: Callable[[], None] = lambda: None
) -> list[Path]:
    """Write each clip to `folder`/<clip_id>.mp4 (H.264, upright, no sound), frame for frame.

    One pass over the source for each run of adjoining clips.

    Args:
        clips: of one video, in order, not overlapping.
        alive: called whenever ffmpeg has read or written some more; whoever hears nothing for long may kill this
            process, and on Linux ffmpeg with it.
    Returns:
        The files, in the order of `clips`.
    Raises:
        MediaError: ffmpeg could not cut the source.
        DiskFullError: no space left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / f"{clip.clip_id}.mp4" for clip in clips]
    for run in _adjoining(clips):
        # Of its own: an ffmpeg of a worker that was given up may still write into another
        work = folder / f".{run[0].clip_id}.{secrets.token_hex(6)}.cutting"
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
    failed, words = _run(command.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True), folder, alive)
    if failed:
        lines = words.strip().splitlines()
        text = lines[-1] if lines else "no message"
        if "No space left" in text:
            raise OSError(errno.ENOSPC, text)
        raise MediaError(f"ffmpeg could not cut {source.name} into clips ({text})")


def _run(command: Sequence[str], folder: Path, alive: Callable[[], None]) -> tuple[bool, str]:
    """Whether ffmpeg failed, and what it said. `alive` hears of progress in the file that it reads and in `folder`."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=_ends_with_its_starter()) as process,
    ):
        before = (0, 0)
        try:
            while process.poll() is None:
                now = (_bytes_read(process.pid), sum(path.stat().st_size for path in folder.iterdir()))
                if now != before:
                    before = now
                    alive()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
        finally:
            process.kill()
        said.seek(0)
        return process.returncode != 0, said.read().decode(errors="replace")


def _bytes_read(pid: int) -> int:
    """What a process has read so far; 0 where it is not told. Before the first clip ffmpeg writes nothing."""
    try:
        return int(Path(f"/proc/{pid}/io").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _ends_with_its_starter() -> Callable[[], None] | None:
    """For a child to call before it becomes another program: the system kills it when the thread that started it ends.

    A killed worker can end nobody. None where the system has no such thing.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform.startswith("linux") else None
    if prctl is None:
        return None
    starter = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != starter:  # it died in between
            os._exit(1)

    return ask
