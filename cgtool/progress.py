"""Progress of a build on stderr: bars with rates and time left on a terminal, one line a video elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .console import plain, say

if TYPE_CHECKING:
    from cityguessr_data.run.compute import Failed, Staged
    from cityguessr_data.run.executor import Fetched, Postponed

STAGES = ("download", "decode", "anonymise", "label", "write")


class BuildProgress:
    """A run's Listener. Use it as a context manager, so that the terminal is left as it was.

    Args:
        stages: the names of the bars: what is counted in videos first, then decoding, then what is saved.
    """

    def __init__(self, stages: Sequence[str] = STAGES) -> None:
        self._stages = tuple(stages)
        self._videos = 0
        self._ended = 0
        self._begun = 0
        self._expected = [0, 0]
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            from .console import stderr

            self._bars = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:>12}"),
                TimeRemainingColumn(compact=True),
                console=stderr(),
                transient=True,
                expand=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def planned(self, videos: int) -> None:
        """See Listener."""
        self._videos = videos
        if self._bars:
            self._tasks = {
                s: self._bars.add_task(s, total=videos if s == self._stages[0] else None, rate="") for s in self._stages
            }

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None:
        """See Listener; called from the fetching thread."""
        if self._bars and self._tasks:
            whole = f"/{bytes_total / 1e6:.0f}" if bytes_total else ""
            self._bars.update(self._tasks[self._stages[0]], rate=f"{bytes_done / 1e6:.0f}{whole} MB")

    def fetched(self, fetched: Fetched) -> None:
        """See Listener."""
        if self._bars:
            self._bars.advance(self._tasks[self._stages[0]])

    def ticked(self, stage: str, frames: int) -> None:
        """See Listener."""
        from cityguessr_data.run.stage import EXPECTED

        if not self._bars:
            return
        if stage in EXPECTED:
            self._expect(EXPECTED.index(stage), frames)
            return
        task = self._tasks[stage]
        self._bars.advance(task, frames)
        speed = next(t.speed for t in self._bars.tasks if t.id == task)
        self._bars.update(task, rate=f"{speed:.1f} frames/s" if speed else "", visible=True)

    def _expect(self, which: int, frames: int) -> None:
        """What the videos begun so far will come to, scaled to all: totals are estimates until the last has begun."""
        self._expected[which] += frames
        self._begun += which == 0
        for stage in ("decode",) if which == 0 else self._stages[2:]:
            self._bars.update(self._tasks[stage], total=self._expected[which] * self._videos / max(self._begun, 1))

    def ended(self, outcome: Staged | Failed | Postponed) -> None:
        """See Listener."""
        self._ended += 1
        self._say(f"[{self._ended}/{self._videos}] {outcome.video_id}: {_told(outcome)}")

    def said(self, message: str) -> None:
        """See Listener."""
        self._say(f"note: {message}")

    def _say(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(plain(line), markup=False)
        else:
            say(plain(line))


def _told(outcome: Staged | Failed | Postponed) -> str:
    from cityguessr_data.run.compute import Failed, Staged

    if isinstance(outcome, Failed):
        return f"failed ({outcome.error_class}): {outcome.message}"
    if not isinstance(outcome, Staged):
        return f"put off: {outcome.message}"
    if outcome.status == "dropped":
        return f"dropped: {outcome.steps[-1].error_class}, {outcome.steps[-1].message}"
    c = outcome.counts
    lost = f", {outcome.lost_clips} clips lost where it breaks" if outcome.lost_clips else ""
    faces = f", {c.faces} faces blurred" if any(step.stage == "anonymise" for step in outcome.steps) else ""
    return f"{c.clips} clips, {c.frames} frames{faces}{lost}"
