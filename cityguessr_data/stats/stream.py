"""Reads a few columns of a Parquet table of any length, batch by batch, in bounded memory.

The table is one file, or a folder of partitions that are read one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..core.partitions import manifest_files, rows_of_file
from ..core.schemas import TABLES

_ROWS = 1 << 18


def batches(
    path: Path, table: str, columns: Sequence[str], dictionaries: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """Yield `columns` of the table at `path` in the types of contract 4.

    Args:
        table: its name in core.schemas.TABLES.
        dictionaries: columns of text to read as dictionaries: few distinct values cost little then.
    Raises:
        InputError: it cannot be read, a column is missing or of another type, or holds what it must not: nulls, NaN.
    """
    import pyarrow.parquet as pq

    try:
        for one in manifest_files(path) or (path,):
            # Opened once: a build may put the next table in its place. Buffering ahead would hold the whole of the
            # columns of a large file
            with pa.OSFile(str(one)) as opened:
                schema = pq.read_schema(opened)
                for name in columns:
                    _check(schema, table, name, one)
                file = pq.ParquetFile(opened, read_dictionary=list(dictionaries), pre_buffer=False)
                for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
                    for name in columns:
                        _check_values(batch[name], TABLES[table].field(name), one)
                    yield batch
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {first_line(exc)}", "Run the build again") from exc


def count_rows(path: Path) -> int:
    """Rows of a Parquet table, from its footers alone.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return sum(rows_of_file(file) for file in manifest_files(path) or (path,))
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {first_line(exc)}", "Run the build again") from exc


def first_line(exc: BaseException) -> str:
    """What an error of a library says, as a part of one of our sentences."""
    return (str(exc) or type(exc).__name__).splitlines()[0].rstrip(".")


def _check_values(column: pa.Array, field: pa.Field, path: Path) -> None:
    # The source video of imported clips may be lost, and their readers say what then
    if column.null_count and not field.nullable and field.name != "video_id":
        raise InputError(f"{path}: column {field.name} is null in some rows", "Run the build again")
    if pa.types.is_floating(field.type) and not pc.all(pc.is_finite(column)).as_py():
        raise InputError(f"{path}: column {field.name} is no number in some rows", "Run the build again")


def _check(schema: pa.Schema, table: str, name: str, path: Path) -> None:
    wanted = TABLES[table].field(name).type
    if name not in schema.names:
        raise InputError(f"{path} has no column {name}", "Run the build again")
    found = schema.field(name).type
    found = found.value_type if pa.types.is_dictionary(found) else found
    if found != wanted:
        raise InputError(f"{path}: column {name} should be {wanted}, but is {found}", "Run the build again")
