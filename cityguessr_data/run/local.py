"""Runs a build on this machine: one thread fetches, worker processes compute, this thread hears them all.

Only this process commits, and a worker whose parent dies ends itself: a killed run leaves nobody behind who could still
write a result.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.threads import n_cores
from .compute import Failed, Staged
from .crew import MOST_BYTES, STALL_S, Crew
from .executor import ComputeFactory, Fetch, Listener, Postponed, WorkItem
from .working_off import work_off

WORKER_BYTES = 2 << 30
"""What a worker may come to hold, with sources of 4K (docs/benchmarks.md)."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
ON_A_GPU = 4
"""Workers where there is a GPU: each holds the models there once more."""


def usual_workers(device: str = "auto") -> int:
    """How many processes to use where nobody said: one a core, as far as there are 2 GiB of memory for each.

    Small networks share a core's work badly: two workers of one thread do more than one of two. With a GPU, four at
    most, which is a guess and not measured.
    """
    memory = _memory_bytes()
    most: int = max(1, min(n_cores(), memory // WORKER_BYTES))
    has_gpu = device != "cpu" and Path("/dev/nvidia0").exists()
    return min(most, ON_A_GPU) if has_gpu else most


def _memory_bytes() -> int:
    """Of the machine, or of the container where that has less; of one worker where neither is told."""
    found = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ValueError, OSError):  # `max`: no limit
        found.append(int(_CONTAINER_LIMIT.read_text()))
    return min(found, default=WORKER_BYTES)


class LocalExecutor:
    """Worker processes on this machine, each with its share of the cores; no more of them than there are videos.

    Args:
        workers: how many; None: `usual_workers`.
        stall_s, most_bytes: see Crew.
    """

    def __init__(
        self,
        workers: int | None = None,
        device: str = "auto",
        *,
        stall_s: float = STALL_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"expected at least one worker, got {workers}")
        self.workers = usual_workers(device) if workers is None else workers
        self.stall_s, self.most_bytes = stall_s, most_bytes

    def run(
        self,
        items: Sequence[WorkItem],
        fetch: Fetch,
        factory: ComputeFactory,
        new_staging: Callable[[str], Path],
        handle: Callable[[Staged | Failed | Postponed], None],
        listener: Listener,
    ) -> None:
        """See Executor.run."""
        size = max(1, min(self.workers, len(items)))
        threads = max(1, n_cores() // size)
        crew = Crew(factory, size, threads, listener, stall_s=self.stall_s, most_bytes=self.most_bytes)
        work_off(items, fetch, crew, new_staging, handle, listener)
