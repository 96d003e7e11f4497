"""Small tables on the terminal: figures in columns, facts in lines, names from outside made safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import plain

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.stats.results import Leakage

_LONGEST_NAME = 60


def figures() -> Table:
    """An empty table without lines, its heads in bold."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def fact(name: str, value: str, width: int) -> Table:
    """One line, folded where it is long: a name, in `width` columns, and what there is to say."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=width)
    table.add_column()
    table.add_row(Text(name, style="bold"), Text(plain(value), overflow="fold"))
    return table


def cut(name: str) -> str:
    """A name from outside on one line, cut where it is very long."""
    name = plain(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def cut_words(text: str) -> str:
    """A sentence with its long words cut: they are names from outside."""
    return " ".join(cut(word) for word in plain(text).split(" "))


def safe(name: str) -> str:
    """A name from outside for rich: no control characters, no markup, not too long."""
    from rich.markup import escape

    return escape(cut(name))


def share(n: int | None, of: int) -> str:
    """A part of a whole in per cent; a dash where it is not known."""
    return "–" if n is None else "none" if n == 0 else f"{n / of:.1%}"


def leaks(leak: Leakage) -> str:
    """What train has of a split's test clips; what the data cannot tell is left out."""
    counts = {
        "their source video": leak.n_same_video,
        "their channel": leak.n_same_channel,
        "the clip next to them": leak.n_adjacent,
        "a near-duplicate": leak.n_duplicate,
    }
    shares = [f"{share(n, leak.n_test)} have {what}" for what, n in counts.items() if n is not None]
    clips = f"{leak.n_test:,} test clip{'' if leak.n_test == 1 else 's'}"
    return f"of {clips}, {', '.join(shares)} in train" if shares else f"of {clips} no source is known"
