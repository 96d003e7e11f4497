"""Seconds and memory of `cgtool stats` on a data set as big as the paper's: python benchmarks/stats.py [--keep DIR]

Makes the tables (big_tables.py: about 100 s and 3.5 GB of disk at full size), runs the command on them some times in a
process of its own, and prints a Markdown table of medians. Peak memory is what the system counts for that process. This
file imports nothing heavy: Linux counts the memory of the process that starts a child as the child's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    answer_kb: float
    """Length of its JSON."""


def measure(command: list[str]) -> Cost:
    """Run a command whose answer goes to stdout.

    Raises:
        SystemExit: it failed.
    """
    with tempfile.TemporaryFile() as answer:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=answer, cwd=HERE.parent)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        to_mb = 1e-6 if sys.platform == "darwin" else 1.024e-3  # bytes there, KiB on Linux
        size_kb = os.fstat(answer.fileno()).st_size / 1e3
        return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * to_mb, size_kb)


def prepare(folder: Path, scale: float) -> str:
    """Make the tables unless they are there already; says what was done."""
    if (folder / "dataset.json").exists():
        return f"tables of {folder} used again"
    cost = measure([sys.executable, "-m", "benchmarks.big_tables", str(folder), "--scale", str(scale)])
    size_gb = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 1e9
    return f"tables of {size_gb:.2f} GB made in {cost.wall_s:.0f} s with {cost.peak_mb:.0f} MB of memory"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="0.01: a hundredth of the clips")
    parser.add_argument("--runs", type=int, default=3, help="the median of them is shown")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the tables there, or use those that are there")
    parser.add_argument("options", nargs="*", help="after --: further options of `cgtool stats`, e.g. -- --html F")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = (args.keep or Path(scratch) / "big").resolve()
        sys.stderr.write(prepare(folder, args.scale) + "\n")
        command = [sys.executable, "-m", "cgtool", "stats", str(folder), "--json", *args.options]
        costs = [measure(command) for _ in range(args.runs)]
    sys.stdout.write("| run | wall s | CPU s | peak MB | JSON kB |\n|---|---|---|---|---|\n")
    for name, cost in [*((str(i + 1), c) for i, c in enumerate(costs)), ("median", median(costs))]:
        values = f"{cost.wall_s:.1f} | {cost.cpu_s:.1f} | {cost.peak_mb:.0f} | {cost.answer_kb:.0f}"
        sys.stdout.write(f"| {name} | {values} |\n")


def median(costs: list[Cost]) -> Cost:
    """Of each figure by itself."""
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in ("wall_s", "cpu_s", "peak_mb", "answer_kb")
        )
    )


if __name__ == "__main__":
    main()
