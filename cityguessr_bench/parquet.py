"""Reads the Parquet files of a run, which people also write by hand: columns, types and nulls are checked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.errors import InputError


def read_parquet(path: Path, schema: pa.Schema, hint: str) -> pa.Table:
    """The columns of `schema` in its types; others are passed over, a nullable one that is absent is all null.

    Args:
        hint: what a person can do about a file that is not fit.
    Raises:
        InputError: no such file, no Parquet, or a column that is missing, of another type, or null where it may not be.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", "Check the path")
    try:
        with pq.ParquetFile(path) as file:
            found = file.read()
    except (OSError, pa.ArrowException) as exc:
        raise InputError(
            f"cannot read {path}: {(str(exc) or type(exc).__name__).splitlines()[0].rstrip('.')}", hint
        ) from exc
    names = found.column_names
    missing = [field.name for field in schema if not field.nullable and field.name not in names]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; it has {', '.join(names) or 'none'}", hint)
    if twice := [name for name in schema.names if names.count(name) > 1]:
        raise InputError(f"{path} has two columns {twice[0]}", hint)
    columns = [
        _typed(path, found[field.name], field, hint) if field.name in names else pa.nulls(found.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names)


def _typed(path: Path, column: pa.ChunkedArray, field: pa.Field, hint: str) -> pa.ChunkedArray:
    try:
        typed = column.cast(field.type)
    except pa.ArrowException:
        raise InputError(f"{path}: column {field.name} should be {field.type}, but is {column.type}", hint) from None
    if not field.nullable and typed.null_count:
        raise InputError(f"{path}: column {field.name} is null in {typed.null_count} of {len(typed)} rows", hint)
    return typed
