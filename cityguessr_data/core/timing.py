"""Times calls fairly: candidates take turns, so that what disturbs the machine disturbs all of them.

Beside seconds on the clock stand the seconds of all cores together: on few cores, what is quick only because it keeps
every core busy takes them from the work beside it.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .threads import n_cores as n_cores  # whoever times things asks for both

ROUNDS = 5


@dataclass(frozen=True)
class Cost:
    """What one call took."""

    wall_s: float
    """Seconds on the clock."""
    cpu_s: float
    """Seconds of all cores, of this process and of the children that ended meanwhile."""


@dataclass(frozen=True)
class Timing:
    """One candidate over all rounds."""

    costs: tuple[Cost, ...]

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(cost.wall_s for cost in self.costs)

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(cost.cpu_s for cost in self.costs)

    @property
    def wall_range_s(self) -> tuple[float, float]:
        """The quickest and the slowest round."""
        walls = [cost.wall_s for cost in self.costs]
        return min(walls), max(walls)


def cost_of(call: Callable[[], object]) -> Cost:
    """Call once and say what that took."""
    cpu, start = _cpu_s(), time.perf_counter()
    call()
    return Cost(time.perf_counter() - start, _cpu_s() - cpu)


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, warm_up: int = 1) -> dict[str, Timing]:
    """Time every call `rounds` times, in turns.

    Args:
        warm_up: rounds before, which are not counted.
    Raises:
        ValueError: no rounds.
    """
    if rounds < 1:
        raise ValueError(f"expected 1 round or more, got {rounds}")
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for number in range(warm_up + rounds):
        for name, call in calls.items():
            cost = cost_of(call)
            if number >= warm_up:
                costs[name].append(cost)
    return {name: Timing(tuple(found)) for name, found in costs.items()}


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far, or one of the children that have ended, if that was more."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def machine(packages: Sequence[str] = ()) -> str:
    """One line: cores, processor, memory, Python, and the versions of the packages that are installed."""
    memory = ""
    with suppress(ValueError, OSError, AttributeError):
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    versions = [f"Python {platform.python_version()}"]
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return f"{n_cores()} cores of {_processor()}{memory}; {', '.join(versions)}"


def _processor() -> str:
    """Its name, and what half precision it computes in, where the system tells."""
    with suppress(OSError):
        lines = {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        }
        flags = lines.get("flags", "").split()
        told = [name for flag, name in (("avx512_bf16", "AVX-512 bf16"), ("amx_bf16", "AMX bf16")) if flag in flags]
        told = told or [name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags][:1]
        if name := lines.get("model name"):
            return f"{name} ({', '.join(told)})" if told else name
    return platform.processor() or platform.machine()


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
