"""Makes small real videos whose frames carry their number as a bar code, so that a test knows which frame it got."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
BITS = 12


def numbered_frame(number: int, width: int = 192, height: int = 96) -> np.ndarray:
    """A grey picture with `number` as 12 black or white blocks across its top quarter; uint8 (H, W, 3)."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[height // 2 :, : width // 2] = (200, 60, 40)  # lower left is red: turned pictures can be told apart
    for bit in range(BITS):
        x0, x1 = bit * width // BITS, (bit + 1) * width // BITS
        rgb[: height // 4, x0:x1] = 255 if number >> bit & 1 else 0
    return rgb


def read_number(rgb: np.ndarray) -> int:
    """The number in a decoded numbered_frame."""
    height, width = rgb.shape[:2]
    row = rgb[height // 8].mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * width / BITS)] > 127)


def ffmpeg(*args: object, stdin: bytes | None = None) -> None:
    """Run the real ffmpeg; its message is the error."""
    command = [FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, args)]
    if stdin is not None:
        command.remove("-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def write_frames(path: Path, frames: Iterable[np.ndarray], *, fps: float = 30, args: Sequence[object] = ()) -> Path:
    """Encode RGB frames. `args` replace the usual H.264 options."""
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    encoding = args or ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")
    ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-"),
        *encoding,
        path,
        stdin=b"".join(p.tobytes() for p in pictures),
    )
    return path


def numbered_video(
    path: Path, n: int, *, fps: float = 30, size: tuple[int, int] = (192, 96), args: Sequence[object] = ()
) -> Path:
    """A video of `n` numbered frames."""
    return write_frames(path, (numbered_frame(i, *size) for i in range(n)), fps=fps, args=args)
