"""Runs commands in turns as processes, and says what each took: seconds, seconds of all cores, and peak memory.

Between this process and the command stands a small one that starts it. Linux counts the memory of whoever starts a
process as that process's own, and this one may have torch in it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CGTOOL = (sys.executable, "-m", "cgtool")
_LAUNCHER = """
import json, os, sys, time
begin = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
wall_s = time.perf_counter() - begin
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
told = {"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": peak}
with open(sys.argv[1], "w") as f:
    json.dump(told, f)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


@dataclass(frozen=True)
class ProcessCost:
    """What a command took, with all processes that it started and waited for."""

    wall_s: float
    """From its start to its end, so with the start of Python and all imports."""
    cpu_s: float
    """Of all cores."""
    peak_bytes: int
    """The most memory that any one of the processes held at once (resident)."""
    answer: str = ""
    """What it wrote to stdout."""


def cost_of_process(
    command: Sequence[str], cwd: Path = ROOT, env: Mapping[str, str] | None = None, exit_codes: Sequence[int] = (0,)
) -> ProcessCost:
    """Run a command to its end.

    Raises:
        RuntimeError: it ended with another exit code; with the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="cgtool-bench-") as folder:
        told = Path(folder) / "told.json"
        launched = [sys.executable, "-c", _LAUNCHER, str(told), *command]
        done = subprocess.run(
            launched, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
        )
        if done.returncode not in exit_codes:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return ProcessCost(**json.loads(told.read_text()), answer=done.stdout)


def processes_in_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, ProcessCost]:
    """Run every command `rounds` times, in turns; the medians by name, each figure by itself.

    Raises:
        RuntimeError: one failed.
    """
    costs: dict[str, list[ProcessCost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(cost_of_process(command))
    return {name: median(found) for name, found in costs.items()}


def median(costs: Sequence[ProcessCost]) -> ProcessCost:
    """Of each figure by itself; the answer is the last one's."""
    return ProcessCost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        round(statistics.median(cost.peak_bytes for cost in costs)),
        costs[-1].answer,
    )
