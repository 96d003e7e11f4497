"""Rates with one process and with two: frames a second of a build's workers, clips a second of training.

Both are the real commands, in turns. Rates are of the work alone: the start of processes, their imports and the opening
of models are not in them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_bench.presets import settings
from cityguessr_bench.speed.material import random_pack
from cityguessr_data.core.timing import ROUNDS, cost_of, n_cores

from .document import Headline, table
from .footage import street_video
from .grown import FLAGS, Grown
from .processes import ROOT
from .watched import Marks, watched

PROCESSES = (1, 2)
_SMALL = {"data": {"frames": 4, "stored_frames": 4, "size_px": 32}, "network": {"hidden": 48, "patch_px": 8}}
"""What the preset tiny is changed to for `--size tiny`."""


@dataclass(frozen=True)
class Rate:
    """Of one run."""

    per_s: float
    """Frames or clips."""
    wall_s: float
    """Of the whole command."""
    cpu_s: float
    """Of the whole command, all its processes."""


def build_workers(size: Literal["full", "tiny"], scratch: Path) -> tuple[Headline, str]:
    """Build the same videos with --workers 1 and 2."""
    full = size == "full"
    n_videos, seconds, frame = (4, 12.0, "1280x720") if full else (2, 3.0, "320x180")
    scratch.mkdir()
    footage = street_video(scratch / "walk.mp4", seconds, frame)
    work = Grown(scratch, scratch / "walk.mp4")
    work.ask_for(n_videos)
    clips = ("--clip-frames", "100-120", "--samples", "12") if full else ("--clip-frames", "20-25", "--samples", "2")
    found: dict[int, list[Rate]] = {n: [] for n in (PROCESSES if full else (1,))}
    for _ in range(ROUNDS if full else 1):
        for n in found:
            shutil.rmtree(work.out, ignore_errors=True)
            arguments = ["build-dataset", str(work.sources), "--out", str(work.out), "--workers", str(n)]
            found[n].append(_build([*arguments, *FLAGS, *clips]))
    rates = {n: _median(some) for n, some in found.items()}
    body = f"""
**Build workers.** {n_videos} videos of {seconds:.0f} s ({footage}, {frame}), mobilenet0.25, no scenes, every tenth
frame sampled, {n_cores()} cores; decoded frames a second from the first decoded frames to the last commit. One worker
alone decodes, detects and writes in threads and lets the detector use every core; two have half of the cores each.

{_rates(rates, "--workers", "decoded frames/s")}
"""
    return _headline("scaling, build workers", "frames/s", rates), body


def training_processes(size: Literal["full", "tiny"], scratch: Path) -> tuple[Headline, str]:
    """Train the same steps with one process and with two, by gloo."""
    full = size == "full"
    n_clips, epochs, rounds = (96, 1, ROUNDS) if full else (16, 1, 1)
    config = settings("tiny", "cityguessr").changed({} if full else _SMALL, "tiny")
    pack = random_pack(scratch / "pack", config.data.pack, n_clips)
    split = scratch / "pack" / "splits" / "all.parquet"
    split.parent.mkdir()
    pq.write_table(pa.table({"clip_id": pack.clip_ids, "part": ["train"] * (n_clips - 1) + ["test"]}), split)
    small = [f"{name}.{key}={value}" for name, some in _SMALL.items() for key, value in some.items()]
    assigned = [*([] if full else small), "network.tla=false", f"train.epochs={epochs}", "train.watch=none"]
    found: dict[int, list[Rate]] = {n: [] for n in (PROCESSES if full else (2,))}
    for _ in range(rounds):
        for n in found:
            shutil.rmtree(scratch / "run", ignore_errors=True)
            found[n].append(_train(scratch / "pack", scratch / "run", n, assigned))
    rates = {n: _median(some) for n, some in found.items()}
    frames, side = config.data.frames, config.data.size_px
    body = f"""
**Training processes.** `torchrun --nproc-per-node N -m cgtool bench train` with the preset tiny without TLA
({frames} x {side} x {side}, global batch {config.train.batch}) on {n_clips - 1} random clips, gloo on the loopback,
{n_cores()} cores shared out; clips a second as metrics.jsonl has them, without its first entry.

{_rates(rates, "processes", "clips/s")}
"""
    return _headline("scaling, training processes", "clips/s", rates), body


def _build(arguments: Sequence[str]) -> Rate:
    kept: list[Marks] = []
    cost = cost_of(lambda: kept.append(watched(arguments, "end")))
    marks = kept[0]
    working_s = marks.ended_s - marks.decoded_s
    return Rate((marks.n_decoded - marks.n_first) / working_s, cost.wall_s, cost.cpu_s)


def _train(pack: Path, run: Path, n_processes: int, assigned: Sequence[str]) -> Rate:
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(n_processes), "--master_addr", "127.0.0.1"]
    command = [sys.executable, *launch, "--master_port", str(_free_port()), "-m", "cgtool"]
    command += ["--", "bench", "train", str(pack)]  # or torchrun would take --run for one of its own
    command += ["--run", str(run), "--split", "all", "--preset", "tiny", "--device", "cpu", "--workers", "0"]
    for setting in assigned:
        command += ["--set", setting]
    env = os.environ | {"OMP_NUM_THREADS": str(max(1, n_cores() // n_processes)), "PYTHONPATH": str(ROOT)}
    cost = cost_of(lambda: _run(command, env))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    rates = list(dict.fromkeys(line["clips_per_s"] for line in lines if "clips_per_s" in line))
    return Rate(statistics.median(rates[1:] or rates), cost.wall_s, cost.cpu_s)


def _run(command: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _median(found: Sequence[Rate]) -> Rate:
    return Rate(*(statistics.median(getattr(rate, name) for rate in found) for name in ("per_s", "wall_s", "cpu_s")))


def _headline(name: str, unit: str, rates: Mapping[int, Rate]) -> Headline:
    told = ", ".join(f"{rate.per_s:.1f} {unit} with {n}" for n, rate in rates.items())
    first, last = (rates[n].per_s for n in (min(rates), max(rates)))
    return Headline(name, f"{told}: {last / first:.2f}x")


def _rates(rates: Mapping[int, Rate], of: str, unit: str) -> str:
    first = rates[min(rates)]
    rows = [
        (str(n), f"{rate.per_s:.1f}", f"{rate.per_s / first.per_s:.2f}x", f"{rate.wall_s:.1f}", f"{rate.cpu_s:.1f}")
        for n, rate in rates.items()
    ]
    return table((of, unit, "over the first", "s of the whole command", "CPU s of it"), rows)
