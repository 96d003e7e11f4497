"""Peak memory of a build's worker process: rows "memory, 3 hours / 1 minute" and "memory, 4K".

`cgtool build-dataset` is run as a user runs it, in a process of its own; what is told is the most that any one of its
processes held, which is the worker: it decodes, detects, blurs, labels and writes.
"""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imageio_ffmpeg

from .document import Headline, Section, table
from .footage import street_video
from .processes import CGTOOL, ProcessCost, cost_of_process, median

FLAT = 1.1
"""Peak of the long video over that of the short one, up to which memory is called flat."""
LIMIT_GB = 2.0
_FPS = 30


@dataclass(frozen=True)
class Case:
    """One video, and how it is built."""

    name: str
    size: str
    seconds: int
    samples: int
    rounds: int
    clip_frames: str = "800-900"

    @property
    def n_frames(self) -> int:
        """At 30 a second."""
        return self.seconds * _FPS


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Build a short, a long and a large video."""
    full = size == "full"
    if full:
        short = Case("1 minute", "160x90", 60, 4, 3)
        long = Case("3 hours", "160x90", 3 * 3600, 4, 1)
        large = Case("4K, one clip", "3840x2160", 30, 100, 3)
    else:
        short = Case("2 seconds", "160x90", 2, 2, 1, "20-25")
        long = Case("20 seconds", "160x90", 20, 2, 1, "20-25")
        large = long
    costs = {case: _built(case, scratch / case.name) for case in dict.fromkeys((short, long, large))}
    ratio = costs[long].peak_bytes / costs[short].peak_bytes
    large_gb = costs[large].peak_bytes / 1e9
    return Section(
        "Memory",
        [
            Headline(
                "memory, 3 hours / 1 minute",
                f"{ratio:.2f}: {_mib(costs[long])} over {_mib(costs[short])}" if full else f"{ratio:.2f}, of seconds",
                "flat",
                ratio <= FLAT if full else None,
            ),
            Headline(
                "memory, 4K",
                f"{large_gb:.2f} GB a worker" if full else f"{large_gb:.2f} GB, not of 4K",
                f"inside {LIMIT_GB:.0f} GB a worker",
                large_gb < LIMIT_GB if full else None,
            ),
        ],
        f"""
The most memory (resident, with the libraries) that a process of `cgtool build-dataset` with one worker held: medians of
as many runs as are told. mobilenet0.25 at its default input size, {_scenes_told()}.

{_costs(costs)}

Frames are handed on one by one, so what a worker holds does not grow with the video but for the time of each frame and
the rows of its clips.
""",
    )


def _built(case: Case, folder: Path) -> ProcessCost:
    folder.mkdir()
    video = folder / "walk.mp4"
    _film(case, video)
    with (folder / "sources.csv").open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("url", "city"), (video, "Tokyo")])
    costs = []
    for number in range(case.rounds):
        arguments = ["build-dataset", str(folder / "sources.csv"), "--out", str(folder / f"out{number}")]
        arguments += ["--detector", "mobilenet0.25", "--scene-model", _scenes()]
        arguments += ["--clip-frames", case.clip_frames, "--samples", str(case.samples)]
        costs.append(cost_of_process([*CGTOOL, *arguments]))
    return median(costs)


def _film(case: Case, to: Path) -> None:
    """Some seconds of a street, and as many copies of them, not encoded anew, as the length asks for."""
    some = to.with_name("some.mp4")
    street_video(some, min(case.seconds, 60 if case.size == "160x90" else 5), case.size)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-stream_loop", "-1", "-i", str(some)]
    subprocess.run([*command, "-t", str(case.seconds), "-c", "copy", str(to)], check=True)


def _scenes() -> str:
    """The scene model that lies beside the weights, or none."""
    folder = os.environ.get("CGTOOL_WEIGHTS")
    found: Sequence[Path] = sorted(Path(folder).glob("*places365*.onnx")) if folder else []
    return str(found[0]) if found else "off"


def _scenes_told() -> str:
    return "no scenes" if _scenes() == "off" else f"scenes by {Path(_scenes()).name}"


def _mib(cost: ProcessCost) -> str:
    return f"{cost.peak_bytes / 2**20:.0f} MiB"


def _costs(costs: dict[Case, ProcessCost]) -> str:
    rows = [
        (
            f"{case.name}, {case.size}",
            f"{case.n_frames:,}",
            str(case.samples),
            str(case.rounds),
            f"{cost.peak_bytes / 2**20:.0f}",
            f"{cost.wall_s:.0f}",
            f"{cost.cpu_s:.0f}",
        )
        for case, cost in costs.items()
    ]
    return table(("video", "frames", "sampled of a clip", "runs", "peak MiB", "wall s", "CPU s"), rows)
