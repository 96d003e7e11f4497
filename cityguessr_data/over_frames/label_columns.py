"""Reads the wanted columns of a large CSV or Parquet table as arrays, and keeps the line of every fault.

core/tables.py reads tables a person wrote, cell by cell; a file of frame labels may have millions of rows.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from ..core.errors import InputError, TableError
from ..core.tables import Fault

if TYPE_CHECKING:
    import numpy.typing as npt

_WHOLE = r"^[+-]?[0-9]{1,15}$"
_REAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"


@dataclass(frozen=True)
class LabelTable:
    """Columns as text, empty where there is no value; `names` are all of the file's."""

    columns: dict[str, pa.Array]
    names: tuple[str, ...]
    lines: npt.NDArray[np.int64]
    """Line of each row in the file, the header's is 1; row number + 1 for Parquet."""
    faults: tuple[Fault, ...]


def read_columns(path: Path, wanted: tuple[str, ...]) -> LabelTable:
    """Read those of `wanted` that the table has. Rows without any text in these are passed over.

    Raises:
        InputError: there is no such file, or it cannot be read.
        TableError: it is neither CSV nor Parquet.
    """
    try:
        with path.open("rb") as f:
            parquet = f.read(4) == b"PAR1"
        return _without_blank_rows(_read_parquet(path, wanted) if parquet else _read_csv(path, wanted))
    except FileNotFoundError:
        raise InputError(f"there is no table {path}", "Check the path") from None
    except OSError as exc:
        why = exc.strerror or str(exc).splitlines()[0]
        raise InputError(f"cannot read the table {path}: {why}", "Name a readable CSV or Parquet file") from exc
    except (pa.ArrowException, ValueError) as exc:
        kind = "Parquet" if parquet else "CSV"
        raise TableError(str(path), [(1, f"malformed {kind}: {str(exc).splitlines()[0]}")]) from exc


def texts(table: LabelTable, name: str, faults: list[Fault]) -> pa.Array:
    """A column of names; an empty one is a fault."""
    column = table.columns[name]
    empty = np.flatnonzero(pc.equal(column, "").to_numpy(zero_copy_only=False))
    faults += [(int(table.lines[row]), f"{name} is empty") for row in empty]
    return column


def integers(
    table: LabelTable, name: str, low: int, high: int, faults: list[Fault], empty: int | None = None
) -> npt.NDArray[np.int64]:
    """A column of whole numbers within [low, high], int64; -1 where it is faulty.

    Args:
        empty: stands for an empty cell; None: that is a fault.
    """
    blank, values = _numbers(table, name, _WHOLE, "a whole number", faults, optional=empty is not None)
    wrong = ~blank & ~np.isnan(values) & ~((values >= low) & (values <= high))
    faults += [
        (int(table.lines[row]), f"{name}: expected {low} to {high}, got {values[row]:.0f}")
        for row in np.flatnonzero(wrong)
    ]
    fit = ~blank & ~np.isnan(values) & ~wrong
    return np.where(fit, values, -1 if empty is None else np.where(blank, empty, -1)).astype(np.int64)


def reals(table: LabelTable, name: str, low: float, high: float, faults: list[Fault]) -> npt.NDArray[np.float64]:
    """A column of numbers within [low, high], float64; NaN where the cell is empty or faulty."""
    blank, values = _numbers(table, name, _REAL, "a number", faults, optional=True)
    wrong = ~blank & ~np.isnan(values) & ~((values >= low) & (values <= high))
    faults += [
        (int(table.lines[row]), f"{name}: expected {low:g} to {high:g}, got {values[row]:g}")
        for row in np.flatnonzero(wrong)
    ]
    return np.where(blank | wrong, np.nan, values)


def _numbers(
    table: LabelTable, name: str, pattern: str, what: str, faults: list[Fault], *, optional: bool
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """(which cells are empty, the values; NaN where a cell is empty or no number)."""
    column = table.columns[name]
    blank = pc.equal(column, "").to_numpy(zero_copy_only=False)
    shaped = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
    bad = ~shaped if not optional else ~shaped & ~blank
    faults += [
        (int(table.lines[row]), f"{name}: expected {what}, got {column[int(row)].as_py()!r}")
        for row in np.flatnonzero(bad)
    ]
    fit = pc.if_else(pa.array(shaped), column, pa.scalar(None, pa.string()))
    return blank, pc.cast(fit, pa.float64()).to_numpy(zero_copy_only=False)


def _without_blank_rows(table: LabelTable) -> LabelTable:
    filled = np.zeros(len(table.lines), bool)
    for column in table.columns.values():
        filled |= pc.not_equal(column, "").to_numpy(zero_copy_only=False)
    if filled.all() or not table.columns:
        return table
    columns = {name: column.filter(pa.array(filled)) for name, column in table.columns.items()}
    return replace(table, columns=columns, lines=table.lines[filled])


def _read_parquet(path: Path, wanted: tuple[str, ...]) -> LabelTable:
    names = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in wanted if name in names])
    columns = {name: _text(table[name].combine_chunks()) for name in table.column_names}
    n_rows = pq.read_metadata(path).num_rows
    return LabelTable(columns, tuple(names), np.arange(n_rows) + 2, ())


def _text(column: Any) -> pa.Array:
    """Values as the text a CSV would hold; null and NaN are empty, 7.0 is 7."""
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        if np.array_equal(np.rint(values), values, equal_nan=True):
            column = pa.array(np.nan_to_num(values), mask=np.isnan(values)).cast(pa.int64())
    text = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
    return pc.if_else(pc.equal(text, "nan"), "", text)


def _read_csv(path: Path, wanted: tuple[str, ...]) -> LabelTable:
    skipped: list[int] = []
    faults: list[Fault] = []

    def skip(row: pv.InvalidRow) -> str:
        skipped.append(row.number)
        if row.text.strip():
            faults.append((row.number, f"expected {row.expected_columns} cells, got {row.actual_columns}"))
        return "skip"

    with path.open(encoding="utf-8-sig", newline="") as f:
        names = [name.strip() for name in next(csv.reader(f), [])]
    twice = sorted({name for name in names if name in wanted and names.count(name) > 1})
    if twice or not names:
        raise TableError(str(path), [(1, f"column {twice[0]!r} appears twice" if twice else "the file is empty")])
    unique = [name if name in wanted else f"{number}: {name}" for number, name in enumerate(names)]
    table = pv.read_csv(
        path,
        # With threads, rows have no numbers
        read_options=pv.ReadOptions(use_threads=False, skip_rows=1, column_names=unique),
        parse_options=pv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=skip),
        convert_options=pv.ConvertOptions(
            column_types=dict.fromkeys(unique, pa.string()),
            include_columns=[name for name in wanted if name in names],
            strings_can_be_null=False,
        ),
    )
    n_rows = table.num_rows
    lines = np.setdiff1d(np.arange(2, n_rows + len(skipped) + 2), np.asarray(skipped, np.int64))
    columns = {
        name: pc.utf8_trim_whitespace(table[name].combine_chunks().cast(pa.string())) for name in table.column_names
    }
    return LabelTable(columns, tuple(names), lines, tuple(faults))
