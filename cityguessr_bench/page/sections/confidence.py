"""Whether confidence can be believed: the reliability plot and ECE of every level and mode."""

from __future__ import annotations

from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.page.blocks import Chart, Plot, Row, Section, Table, num, text
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.words import DASH, LEVEL_NAMES, number, percent

from ...results import SHOWN_FIRST, Results
from ..charts.reliability import KEYS, counts, reliability
from ..show import level_select, mode_select, modes_first


def confidence(results: Results) -> Section:
    """The section."""
    return Section(
        "calibration",
        "Calibration",
        "Whether the model is as often right as it says: where it is 80\u00a0% sure, it should be right on 80\u00a0%.",
        (_plot(results), _table(results)),
    )


def _plot(results: Results) -> Plot:
    first = results.modes[SHOWN_FIRST].levels
    said = ", ".join(f"{LEVEL_NAMES[level].lower()} {number(first[level].calibration.ece, 3)}" for level in LEVELS)
    rows = tuple(
        Row(
            (
                num(one.low, f"{percent(one.low, 1, 0)} to {percent(one.high, 1, 0)}"),
                num(one.n, f"{one.n:,}"),
                num(one.confidence, DASH if one.confidence is None else percent(one.confidence)),
                num(one.accuracy, DASH if one.accuracy is None else percent(one.accuracy)),
            ),
            level=level,
        )
        for level in LEVELS
        for one in first[level].calibration.bins
    )
    columns = (("Confidence", True), ("Clips", True), ("Mean confidence", True), ("Right", True))
    description = f"Reliability plot. ECE under {SHOWN_FIRST}: {said}."
    return Plot(
        "Reliability",
        "A bar below its orange line: the model is too sure there. Below, how many clips each bar stands for.",
        (
            Chart("reliability", page_spec(reliability(), description, 230)),
            Chart("reliability-counts", page_spec(counts(), "How many clips fall into each bin of confidence.", 70)),
        ),
        Table(f"Bins of confidence, {SHOWN_FIRST}", columns, rows),
        facts=f"ECE under {SHOWN_FIRST}: {said}.",
        selects=(level_select(results), mode_select()),
        legend=KEYS,
    )


def _table(results: Results) -> Table:
    rows = []
    for mode in modes_first():
        for level in LEVELS:
            found = results.modes[mode].levels[level].calibration
            cells = (
                text(mode, "strong" if mode == SHOWN_FIRST else ""),
                text(LEVEL_NAMES[level]),
                num(found.ece, number(found.ece, 3)),
                num(found.confidence, percent(found.confidence)),
                num(found.accuracy, percent(found.accuracy)),
            )
            rows.append(Row(cells))
    columns = (("Mode", False), ("Level", False), ("ECE", True), ("Mean confidence", True), ("Right", True))
    note = "ECE, expected calibration error: the gap between bar and line, its mean over clips; 0 is best. 15 bins."
    return Table("Expected calibration error", columns, tuple(rows), note, wide=False)
