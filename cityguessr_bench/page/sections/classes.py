"""Class by class: what was found, what was guessed too often, and what is taken for what."""

from __future__ import annotations

from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import Chart, Plot, Row, Section, Table, num, text
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.words import DASH, ONE_OF, many, percent, search_key

from ...classes import Classes
from ...results import SHOWN_FIRST, Results
from ..charts.confusion_map import KEYS, MAX_CELLS, Cell, cells, confusion_map, filled
from ..charts.confusion_map import rows as drawn_rows
from ..show import level_select, name, where

_MAX_PAIRS = 100


def classes_section(results: Results, classes: Classes) -> Section:
    """The section."""
    intro = f"How each city, state, country and continent fared, {SHOWN_FIRST}."
    return Section("classes", "Classes", intro, (_table(results, classes),))


def confusion_section(results: Results, classes: Classes) -> Section:
    """The section."""
    found = {level: cells(results.modes[SHOWN_FIRST].levels[level].confusion) for level in LEVELS}
    return Section(
        "confusion",
        "Confusion",
        f"What is taken for what, {SHOWN_FIRST}.",
        (_map(results, classes, found), _pairs(results, found)),
    )


def _table(results: Results, classes: Classes) -> Table:
    rows = []
    for level in LEVELS:
        for one in results.modes[SHOWN_FIRST].levels[level].per_class:
            confused = DASH if one.confused_with is None else name(results, level, one.confused_with)
            confused += f" ({one.n_confused:,})" if one.n_confused else ""
            cells_of_row = (
                text(name(results, level, one.label)),
                num(one.n, f"{one.n:,}"),
                num(one.recall, DASH if one.recall is None else percent(one.recall)),
                num(one.precision, DASH if one.precision is None else percent(one.precision)),
                num(one.n_predicted, f"{one.n_predicted:,}"),
                text(confused, "quiet" if one.confused_with is None else ""),
                text(where(classes, level, one.label), "aside"),
            )
            rows.append(Row(cells_of_row, level=level, key=search_key(results.names[level][one.label])))
    columns = (
        ("Class", False),
        ("Clips", True),
        ("Recall", True),
        ("Precision", True),
        ("Guessed", True),
        ("Confused with", False),
        ("In", False),
    )
    note = (
        "Recall: of its clips, the share that was found. Precision: of the clips that were taken for it, the share "
        "that was. Confused with: what its other clips were mostly taken for. An en dash: there are none. "
        f"{_absent(results)}"
    )
    return Table("Every class", columns, tuple(rows), note.strip(), selects=(level_select(results),), searches=True)


def _absent(results: Results) -> str:
    scores = results.modes[SHOWN_FIRST].levels["city"]
    n = results.n_classes["city"] - scores.n_classes_present
    return f"{many(n, 'city has', 'cities have')} no clip among those evaluated." if n else ""


def _map(results: Results, classes: Classes, found: dict[Level, list[Cell]]) -> Plot:
    charts = []
    for level in LEVELS:
        wrong = next((cell for cell in found[level] if cell.truth != cell.predicted), None)
        said = "Nothing is confused."
        if wrong is not None:
            pair = f"{name(results, level, wrong.truth)} taken for {name(results, level, wrong.predicted)}"
            said = f"Most often: {pair}, {many(wrong.n, 'clip', 'clips')}."
        spec = page_spec(confusion_map(classes, level), f"Confusion of {ONE_OF[level]}. {said}", "container")
        drawn = drawn_rows(found[level], classes, level)
        charts.append(Chart(f"confusion-{level}", filled(spec, drawn), "square", level=level))
    cut = [level for level in LEVELS if len(found[level]) > MAX_CELLS]
    of = " and ".join(f"the {len(found[level]):,} of level {level}" for level in cut)
    facts = f"The {MAX_CELLS:,} fullest cells are drawn of {of}." if cut else ""
    fullest = tuple(_row(results, level, cell) for level in LEVELS for cell in found[level][:_MAX_PAIRS])
    columns = (("True", False), ("Predicted", False), ("Clips", True), ("Of the true class", True))
    return Plot(
        "Confusion map",
        "Rows are true classes, columns what they were taken for; the stronger a colour, the larger the share of the "
        "row. Classes stand by continent, country and name: confusion of neighbours lies near the diagonal.",
        tuple(charts),
        Table("Fullest cells", columns, fullest, f"At most {_MAX_PAIRS} a level."),
        facts=facts,
        selects=(level_select(results),),
        legend=KEYS,
    )


def _row(results: Results, level: Level, cell: Cell) -> Row:
    cells_of_row = (
        text(name(results, level, cell.truth)),
        text(name(results, level, cell.predicted)),
        num(cell.n, f"{cell.n:,}"),
        num(cell.share, percent(cell.share)),
    )
    return Row(cells_of_row, level=level)


def _pairs(results: Results, found: dict[Level, list[Cell]]) -> Table:
    rows = []
    for level in LEVELS:
        wrong = [cell for cell in found[level] if cell.truth != cell.predicted]
        rows += [_row(results, level, cell) for cell in wrong[:_MAX_PAIRS]]
        if not wrong:
            rows.append(
                Row((text("Nothing is confused.", "quiet"), text(""), num(None, ""), num(None, "")), level=level)
            )
    columns = (("True", False), ("Taken for", False), ("Clips", True), ("Of the true class", True))
    return Table(
        "Most frequent confusions",
        columns,
        tuple(rows),
        f"At most {_MAX_PAIRS} a level, most clips first.",
        wide=False,
        selects=(level_select(results),),
    )
