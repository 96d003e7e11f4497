"""Several data sets side by side: the rows of the paper's Table 1, and how far the measures differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.types import LEVELS, Level
from .inequality import MEASURES
from .intervals import difference
from .results import ROUGH_BELOW, Interval, Stats

UNKNOWN = "not known"
_LEVEL_ROWS = {"city": "cities", "state": "states/provinces", "country": "countries", "continent": "continents"}


@dataclass(frozen=True)
class Difference:
    """One measure of another data set minus that of the first, at one level, with its interval."""

    level: Level
    measure: str
    other: str
    """Name of the other data set."""
    change: Interval
    rough: bool
    """Whether one of the two has fewer classes than ROUGH_BELOW."""


@dataclass(frozen=True)
class Comparison:
    """Several data sets side by side."""

    names: tuple[str, ...]
    """Unique; the first is the one that the others are compared with."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Rows of the paper's Table 1: (what, one text a data set); `not known` where the data does not say."""
    differences: tuple[Difference, ...]


def compare(first: Stats, others: Sequence[Stats]) -> Comparison:
    """Compare `others` with `first`: Table 1 of the paper, and every measure at every level that both have."""
    every = (first, *others)
    names = unique_names(every)
    columns = [_table1(stats) for stats in every]
    return Comparison(
        names=names,
        rows=tuple((row, tuple(column[row] for column in columns)) for row in columns[0]),
        differences=tuple(
            d for other, name in zip(others, names[1:], strict=True) for d in _differences(first, other, name)
        ),
    )


def unique_names(every: Sequence[Stats]) -> tuple[str, ...]:
    """Names to show: a second data set of the same name gets a number."""
    names: list[str] = []
    for stats in every:
        name, n = stats.name, 2
        while name in names:
            name, n = f"{stats.name} ({n})", n + 1
        names.append(name)
    return tuple(names)


def _table1(stats: Stats) -> dict[str, str]:
    footage = stats.footage
    rows = {"Number of samples": f"{stats.size.n_clips:,}"}
    for level in LEVELS:
        found = stats.levels[level]
        rows[f"Number of {_LEVEL_ROWS[level]}"] = UNKNOWN if found is None else f"{found.n_classes:,}"
    rows["Consistent sequence length"] = _yes(footage.one_length if footage else None)
    rows["Video sequence"] = _yes(footage.from_video if footage else None)
    rows["Uniformly organised"] = _yes(footage.own_folders if footage else None)
    rows["Frame resolution"] = _resolution(stats)
    from_15 = footage.n_from_15_frames if footage else None
    rows["Samples with 15 frames or more"] = UNKNOWN if from_15 is None else f"{from_15:,}"
    return rows


def _yes(value: bool | None) -> str:
    return UNKNOWN if value is None else ("Yes" if value else "No")


def _resolution(stats: Stats) -> str:
    """The commonest, with its share where there are others."""
    known = stats.footage.resolution if stats.footage else {}
    name = next(iter(known), "unknown")
    if name == "unknown":
        return UNKNOWN
    share = known[name] / sum(known.values())
    return name if share == 1 else f"{name} ({share:.0%})"


def _differences(first: Stats, other: Stats, name: str) -> list[Difference]:
    found = []
    for level in LEVELS:
        a, b = first.levels[level], other.levels[level]
        if a is None or b is None:
            continue
        counts = [c.n_clips for c in a.classes], [c.n_clips for c in b.classes]
        rough = min(map(len, counts)) < ROUGH_BELOW
        found += [
            Difference(level, name_of_measure, name, difference(*counts, measure), rough)
            for name_of_measure, measure in MEASURES.items()
        ]
    return found
