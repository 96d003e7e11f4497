"""Reads a table a person wrote (CSV, or Parquet where asked) as rows of text with their line numbers.

Faults are collected, not raised one by one, so that a user mends a table once. Line numbers are those an editor shows:
a quoted cell may hold line breaks, and a record is known by the line it starts on.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError, TableError

Fault = tuple[int, str]
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def harmless(text: str) -> str:
    """A cell from outside that no spreadsheet takes for a formula: one that begins like it gets a `'` in front.

    A number with a sign begins like one too, and stays a number. A carriage return, which `csv.writer` leaves without
    quotes so that the cell would end in a row of its own, becomes a line break.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _NUMBER.fullmatch(text) or not (text.lstrip()[:1] in tuple("=+-@") or text[:1] in ("\t", "\n")):
        return text
    return f"'{text}"


@dataclass(frozen=True)
class TextTable:
    """Column names, the rows as (line, {column: text without outer space}), and what was wrong so far."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    faults: tuple[Fault, ...]


def read_table(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...] = (), parquet: bool = False
) -> TextTable:
    """Read a local table whole. Known columns are found whatever their case; rows without any text are passed over.

    Args:
        path: a UTF-8 CSV file (a byte-order mark is tolerated), or Parquet, known by its first bytes, if `parquet`.
        required: columns that must be there.
        optional: further columns whose names are known.
    Raises:
        InputError: there is no such file, or it cannot be read.
        TableError: nothing of it can be used: not UTF-8, no header, a required column missing, no rows, not Parquet.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no table {path}", "Check the path") from None
    except OSError as exc:
        raise InputError(
            f"cannot read the table {path}: {exc.strerror}", "Name a readable CSV or Parquet file"
        ) from exc
    if content.startswith(b"PAR1") and parquet:
        header, records, faults = _parquet_records(path, content)
    else:
        header, records, faults = _csv_records(path, content)
    columns = _columns(path, header, required, optional)
    rows = []
    for line, cells in records:
        if not any(cells):
            continue
        if len(cells) != len(columns):
            faults.append((line, f"expected {len(columns)} cells, got {len(cells)} (quote a cell that holds a comma)"))
            continue
        if any(cell and not column for column, cell in zip(columns, cells, strict=True)):
            faults.append((line, "a cell stands in a column that has no name"))
        rows.append((line, {column: cell for column, cell in zip(columns, cells, strict=True) if column}))
    if not rows and not faults:
        raise TableError(str(path), [(1, "the table has no rows")])
    return TextTable(tuple(c for c in columns if c), tuple(rows), tuple(faults))


def number(text: str, low: float, high: float) -> float:
    """`text` as a plain decimal number within [low, high].

    Raises:
        ValueError: it is something else ("nan", "1_000" and "1,5" too); the message says what was expected.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"expected a number, got {text!r}")
    value = float(text)
    if not low <= value <= high or abs(value) == float("inf"):
        limits = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise ValueError(f"expected {limits}, got {text}")
    return value


def _columns(path: Path, header: list[str], required: tuple[str, ...], optional: tuple[str, ...]) -> list[str]:
    known = {*required, *optional}
    columns = [name.lower() if name.lower() in known else name for name in header]
    faults = [
        (1, f"column {name!r} appears twice") for name in sorted({c for c in columns if c and columns.count(c) > 1})
    ]
    missing = [name for name in required if name not in columns]
    if missing:
        hint = " (is the separator a comma?)" if len(columns) == 1 and re.search(r"[;\t|]", columns[0]) else ""
        found = ", ".join(columns) or "none"
        faults += [(1, f"column {name!r} is missing; columns found: {found}{hint}") for name in missing]
    if faults:
        raise TableError(str(path), faults)
    return columns


def _csv_records(path: Path, content: bytes) -> tuple[list[str], list[tuple[int, list[str]]], list[Fault]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise TableError(str(path), [(line, "the text is not UTF-8: save the table as CSV, UTF-8")]) from None
    if not text.strip():
        raise TableError(str(path), [(1, "the file is empty")])
    if "\0" in text:
        raise TableError(str(path), [(text.count("\n", 0, text.index("\0")) + 1, "a zero byte: this is no CSV text")])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    faults: list[Fault] = []
    start = 1
    try:
        for cells in reader:
            records.append((start, [cell.strip() for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as exc:
        faults.append((start, f"malformed CSV from here on: {exc}"))
    if not records:
        raise TableError(str(path), faults)
    # Blank lines may stand above the header.
    first = next((i for i, (_, cells) in enumerate(records) if any(cells)), 0)
    return records[first][1], records[first + 1 :], faults


def _parquet_records(path: Path, content: bytes) -> tuple[list[str], list[tuple[int, list[str]]], list[Fault]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # In one thread: a process that ends soon after a threaded read from memory sometimes aborts
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            table = file.read(use_threads=False)
        values = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise TableError(str(path), [(1, f"malformed Parquet: {str(exc).splitlines()[0]}")]) from exc
    records = [(i + 2, [_text(cell) for cell in cells]) for i, cells in enumerate(zip(*values, strict=True))]
    return [name.strip() for name in table.column_names], records, []


def _text(cell: Any) -> str:
    """A Parquet value as the text a CSV would hold; null and NaN are empty."""
    return "" if cell is None or cell != cell else str(cell).strip()
