"""The published numbers: of the paper's tables, and of later work on CityGuessr68k. They live in one file.

manifests/published/results.csv has a line a number: table (1 to 6, s1 to s3, `later`), key of the row, row, level,
metric (top1, top5 in per cent; `text` in Table 1), value, the evaluation mode as far as it can be known, on what that
rests, and who published it. The paper's are in its Tables 1 to 6 and its supplement's Tables 1 to 3.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cityguessr_data.core.errors import MachineError
from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.types import LEVELS, Level

from ..hierarchy import MODES, Mode

_FILE = "published/results.csv"
LATER = "later"
"""The table of results that came after the paper, all on its published split."""
MSLS = "6"
"""The one table whose numbers are not of CityGuessr68k."""
N_TEST = 13_655
"""Clips of the published test part."""
N_CLASSES: Mapping[Level, int] = {"city": 166, "state": 157, "country": 91, "continent": 6}
_COLUMNS = ["table", "key", "row", "level", "metric", "value", "mode", "basis", "source"]


@dataclass(frozen=True)
class Published:
    """One number, or one text of Table 1."""

    table: str
    key: str
    row: str
    level: Level | None
    """None in Table 1."""
    metric: str
    value: str
    """As printed there: 69.6 is per cent."""
    mode: Mode | None
    """The evaluation mode; None: not stated, and no other table tells."""
    basis: str
    """How the mode is known."""
    source: str


@cache
def published() -> tuple[Published, ...]:
    """Every number, in the order of the file.

    Raises:
        MachineError: the file is missing or damaged; the installation is broken.
    """
    path = manifest_path(_FILE)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if reader.fieldnames != _COLUMNS:
        raise MachineError(f"{path} has other columns than {', '.join(_COLUMNS)}", "Reinstall cgtool with pip")
    return tuple(_row(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2))


def of_row(table: str, key: str) -> tuple[Published, ...]:
    """The numbers of one row; empty where the paper has no such row."""
    return tuple(one for one in published() if (one.table, one.key) == (table, key))


def is_published_split(split: str, n_test: int, sizes: Mapping[Level, int]) -> bool:
    """Whether a run was tested on CityGuessr68k's published test part, as far as its record tells.

    Args:
        split: its name; `published` is what the importer calls it.
        n_test: clips scored.
        sizes: classes by level.
    """
    return split == "published" and n_test == N_TEST and dict(sizes) == dict(N_CLASSES)


def _row(row: dict[str, str], where: str) -> Published:
    levels: dict[str, Level] = {level: level for level in LEVELS}
    modes: dict[str, Mode] = {mode: mode for mode in MODES}
    if row["level"] not in ("", *levels) or row["mode"] not in ("", *modes) or not row["value"]:
        raise MachineError(f"{where}: {row}", "Reinstall cgtool with pip")
    level, mode = levels.get(row["level"]), modes.get(row["mode"])
    named = {name: row[name] for name in ("table", "key", "row", "metric", "value", "basis", "source")}
    return Published(**named, level=level, mode=mode)
