"""Puts the parts of each table together into OUT/manifests/<table>.parquet: streaming, sorted by video, atomic."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import partial_name, sync_file, sync_folder
from ..core.errors import disk_full_stops
from ..core.schemas import FINGERPRINT_KEY, TABLES
from .store import Store, read_part

ORDER = ("frames", "faces", "attempts", "videos", "clips")
"""The clips manifest last: whoever reads it finds the frames of all its rows."""
_GROUP_ROWS = 100_000
"""Of a row group, a size that readers like."""


def assemble(store: Store) -> dict[str, int]:
    """Write every manifest anew from the parts; frames, faces and clips of committed videos only.

    Returns:
        Rows by table.
    Raises:
        DiskFullError: no space left; the earlier manifests stay.
    """
    committed = {path.stem for path in store.parts("clips")}
    rows = {}
    for table in ORDER:
        parts = [p for p in store.parts(table) if table in ("attempts", "videos") or p.stem in committed]
        rows[table] = _join(parts, _joint_schema(table, parts), store.out / "manifests" / f"{table}.parquet")
    return rows


def is_stale(store: Store) -> bool:
    """Whether a part is newer than the manifests, or a manifest is missing."""
    manifests = [store.out / "manifests" / f"{table}.parquet" for table in ORDER]
    if not all(path.exists() for path in manifests):
        return True
    oldest_ns = min(path.stat().st_mtime_ns for path in manifests)
    folders = [store.out / "parts" / table for table in ORDER]
    changed = [p.stat().st_mtime_ns for f in folders if f.exists() for p in (f, *f.glob("*.parquet"))]
    return any(time_ns > oldest_ns for time_ns in changed)


def _joint_schema(table: str, parts: list[Path]) -> pa.Schema:
    """The contract's columns; for videos also every passed-through column that a part has."""
    schema = TABLES[table]
    if table == "videos":
        for part in parts:
            for column in pq.read_schema(part):
                if column.name not in schema.names:
                    schema = schema.append(column.remove_metadata())
    return schema


def _join(parts: list[Path], schema: pa.Schema, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(target)
    rows = n_pending = 0
    with disk_full_stops(str(target)):
        try:
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                pending: list[pa.Table] = []
                for part in parts:
                    part_table = read_part(part)
                    metadata = part_table.schema.metadata or {}
                    part_table = part_table.replace_schema_metadata(
                        {k: v for k, v in metadata.items() if k != FINGERPRINT_KEY}
                    )
                    pending.append(_fitted(part_table, schema))
                    rows += part_table.num_rows
                    n_pending += part_table.num_rows  # counted, not summed anew: a part may be a single row
                    if n_pending >= _GROUP_ROWS:
                        writer.write_table(pa.concat_tables(pending))
                        pending, n_pending = [], 0
                if pending:
                    writer.write_table(pa.concat_tables(pending))
            sync_file(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    return rows


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the columns of `schema`, in its order; a column it lacks is null."""
    if table.schema.equals(schema):
        return table
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
