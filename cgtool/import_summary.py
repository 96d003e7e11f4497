"""What `cgtool import` prints: a bar while it runs, then its counts beside the paper's, and what was left out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.words import n_of

from .bench_progress import _Bar
from .console import plain, print_json, say, stdout
from .summary import span
from .tables import fact, figures

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.importers.found import Fault
    from cityguessr_data.importers.result import ImportResult

_LISTED = 20
_FACT = 10  # columns of the name of a fact
_LINE_EVERY_S = 10.0


class ImportProgress(_Bar):
    """A Listener of import_survey."""

    def __init__(self) -> None:
        super().__init__()
        self._n_clips = self._clips = self._frames = 0
        self._said_at = self._started = time.monotonic()

    def planned(self, n_units: int, n_clips: int) -> None:
        """See Listener."""
        self._n_clips = n_clips
        self._started = time.monotonic()
        what = f"{n_of(n_clips, 'clip')} of {n_of(n_units, 'source')}"
        say(f"{what}: frames that are new here are decoded once, none is copied")
        self._start("import", n_clips, 0)

    def unit_ended(self, unit_id: str, n_clips: int, n_frames: int, *, was_done: bool) -> None:
        """See Listener."""
        self._clips += n_clips
        self._frames += n_frames
        now = time.monotonic()
        text = f"{self._frames / max(now - self._started, 1e-6):,.0f} frames/s"
        if self._bars is not None:
            self._bars.update(self._task, completed=self._clips, text=text)
        elif now - self._said_at > _LINE_EVERY_S:
            say(f"[{self._clips}/{self._n_clips}] clips, {text}")
            self._said_at = now


def list_faults(faults: Sequence[Fault], more: str = "") -> None:
    """Faults on stderr, a line each, the first of them where there are many.

    Args:
        more: where the others are.
    """
    for fault in faults[:_LISTED]:
        say(f"  {plain(fault.path)}: {plain(fault.what)}")
    if len(faults) > _LISTED:
        say(f"  and {len(faults) - _LISTED:,} more{more}")


def fault_json(fault: Fault) -> dict[str, str]:
    """A fault as plain values, also where a name is no text."""
    return {name: text.encode("utf-8", "replace").decode() for name, text in vars(fault).items()}


def show_import(result: ImportResult, *, as_json: bool) -> None:
    """The end of an import; what was left out goes to stderr."""
    if as_json:
        print_json(_as_json(result))
    else:
        console = stdout()
        console.print(_counts(result))
        console.print()
        for name, value in _facts(result):
            console.print(fact(name, value, _FACT))
    if result.left:
        say(f"left out or missing: {n_of(len(result.left), 'item')}")
        list_faults(result.left, f", in {result.out}/import_left_out.csv")
        say("mend the source folder and run the same command again: it looks at these alone")


def _counts(result: ImportResult) -> Table:
    table = figures()
    table.add_column(result.kind)
    for name in ("here", "paper", "difference"):
        table.add_column(name, justify="right")
    for name in dict.fromkeys((*result.counts, *result.published)):
        here, paper = result.counts.get(name), result.published.get(name)
        difference = "" if paper is None else "none" if here == paper else f"{(here or 0) - paper:+,}"
        table.add_row(name, "–" if here is None else f"{here:,}", "–" if paper is None else f"{paper:,}", difference)
    return table


def _facts(result: ImportResult) -> Iterator[tuple[str, str]]:
    if result.n_frames_read:
        rate = result.n_frames_read / max(result.seconds, 1e-6)
        frames = n_of(result.n_frames_read, "frame")
        yield (
            "this run",
            f"{n_of(result.n_clips_new, 'clip')}, {frames} in {span(result.seconds)}: {rate:,.0f} frames/s",
        )
    else:
        yield "this run", "nothing to do"
    for name, parts in result.splits.items():
        sizes = ", ".join(f"{part} {n:,}" for part, n in parts.items())
        yield "split", f"{name}: {sizes}"
    if "by-clip" in result.splits:
        yield "rounding", "per city to the nearest clip, halves up; how the paper rounds is not known"
    for note in result.notes:
        yield "note", note
    yield "frames", _where(result)


def _where(result: ImportResult) -> str:
    stay = f"stay in {result.source}, as they came"
    n_clips, n_left = result.counts["clips"], result.n_unblurred
    if not n_left:
        return f"{stay}; the tables name blurred copies in {result.out}" if n_clips else stay
    some = f" of the other {n_of(n_left, 'clip')}" if n_left < n_clips else ""
    return f"{stay}: `cgtool anonymise {result.out}` makes blurred copies{some}"


def _as_json(result: ImportResult) -> dict[str, Any]:
    return {
        "out": str(result.out),
        "exit_code": result.exit_code,
        "from": result.kind,
        "source": str(result.source),
        "counts": dict(result.counts),
        "published": dict(result.published),
        "splits": {name: dict(parts) for name, parts in result.splits.items()},
        "run": {
            "sources": result.n_units,
            "already_done": result.n_units_done,
            "clips": result.n_clips_new,
            "frames": result.n_frames_read,
            "seconds": result.seconds,
        },
        "unblurred": result.n_unblurred,
        "left": [fault_json(fault) for fault in result.left],
        "notes": list(result.notes),
    }
