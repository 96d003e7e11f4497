"""Writes frames as an H.264 file: raw RGB through a pipe into the ffmpeg binary that imageio-ffmpeg brings."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import MachineError, disk_full_stops

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

_LAST_WORDS = 2000


def write_video(frames: Iterable[RGB], path: Path, fps: float, crf: int = 20) -> None:
    """Encode frames as H.264 in MP4; `path` appears only when the file is whole.

    Args:
        frames: uint8 RGB, shape (H, W, 3), all of one even size.
        fps: frames a second.
        crf: constant rate factor of x264; smaller is better and larger.

    Raises:
        ValueError: no frame, or an odd size.
        MachineError: ffmpeg failed; the message has its last words.
    """
    import ffmpeg
    import imageio_ffmpeg

    frames = iter(frames)
    first = next(frames, None)
    if first is None or first.shape[0] % 2 or first.shape[1] % 2:
        raise ValueError(f"expected frames of even height and width, got {None if first is None else first.shape}")
    size = f"{first.shape[1]}x{first.shape[0]}"
    partial = path.with_name(f".{path.name}.partial")
    graph = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=size, framerate=fps)
    graph = graph.output(
        str(partial),
        format="mp4",
        vcodec="libx264",
        preset="veryfast",
        crf=crf,
        pix_fmt="yuv420p",
        movflags="+faststart",
    )
    graph = graph.global_args("-nostats", "-loglevel", "error").overwrite_output()
    command = graph.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
    try:
        with disk_full_stops(str(path)), tempfile.TemporaryFile() as words:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=words)
            _feed(process, first, frames)
            if process.wait() != 0:
                words.seek(0)
                text = words.read().decode(errors="replace").strip()[-_LAST_WORDS:]
                raise MachineError(f"ffmpeg could not write {path}: {text}", "Check the disk's free space and rights")
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _feed(process: subprocess.Popen[bytes], first: RGB, rest: Iterable[RGB]) -> None:
    """Send all frames. Where ffmpeg has gone, stop: its exit status tells why. Where a frame fails, end ffmpeg."""
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(first.tobytes())
            for frame in rest:
                if frame.shape != first.shape:
                    raise ValueError(f"expected frames of shape {first.shape}, got {frame.shape}")
                pipe.write(frame.tobytes())
    except BrokenPipeError:
        return
    except BaseException:
        process.kill()
        process.wait()
        raise
