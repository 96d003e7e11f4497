"""The command line in this process, its workers in this thread: for tests that run it hundreds of times.

The detector is loaded once. What only processes can show (a worker that dies, a signal) is not for this.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer
from typer.testing import CliRunner

from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.executor import ComputeFactory, Fetch, Fetched, Listener, Postponed, WorkItem
from cityguessr_data.run.working_off import work_off


class _InlineCrew:
    """Computes where it is called."""

    def __init__(self, compute: Callable[[], Compute], listener: Listener) -> None:
        self._compute, self._listener = compute, listener
        self._outcomes: list[Staged | Failed] = []

    @property
    def busy(self) -> bool:
        return bool(self._outcomes)

    def assign(self, waiting: deque[Fetched], new_staging: Callable[[str], Path]) -> None:
        if waiting and not self._outcomes:
            got = waiting.popleft()
            item = got.item
            staging = new_staging(item.task.video_id)
            outcome = self._compute().run(item.task, got.source, staging, item.fingerprint, self._listener.ticked)
            self._outcomes.append(replace(outcome, steps=(got.step, *outcome.steps)))

    def hear(self) -> list[Staged | Failed]:
        if not self._outcomes:
            time.sleep(0.001)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        self._outcomes.clear()


class InlineExecutor:
    """An Executor without worker processes; opened stages are kept for the next command with the same factory."""

    kept: dict[str, Compute]

    def __init__(self, *_: Any) -> None:
        pass

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
        name = repr(factory)

        def compute() -> Compute:
            if name not in self.kept:
                self.kept[name] = factory()
            return self.kept[name]

        work_off(items, fetch, _InlineCrew(compute, listener), new_staging, handle, listener)


@functools.cache
def _command(app: Any) -> Any:
    """What Typer makes of the app for each call, which costs as much as the build of a tiny video."""
    return typer.main.get_command(app)


def cgtool_inline(*args: object) -> subprocess.CompletedProcess[str]:
    """As `support_build.cgtool`, but in this process."""
    from cgtool.app import app

    class Executor(InlineExecutor):
        kept = _KEPT

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    words = [str(word) for word in args]
    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):
        for module in ("cityguessr_data.pipeline", "cityguessr_data.over_frames.go"):
            patch.setattr(f"{module}.LocalExecutor", Executor)
        patch.setattr("typer.testing._get_command", _command)
        try:
            done = CliRunner().invoke(app, words, catch_exceptions=False)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess(["cgtool", *words], done.exit_code, done.stdout, done.stderr)


_KEPT: dict[str, Compute] = {}
