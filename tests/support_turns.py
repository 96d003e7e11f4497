"""Candidates for benchmarks/turns.py, importable by the processes that it starts."""

from __future__ import annotations

import os
from pathlib import Path


class Noting:
    """Notes each of its rounds in a file that all share, and tells where it runs."""

    def __init__(self, name: str, notes: Path) -> None:
        self.name = name
        self.notes = notes
        self.rounds = 0

    def run(self) -> None:
        self.rounds += 1
        with self.notes.open("a") as f:
            f.write(self.name)

    def told(self) -> dict[str, int | str]:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        return {
            "rounds": self.rounds, "pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS", ""), "cores": cores
        }  # fmt: skip


class Failing(Noting):
    """Raises in its second round."""

    def run(self) -> None:
        super().run()
        if self.rounds == 2:
            raise ValueError("a round went wrong")


class Dying(Noting):
    """Its process ends in the first round."""

    def run(self) -> None:
        os._exit(7)


def unopened() -> Noting:
    """A candidate that cannot be opened."""
    raise OSError("no such weights")
