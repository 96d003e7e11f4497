"""What commands list at their end: the first few of many names or lines, what failed, and how a run was cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .console import plain, say
from .tables import cut

if TYPE_CHECKING:
    from cityguessr_data.over_frames.go import StageResult
    from cityguessr_data.over_frames.label import FileResult

LISTED = 10
"""How many are named; --json has them all."""


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(cut(name) for name in names[:LISTED])}{more}"


def list_lines(lines: Sequence[str]) -> None:
    """The first lines on stderr, and how many more there are."""
    for line in lines[:LISTED]:
        say(f"  {plain(line)}")
    if len(lines) > LISTED:
        say(f"  and {len(lines) - LISTED:,} more; --json lists them all")


def list_failed(result: StageResult) -> None:
    """The videos of a run over frames that failed."""
    if result.report.failed:
        say("failed, and left as before:")
        list_lines([f"{f.video_id}: {f.error_class}: {f.message}" for f in result.report.failed])


def say_cut_off(result: StageResult | FileResult) -> None:
    """That a run was stopped or interrupted, where it was."""
    if result.stopped:
        say(f"stopped: {plain(str(result.stopped))}")
    if result.interrupted:
        say("interrupted: what is done is kept; the same command goes on from here")
