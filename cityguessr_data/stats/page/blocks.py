"""What a section of the page is made of, as values that the template lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .words import DASH, percent

Spec = dict[str, Any]
"""A Vega-Lite chart as JSON."""


Style = Literal["", "quiet", "strong", "warn", "aside"]
"""`aside`: in the last column, left out where there is little room."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    value: float | str | None
    """What sorting compares; None sorts last."""
    style: Style = ""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    cells: tuple[Cell, ...]
    level: str = ""
    """Shown only while this level is selected; empty: always."""
    key: str = ""
    """What a search is compared with; empty: the row is not searched."""


@dataclass(frozen=True)
class Table:
    """A table that sorts. `kind` tells the template what it is."""

    caption: str
    columns: tuple[tuple[str, bool], ...]
    """(heading, whether its cells are numbers)."""
    rows: tuple[Row, ...]
    note: str = ""
    wide: bool = True
    selects: tuple[Select, ...] = ()
    """Above the table; of a plot's table they stand above the plot."""
    searches: bool = False
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Select:
    """A choice above a plot or table that sets a parameter of its charts, and the rows that its table shows."""

    param: str
    label: str
    options: tuple[tuple[str, str], ...]
    """(value, text); the first is selected."""


@dataclass(frozen=True)
class Chart:
    """One drawing of a plot."""

    name: str
    """Of the element, unique on the page."""
    spec: Spec
    shape: Literal["", "map", "map half", "square", "scrolls", "half"] = ""
    """`map`, `square`: its box has a fixed aspect; `scrolls`: it may be tall, and scrolls in a box of its own; `half`:
    it stands beside another where there is room."""
    level: str = ""
    """Shown only while this level is selected; empty: always."""
    title: str = ""
    """Above the chart, where a plot has several."""


@dataclass(frozen=True)
class Key:
    """One entry of a legend."""

    label: str
    colour: str
    """By its name in the theme, e.g. `curve0`."""
    dash: tuple[int, ...] | None = None
    """Drawn as a line with these dashes (`(1, 0)`: none); None: as a square."""


@dataclass(frozen=True)
class Plot:
    """A plot with a heading, one sentence that says what to read in it, and the numbers behind it."""

    heading: str
    sentence: str
    charts: tuple[Chart, ...]
    table: Table
    facts: str = ""
    """Figures in words, under the plot."""
    selects: tuple[Select, ...] = ()
    searches: bool = False
    legend: tuple[Key, ...] = ()
    """In HTML: it wraps, and can be worked by keyboard."""
    toggles: bool = False
    """Whether a press on an entry of the legend brings out its curve (parameter `picked`)."""
    wide: bool = False
    kind: Literal["plot"] = "plot"


@dataclass(frozen=True)
class Words:
    """A heading with paragraphs."""

    heading: str
    paragraphs: tuple[str, ...]
    wide: bool = True
    kind: Literal["words"] = "words"


@dataclass(frozen=True)
class Picture:
    """A small picture inside the page."""

    source: str
    """A `data:` address."""
    words: str
    """What a screen reader says in its place."""
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Bar:
    """One row of a short list with shares."""

    label: str
    share: float
    """0 to 1."""
    shown: str
    marked: str = ""
    """What sets it off from the others, in a word, e.g. `true`; empty: nothing."""


@dataclass(frozen=True)
class Card:
    """One item of a gallery."""

    heading: str
    lines: tuple[str, ...]
    picture: Picture | None = None
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Cards beside each other, with pictures or bars. Without cards its sentence says why."""

    heading: str
    sentence: str
    cards: tuple[Card, ...]
    wide: bool = True
    kind: Literal["gallery"] = "gallery"


Part = Plot | Table | Words | Gallery


@dataclass(frozen=True)
class Section:
    """One section of the page; without parts it says why it is empty."""

    name: str
    """Of the anchor."""
    title: str
    intro: str
    parts: tuple[Part, ...]
    blank: tuple[str, ...] = ()
    """Why it, or a part of it, is empty."""


def text(shown: str, style: Style = "") -> Cell:
    """A cell of text."""
    return Cell(shown, shown.lower(), style)


def num(value: float | None, shown: str, style: Style = "") -> Cell:
    """A cell of a number; an en dash for None."""
    return Cell(DASH if value is None else shown, value, style)


def counts_table(caption: str, what: str, counts: Mapping[str, int], unit: str, cap: int | None = None) -> Table:
    """A table of counts with their share of all."""
    total = sum(counts.values())
    shown: Sequence[tuple[str, int]] = list(counts.items())[:cap]
    left = len(counts) - len(shown)
    rows = [Row((text(name), num(n, f"{n:,}"), num(n, percent(n, total)))) for name, n in shown]
    note = f"The first {len(shown):,} of {len(counts):,}; the JSON has all." if left else ""
    return Table(caption, ((what, False), (unit, True), ("Share", True)), tuple(rows), note)
