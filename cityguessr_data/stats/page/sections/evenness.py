"""How even: the measures with their intervals, and the Lorenz curves of the four levels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ....core.types import LEVELS, Level
from ...results import ROUGH_BELOW, Interval, LevelStats, Stats
from ..blocks import Cell, Chart, Plot, Row, Section, Table, num, text
from ..charts.lorenz import Curve, height_at, keys, lorenz
from ..charts.whiskers import MEASURE_KEYS, Dot, whiskers
from ..drawing import page_spec
from ..words import LEVEL_NAMES, ONE_OF, interval, many, number, percent

MEASURE_NAMES = {
    "gini": "Gini coefficient",
    "hoover": "Hoover index",
    "theil": "Theil index",
    "effective_classes": "Effective number of classes",
    "top10_share": "Share of the top 10\u00a0%",
}
_MEANINGS = {
    "gini": "0: every class has as many clips; near 1: one class has nearly all",
    "hoover": "the share of clips that would have to move for an even spread",
    "theil": "0: even; ln of the number of classes: one class has all",
    "effective_classes": "so many even classes would be as diverse",
    "top10_share": "clips that the largest tenth of the classes hold; of fewer than 10, a part of the largest",
}


def evenness(stats: Stats) -> Section:
    """The section; levels that the data does not have say why."""
    found = [level for level in LEVELS if stats.levels.get(level) is not None]
    blank = tuple(f"{LEVEL_NAMES[level]}: {_reason(stats, level)}" for level in LEVELS if level not in found)
    levels = {level: known for level in found if (known := stats.levels[level]) is not None}
    parts = (_measures(levels), _curves(list(levels.values())), _whiskers(list(levels.values()))) if levels else ()
    return Section(
        "evenness",
        "Evenness",
        "How evenly clips are spread over the classes. In brackets: 95 % bootstrap intervals over classes.",
        parts,
        blank,
    )


def show_measure(measure: str, value: Interval, signed: bool = False, rough: bool = False) -> str:
    """A measure with its interval, in the unit that people read it in; a rough interval gets its mark."""
    mark = "\u00a0≈" if rough and value.low is not None else ""
    if measure == "top10_share":
        return interval(value, 1, in_percent=True, signed=signed) + mark
    return interval(value, 1 if measure == "effective_classes" else 2, signed=signed) + mark


def decile_table(curves: Sequence[Curve]) -> Table:
    """The curves at every tenth of the classes."""
    shares = [i / 10 for i in range(11)]
    rows = []
    for share in shares:
        heights = [height_at(curve.points, share) for curve in curves]
        rows.append(Row((num(share, percent(share, 1, 0)), *(num(y, percent(y)) for y in heights))))
    columns = (("Smallest classes", True), *((curve.label, True) for curve in curves))
    return Table("Share of all clips that the smallest classes hold", columns, tuple(rows))


def _measures(levels: dict[Level, LevelStats]) -> Table:
    rows = [
        Row((text("Classes"), *(num(s.n_classes, f"{s.n_classes:,}") for s in levels.values()), _aside("in the data")))
    ]
    for measure, name in MEASURE_NAMES.items():
        cells = [_measured(measure, stats) for stats in levels.values()]
        rows.append(Row((text(name), *cells, _aside(_MEANINGS[measure]))))
    columns = (("Measure", False), *((LEVEL_NAMES[level], True) for level in levels), ("What it says", False))
    return Table("Measures", columns, tuple(rows), _measures_note(levels.values()))


def _measured(measure: str, stats: LevelStats) -> Cell:
    value: Interval = getattr(stats, measure)
    return num(value.value, show_measure(measure, value, rough=stats.rough))


def _measures_note(levels: Collection[LevelStats]) -> str:
    """What few classes do to the numbers."""
    said = []
    rough = [s for s in levels if s.rough and any(getattr(s, measure).low is not None for measure in MEASURE_NAMES)]
    if rough:
        names = ", ".join(LEVEL_NAMES[s.level].lower() for s in rough)
        said.append(f"≈ rough ({names}): with fewer than {ROUGH_BELOW} classes such intervals are too narrow.")
    few = [
        f"{percent(s.n_classes, 10, 0)} with {many(s.n_classes, ONE_OF[s.level], LEVEL_NAMES[s.level].lower())}"
        for s in levels
        if s.n_classes < 10
    ]
    if few:
        said.append(
            "The top 10\u00a0% of fewer than 10 classes is a part of the largest one, and so at most a tenth of their "
            f"number: {', '.join(few)}."
        )
    return " ".join(said)


def _aside(words: str) -> Cell:
    return text(words, "aside")


def _curves(levels: list[LevelStats]) -> Plot:
    curves = [Curve(f"{LEVEL_NAMES[s.level]} ({s.n_classes:,})", s.lorenz) for s in levels]
    ginis = ", ".join(f"{LEVEL_NAMES[s.level].lower()} {number(s.gini.value)}" for s in levels)
    return Plot(
        "Lorenz curves",
        "The further a curve sags below the straight line, the more of the clips are in few classes. "
        "Click a name to bring out its curve.",
        (Chart("lorenz", page_spec(lorenz(curves), f"Lorenz curves. Gini: {ginis}.", 380)),),
        decile_table(curves),
        legend=keys(curves),
        toggles=True,
    )


def whisker_table(dots: Sequence[Dot], what: str) -> Table:
    """The dots as numbers; those of a group are shown while it is selected."""
    rows = tuple(
        Row(
            (
                text(dot.row),
                text(dot.measure),
                num(dot.value.value, number(dot.value.value, 3)),
                num(dot.value.low, number(dot.value.low, 3)),
                num(dot.value.high, number(dot.value.high, 3)),
            ),
            level=dot.group,
        )
        for dot in dots
    )
    columns = ((what, False), ("Measure", False), ("Value", True), ("From", True), ("To", True))
    return Table("Gini and Hoover", columns, rows)


def level_dots(levels: Sequence[LevelStats]) -> list[Dot]:
    """Gini and Hoover of every level."""
    return [
        Dot(LEVEL_NAMES[s.level], name, value)
        for s in levels
        for name, value in (("Gini", s.gini), ("Hoover", s.hoover))
    ]


def _whiskers(levels: list[LevelStats]) -> Plot:
    dots = level_dots(levels)
    said = "; ".join(f"{dot.row} {dot.measure} {interval(dot.value)}" for dot in dots)
    return Plot(
        "Gini and Hoover by level",
        "0 is even. The lines are 95 % intervals: how far another choice of such classes could have moved the figure.",
        (Chart("whiskers", page_spec(whiskers(dots), f"Gini and Hoover with intervals. {said}.", 80 * len(levels))),),
        whisker_table(dots, "Level"),
        legend=MEASURE_KEYS,
    )


def _reason(stats: Stats, level: Level) -> str:
    return stats.blank.get(level, "the data does not say.")
