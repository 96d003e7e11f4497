"""CSV files that people open in a spreadsheet: no cell from outside is taken for a formula there."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.tables import harmless
from cityguessr_data.importers.found import Fault
from cityguessr_data.importers.importing import _write_left
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.store import Store
from tests.support_export import reviewed, run_export

FORMULAS = (
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-1+2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "=1\r\nhttps://evil.example/x.mp4,Tokyo\rx",
    "  =1",
)
NUMBERS = ("-73.98", "+1.5", "-1e-3", "0", "-7")


def quoted(cell: str) -> str:
    """As it is written: every kind of line break as one that `csv` quotes."""
    return "'" + "\n".join(re.split("\r\n|\r", cell))


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_becomes_text(cell: str) -> None:
    assert harmless(cell) == quoted(cell)


@pytest.mark.parametrize("cell", [*NUMBERS, "", "A walk", "5 - 6", "a=b", "東京 散歩"])
def test_numbers_and_other_texts_stay(cell: str) -> None:
    assert harmless(cell) == cell


def test_a_table_of_links_holds_no_formula(tmp_path: Path) -> None:
    further = {f"c{n}": cell for n, cell in enumerate((*FORMULAS, *NUMBERS))}
    out = reviewed(tmp_path / "out", extra={"walk": further})
    part = out / "parts" / "videos" / "walk.parquet"
    table = pq.read_table(part)
    at = table.column_names.index("license")
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array([FORMULAS[0]])), part)
    assemble(Store(out))
    run_export(out, "links", tmp_path / "links")
    with (tmp_path / "links" / "links.csv").open(newline="", encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f) if row["video_id"] == "walk"]
    assert rows and rows[0]["license"] == f"'{FORMULAS[0]}"
    assert len(rows) == 3, "a carriage return begins no row"
    for name, cell in further.items():
        assert rows[0][name] == (cell if cell in NUMBERS else quoted(cell))


def test_a_list_of_what_was_left_out_holds_none(tmp_path: Path) -> None:
    _write_left(tmp_path, (Fault("=evil.jpg", "@what"), Fault("ok.jpg", "is no picture")))
    (written,) = tmp_path.iterdir()
    with written.open(newline="", encoding="utf-8") as f:
        assert list(csv.reader(f))[1:] == [["'=evil.jpg", "'@what"], ["ok.jpg", "is no picture"]]
