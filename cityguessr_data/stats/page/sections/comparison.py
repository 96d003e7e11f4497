"""Several data sets side by side: the rows of Table 1, their Lorenz curves, and how far the measures differ."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.types import LEVELS, Level
from ...comparison import Comparison, Difference
from ...results import ROUGH_BELOW, LevelStats, Stats
from ..blocks import Chart, Part, Plot, Row, Section, Select, Table, num, text
from ..charts.lorenz import Curve, height_at, keys, lorenz
from ..charts.whiskers import MEASURE_KEYS, Dot, whiskers
from ..drawing import page_spec
from ..words import LEVEL_NAMES, ONE_OF, interval, percent, plain
from .evenness import MEASURE_NAMES, show_measure


def comparison(stats: Stats, compared: Comparison | None, others: Sequence[Stats]) -> Section | None:
    """The section; None where there is nothing to compare with."""
    if compared is None and not others:
        return None
    parts: list[Part] = []
    if compared is not None and compared.rows:
        columns = (("", False), *((plain(name), False) for name in compared.names))
        rows = tuple(Row((text(what), *(text(plain(cell)) for cell in cells))) for what, cells in compared.rows)
        parts.append(Table("Side by side", columns, rows))
    curves = compared_curves([stats, *others], compared)
    if curves:
        parts.append(_curves(curves, compared_dots([stats, *others], compared)))
    if compared is not None and compared.differences:
        parts.append(_differences(compared))
    return Section("comparison", "Comparison", f"{plain(stats.name)} beside other data sets.", tuple(parts))


def compared_curves(every: Sequence[Stats], compared: Comparison | None) -> list[Curve]:
    """The Lorenz curve of every data set at every level that it has."""
    return [Curve(label, found.lorenz, level) for level, label, found in _by_level(every, compared)]


def compared_dots(every: Sequence[Stats], compared: Comparison | None) -> list[Dot]:
    """Gini and Hoover of every data set at every level that it has."""
    return [
        Dot(label, name, value, level)
        for level, label, found in _by_level(every, compared)
        for name, value in (("Gini", found.gini), ("Hoover", found.hoover))
    ]


def _by_level(every: Sequence[Stats], compared: Comparison | None) -> list[tuple[Level, str, LevelStats]]:
    """(level, unique label of the data set, what it has there), from the city up."""
    names = [plain(stats.name, 40) for stats in every]
    if compared is not None and len(compared.names) == len(every):
        names = [plain(name, 40) for name in compared.names]
    labels = [name if names.count(name) == 1 else f"{name} [{i + 1}]" for i, name in enumerate(names)]
    return [
        (level, label, found)
        for level in LEVELS
        for label, stats in zip(labels, every, strict=True)
        if (found := stats.levels.get(level)) is not None
    ]


def _curves(curves: list[Curve], dots: list[Dot]) -> Plot:
    groups = list(dict.fromkeys(curve.group for curve in curves))
    labels = list(dict.fromkeys(curve.label for curve in curves))
    rows = [row for group in groups for row in _rows(group, labels, curves, dots)]
    columns = (("", False), *((label, True) for label in labels))
    description = f"Lorenz curves of {', '.join(labels)}."
    dotted = f"Gini and Hoover with intervals of {', '.join(labels)}."
    return Plot(
        "Lorenz curves and measures of all data sets",
        "One curve a data set at the chosen level: the lower, the less even. Lines beside the dots are 95 % intervals. "
        "Click a name to bring out its curve.",
        (
            Chart("lorenz-compared", page_spec(lorenz(curves, groups[0]), description, 380), "half"),
            Chart("whiskers-compared", page_spec(whiskers(dots, groups[0]), dotted, 56 * len(labels)), "half"),
        ),
        Table("Lorenz curves and measures", columns, tuple(rows)),
        selects=(Select("level", "Level", tuple((g, LEVEL_NAMES[g]) for g in groups)),),
        legend=(*keys(curves), *MEASURE_KEYS),
        toggles=True,
        wide=True,
    )


def _rows(group: str, labels: list[str], curves: list[Curve], dots: list[Dot]) -> list[Row]:
    """The numbers behind one level: the measures, and the curves at every tenth."""
    made = []
    for measure in dict.fromkeys(dot.measure for dot in dots):
        values = {dot.row: dot.value for dot in dots if (dot.group, dot.measure) == (group, measure)}
        cells = [
            num(values[name].value, interval(values[name])) if name in values else num(None, "") for name in labels
        ]
        made.append(Row((text(measure), *cells), level=group))
    points = {curve.label: curve.points for curve in curves if curve.group == group}
    for i in range(1, 10):
        heights = [height_at(points[name], i / 10) if name in points else None for name in labels]
        what = text(f"Clips in the smallest {percent(i / 10, 1, 0)} of classes")
        made.append(Row((what, *(num(y, percent(y or 0)) for y in heights)), level=group))
    return made


def _differences(compared: Comparison) -> Table:
    rows = tuple(
        Row(
            (
                text(ONE_OF[one.level]),
                text(MEASURE_NAMES.get(one.measure, plain(one.measure))),
                text(plain(one.other)),
                num(
                    one.change.value,
                    show_measure(one.measure, one.change, signed=True, rough=one.rough),
                    "strong" if differs(one) else "",
                ),
                text(_verdict(one), "strong" if differs(one) else "quiet"),
            )
        )
        for one in compared.differences
    )
    columns = (("Level", False), ("Measure", False), ("Data set", False), ("Change", True), ("Differs", False))
    note = f"Change: the other data set minus {plain(compared.names[0])}. It differs where the interval leaves out 0."
    if any(one.rough and one.change.low is not None for one in compared.differences):
        note += (
            f" ≈ rough: one of the two has fewer than {ROUGH_BELOW} classes at that level; the interval is "
            "too narrow to say whether they differ."
        )
    return Table("Differences", columns, rows, note)


def differs(one: Difference) -> bool:
    """Whether the interval leaves out 0; of a rough one this is not said."""
    low, high = one.change.low, one.change.high
    return not one.rough and low is not None and high is not None and (low > 0 or high < 0)


def _verdict(one: Difference) -> str:
    if one.change.low is None:
        return "no interval"
    if one.rough:
        return "too few classes"
    return "● yes" if differs(one) else "not clearly"
