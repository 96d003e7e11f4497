"""Runs `cgtool build-dataset` and tells when it set to work: python -m benchmarks.watched FILE SINCE UNTIL ARGUMENTS

The command is the real one; only its listener is heard as well. FILE gets the marks as JSON, in seconds after SINCE,
which is the monotonic clock when the process was started. UNTIL is `first`, to end at the first decoded frames as a
kill would, or `end`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .processes import ROOT


@dataclass
class Marks:
    """When things happened, in seconds after the process was started; 0: not yet."""

    fetched_s: float = 0.0
    """The first source video is at hand, and goes to a worker process."""
    fetched_cpu_s: float = 0.0
    """CPU seconds of the process until then; workers are not in them."""
    decoded_s: float = 0.0
    """The first decoded frames were told of: a worker tells four times a second."""
    n_first: int = 0
    """How many they were."""
    ended_s: float = 0.0
    """The last video was committed."""
    n_decoded: int = 0
    """Frames."""
    n_written: int = 0
    """Frames saved."""


def watched(arguments: Sequence[str], until: Literal["first", "end"]) -> Marks:
    """Run the command in a process of its own.

    Raises:
        RuntimeError: it never set to work.
    """
    with tempfile.TemporaryDirectory(prefix="cgtool-bench-") as folder:
        told = Path(folder) / "marks.json"
        command = [sys.executable, "-m", "benchmarks.watched", str(told), str(time.monotonic()), until, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not told.is_file():
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return Marks(**json.loads(told.read_text()))


class Watch:
    """A Listener that keeps the marks and hands on to the command's own."""

    def __init__(self, listener: Any, told: Path, since: float, until: str) -> None:
        self._listener, self._told, self._since, self._until = listener, told, since, until
        self._marks = Marks()

    def __getattr__(self, name: str) -> Callable[..., None]:
        """All that is not watched."""
        heard: Callable[..., None] = getattr(self._listener, name)
        return heard

    def fetched(self, fetched: Any) -> None:
        """See Listener."""
        if not self._marks.fetched_s:
            self._marks.fetched_s, self._marks.fetched_cpu_s = self._now_s(), time.process_time()
        self._listener.fetched(fetched)

    def ticked(self, stage: str, frames: int) -> None:
        """See Listener."""
        if stage == "decode":
            if not self._marks.decoded_s:
                self._marks.decoded_s, self._marks.n_first = self._now_s(), frames
            self._marks.n_decoded += frames
            if self._until == "first":
                self._tell()
                os._exit(0)  # its worker sees that, and ends too
        if stage == "write":
            self._marks.n_written += frames
        self._listener.ticked(stage, frames)

    def ended(self, outcome: Any) -> None:
        """See Listener."""
        self._marks.ended_s = self._now_s()
        self._tell()
        self._listener.ended(outcome)

    def _now_s(self) -> float:
        return time.monotonic() - self._since

    def _tell(self) -> None:
        self._told.write_text(json.dumps(asdict(self._marks)))


def main() -> None:
    """Run the command with a watch on it."""
    told, since, until = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    sys.argv = ["cgtool", *sys.argv[4:]]
    from cgtool.app import main as cgtool
    from cityguessr_data import pipeline

    built = pipeline.build
    pipeline.build = lambda config, listener: built(config, Watch(listener, told, since, until))
    cgtool()


if __name__ == "__main__":
    main()
