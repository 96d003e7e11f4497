"""Progress of `cgtool bench pack` and `train` on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from .console import plain, say

_LINE_EVERY_S = 10.0


class _Bar:
    """One bar with a text beside it; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self, name: str, total: int, done: int) -> None:
        if not sys.stderr.isatty():
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from .console import stderr

        self._stop()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
        )
        self._bars = Progress(*columns, console=stderr(), transient=True, expand=True)
        self._bars.start()
        self._task = self._bars.add_task(name, total=total, completed=done, text="")

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _say(self, line: str) -> None:
        if self._bars is not None:
            self._bars.console.print(plain(line), markup=False)
        else:
            say(plain(line))


class PackProgress(_Bar):
    """Shards done."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at = time.monotonic()

    def shard(self, done: int, n_shards: int) -> None:
        """For pack.write.pack."""
        if self._bars is None:
            self._start("pack", n_shards, done)
        if self._bars is not None:
            self._bars.update(self._task, completed=done)
        elif done == n_shards or time.monotonic() - self._said_at > _LINE_EVERY_S:
            say(f"[{done}/{n_shards}] shards")
            self._said_at = time.monotonic()


class TrainProgress(_Bar):
    """A Listener of train.run.train."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self._name, self._n_steps, self._n_epochs = "", 0, 0
        self._said_at = 0.0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that speaks; under torchrun only the first does."""
        import os

        return os.environ.get("RANK", "0") == "0"

    def said(self, message: str) -> None:
        """See Listener."""
        self.notes.append(message)
        self._say(f"note: {message}")

    def begun(self, name: str, step: int, n_steps: int, n_epochs: int) -> None:
        """See Listener."""
        self._name, self._n_steps, self._n_epochs = name, n_steps, n_epochs
        goes_on = f", going on after step {step}" if step else ""
        say(f"{plain(name)}: {n_of(n_epochs, 'epoch')} of {n_of(n_steps // n_epochs, 'step')}{goes_on}")
        self._start(name, n_steps, step)

    def stepped(self, step: int, losses: Mapping[str, float], clips_per_s: float, memory_bytes: int) -> None:
        """See Listener."""
        named = (("total", "loss"), ("scene", "scene"), ("tla", "tla"))
        parts = [f"{name} {losses[key]:.3f}" for key, name in named if key in losses]
        text = f"{' '.join(parts)}  {clips_per_s:.1f} clips/s".lstrip()
        text += f"  {size(memory_bytes)}" if memory_bytes else ""
        if self._bars is not None:
            self._bars.update(self._task, completed=step, text=text)
        elif step == self._n_steps or time.monotonic() - self._said_at > _LINE_EVERY_S:
            say(f"[{step}/{self._n_steps}] {text}")
            self._said_at = time.monotonic()

    def scored(self, epoch: int, part: str, top1: Mapping[str, float]) -> None:
        """See Listener."""
        scores = ", ".join(f"{level} {share:.1%}" for level, share in top1.items())
        self._say(f"epoch {epoch}/{self._n_epochs}: {part} top-1: {scores}")

    def ended(self) -> None:
        """See Listener."""
        self._stop()
