"""Table 1: counts of a data set beside those that the paper prints for Mapillary and CityGuessr68k. Nothing is trained.

It is the comparison of `cgtool stats --compare` with two more columns. The paper's 14,965 has a star, and the table's
last line is "Samples with 15 frames or more": it is read as what the star says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .published import of_row
from .sheet import Sheet

_PAPER = {"cityguessr68k": "CityGuessr68k (paper)", "mapillary": "Mapillary (paper)"}
_BLANK = "–"


def table1(data: Path, others: Sequence[Path] = ()) -> Sheet:
    """Measure data sets, and put the paper's counts beside them.

    Args:
        data: an output directory, a clips table or a table of counts.
        others: more of them.
    Raises:
        InputError: there is nothing that can be measured.
    """
    from cityguessr_data.stats.comparison import compare
    from cityguessr_data.stats.report import measure

    measured = [measure(path) for path in (data, *others)]
    comparison = compare(measured[0], measured[1:])
    paper = {key: {one.row: one.value for one in of_row("1", key)} for key in _PAPER}
    rows = tuple((name, *values, *(paper[key].get(name, _BLANK) for key in _PAPER)) for name, values in comparison.rows)
    notes = (
        "Number of samples: clips here, sequences in Mapillary",
        "The paper's 14,965 has a star: samples with 15 frames or more",
        "Gini, Hoover and their intervals: cgtool stats",
    )
    return Sheet("Table 1: data sets", ("", *comparison.names, *_PAPER.values()), rows, notes)


def table1_json(sheet: Sheet) -> dict[str, Any]:
    """By data set, by row."""
    return {
        "table": "1",
        "data": {name: {row[0]: row[at] for row in sheet.rows} for at, name in enumerate(sheet.columns[1:], start=1)},
    }
