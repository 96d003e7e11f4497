"""Reads a few columns of a Parquet table of any length, batch by batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from ..core.errors import InputError
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
        InputError: it cannot be read, or a column is missing or of another type.
    """
    import pyarrow.parquet as pq

    try:
        # Buffering ahead would hold the whole of the columns of a large file
        with pq.ParquetFile(path, read_dictionary=list(dictionaries), pre_buffer=False) as file:
            for name in columns:
                _check(file.schema_arrow, table, name, path)
            yield from file.iter_batches(batch_size=_ROWS, columns=list(columns))
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {str(exc).splitlines()[0]}", "Run the build again") from exc


def count_rows(path: Path) -> int:
    """Rows of a Parquet table, from its footer alone.

    Raises:
        InputError: it cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        n_rows: int = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {str(exc).splitlines()[0]}", "Run the build again") from exc
    return n_rows


def _check(schema: pa.Schema, table: str, name: str, path: Path) -> None:
    wanted = TABLES[table].field(name).type
    if name not in schema.names:
        raise InputError(f"{path} has no column {name}", "Run the build again")
    found = schema.field(name).type
    found = found.value_type if pa.types.is_dictionary(found) else found
    if found != wanted:
        raise InputError(f"{path}: column {name} should be {wanted}, but is {found}", "Run the build again")
