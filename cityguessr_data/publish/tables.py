"""Parquet files of an export, written in a stream: a large data set has tables that should not be in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .guard import PathGuard
from .job import ExportJob

_GROUP_ROWS = 100_000


def parquet_writer(
    name: str, tables: Iterable[pa.Table], schema: pa.Schema, guard: PathGuard
) -> Callable[[Path], None]:
    """For Destination.write: writes `tables`, all of `schema`, after the guard has looked at them.

    Args:
        name: of the table, for the guard's message.
    """

    def fill(path: Path) -> None:
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            pending: list[pa.Table] = []
            for table in tables:
                guard.check_table(name, table)
                pending.append(table)
                if sum(len(held) for held in pending) >= _GROUP_ROWS:
                    writer.write_table(pa.concat_tables(pending))
                    pending = []
            if pending:
                writer.write_table(pa.concat_tables(pending))

    return fill


def write_splits(job: ExportJob) -> list[str]:
    """DEST/splits/<name>.parquet, of the clips that go out. Returns the names of the files."""
    names = []
    for split in job.contents.splits:
        name = f"splits/{split.name}.parquet"
        table = split.table()
        if not job.dest.has(name):
            job.guard.check_text("the name of a split", split.name)
            job.dest.write(name, parquet_writer(f"the split {split.name}", [table], table.schema, job.guard))
        names.append(name)
    return names
