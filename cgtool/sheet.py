"""A sheet of the bench (a table of texts with notes) on the terminal; 80 columns are enough."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .console import plain, printing, stdout
from .tables import fact, figures

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from cityguessr_bench.tables.sheet import Sheet

_NOTE = 6  # columns of the word note
_NAME = 20  # columns of what stands on the left


def show_sheets(sheets: Sequence[Sheet]) -> None:
    """Print sheets one under the other, without spaces at the ends of lines where it is no terminal."""
    out = stdout()
    with printing():
        if out.is_terminal:
            _print(out, sheets)
            return
        with out.capture() as printed:
            _print(out, sheets)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _print(out: Console, sheets: Sequence[Sheet]) -> None:
    from rich.text import Text

    for number, sheet in enumerate(sheets):
        if number:
            out.print()
        out.print(Text(plain(sheet.title), style="bold"))
        out.print()
        table = figures()
        for at, column in enumerate(sheet.columns):
            # the first column gives way where the terminal is narrow
            words = at < sheet.n_left
            table.add_column(_cell(column), justify="left" if words else "right", no_wrap=at > 0, overflow="fold")
        for at, row in enumerate(sheet.rows):
            if at and at in sheet.groups:
                table.add_row(*[""] * len(sheet.columns))
            table.add_row(_cell(_folded(row[0])), *map(_cell, row[1:]))
        out.print(table)
        if sheet.notes:
            out.print()
        for note in sheet.notes:
            out.print(fact("note", note, _NOTE))


def _folded(text: str) -> str:
    """Names of runs are one long word: broken at hyphens, not in the middle of something."""
    lines = (textwrap.wrap(line, _NAME) or [""] for line in text.split("\n"))
    return "\n".join(part for parts in lines for part in parts)


def _cell(text: str) -> Text:
    """Lines as they are, without markup and control characters from outside."""
    from rich.text import Text

    return Text("\n".join(plain(line) for line in text.split("\n")))
