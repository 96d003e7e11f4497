"""Writes one manifest from its parts: one file, or the partitions of a large table that changed. Streaming and atomic.

A file is written under OUT/.cgtool/manifests/, which no reader looks at, and moved to its place when it is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import sync_file, sync_folder
from ..core.errors import disk_full_stops
from ..core.partitions import partition_of, read_manifest
from ..core.schemas import FINGERPRINT_KEY, TABLES
from ..core.threads import n_cores
from .part_index import Stamp
from .store import Store, read_part

GROUP_ROWS = 100_000
"""Of a row group, a size that readers like."""
NO_DICTIONARY = {
    "frames": ("sha256", "phash", "timestamp_s", "scene_top1_prob"),
    "faces": ("x0", "y0", "x1", "y1", "score"),
}
"""Columns whose values hardly repeat: written plainly they take a third less room and half the time."""


class ManifestWriter:
    """Writes manifests of one output directory. Use it as a context manager."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.out / "manifests"
        self._work = store.work / "manifests"

    def __enter__(self) -> Self:
        """Make the folders, and clear what a killed run left in the working one."""
        with disk_full_stops(str(self.folder)):
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir(parents=True)
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the working folder, with what was replaced."""
        shutil.rmtree(self._work, ignore_errors=True)

    def whole(self, table: str, units: Sequence[str]) -> None:
        """One file of all rows, in place of whatever was there.

        Raises:
            DiskFullError: no space left; the earlier manifest stays.
        """
        name = f"{table}.parquet"
        with disk_full_stops(str(self.folder / name)):
            self._write(table, units, self._work / name)
            self._put(self._work / name, name)

    def small(
        self, table: str, now: Mapping[str, Stamp], made_from: Mapping[str, Stamp], n_rows: Mapping[str, int]
    ) -> dict[str, int]:
        """The same of a small table: rows of parts that did not change are taken from the manifest that is there.

        A large data set has tens of thousands of parts of a few rows, and opening a file is most of reading it.

        Args:
            made_from: the parts that the manifest was made from, in its order; none where it is not as it was left.
            n_rows: of each of them.
        Returns:
            Rows by part.
        """
        name = f"{table}.parquet"
        with disk_full_stops(str(self.folder / name)):
            patched = self._patched(table, now, made_from, n_rows)
            if patched is None:
                counts = self._write(table, list(now), self._work / name)
            else:
                rows, counts = patched
                schema = _with_passed_through(table, rows.schema)
                _save(table, schema, _cut(_fitted(rows, schema), counts), self._work / name)
            self._put(self._work / name, name)
        return dict(zip(now, counts, strict=True))

    def _patched(
        self, table: str, now: Mapping[str, Stamp], made_from: Mapping[str, Stamp], n_rows: Mapping[str, int]
    ) -> tuple[pa.Table, list[int]] | None:
        """All rows, most of them from the manifest, and how many are of each part; None where that cannot be."""
        if not made_from or set(n_rows) != set(made_from):
            return None
        old = read_manifest(self.folder / f"{table}.parquet")
        starts = dict(zip(made_from, accumulate((n_rows[unit] for unit in made_from), initial=0), strict=False))
        if old.num_rows != sum(n_rows.values()):
            return None
        pieces, counts, first, end = [], [], 0, 0  # rows first to end of the old ones are to come
        for unit, stamp in now.items():
            if made_from.get(unit) == stamp:
                if starts[unit] != end:
                    pieces.append(old.slice(first, end - first))
                    first = starts[unit]
                end = starts[unit] + n_rows[unit]
                counts.append(n_rows[unit])
                continue
            part = read_part(self.store.part(table, unit))
            if set(part.column_names) - set(old.column_names):
                return None
            pieces += [old.slice(first, end - first), _fitted(_plain(part), old.schema)]
            first = end
            counts.append(part.num_rows)
        rows = pa.concat_tables([*pieces, old.slice(first, end - first)])
        passed_through = [name for name in rows.column_names if name not in TABLES[table].names]
        if any(rows[name].null_count == rows.num_rows for name in passed_through):
            return None  # no video may have that column any more
        return rows, counts

    def _put(self, made: Path, name: str) -> None:
        """Replaces a file in one step; in place of a folder of partitions it leaves a moment without the manifest."""
        if (self.folder / name).is_dir():
            self._take_away(self.folder / name)
        made.replace(self.folder / name)
        sync_folder(self.folder)

    def _take_away(self, path: Path) -> None:
        """A file, or a folder, which nothing can replace in one step."""
        path.rename(self._work / f"{path.parent.name}.{path.name}.old")

    def partitions(self, table: str, now: Mapping[str, Stamp], made_from: Mapping[str, Stamp], whole: set[str]) -> None:
        """A folder of partitions: those are written that hold other parts than they were made from, or are not whole.

        Args:
            now: the parts that the table is made of.
            made_from: the parts that the partitions were made from.
            whole: names of the partitions that are as they were left.
        Raises:
            DiskFullError: no space left; the partitions that were replaced by then stay, and the next run goes on.
        """
        target = self.folder / f"{table}.parquet"
        wanted, held = _by_partition(now), _by_partition(made_from)
        with disk_full_stops(str(target)):
            begun = target.is_dir()
            folder = target if begun else self._work / target.name
            folder.mkdir(exist_ok=True)
            left = {key for key in wanted if begun and wanted[key] == held.get(key) and f"{key}.parquet" in whole}

            def write(key: str) -> None:
                made = self._work / f"{table}.{key}"
                self._write(table, list(wanted[key]), made)
                if (folder / f"{key}.parquet").is_dir():
                    self._take_away(folder / f"{key}.parquet")
                made.replace(folder / f"{key}.parquet")

            with ThreadPoolExecutor(n_cores()) as pool:
                list(pool.map(write, sorted(wanted.keys() - left)))
            for file in folder.glob("*.parquet"):
                if file.stem not in wanted:
                    self._take_away(file)
            sync_folder(folder)
            if not begun:  # a moment without the manifest: a file cannot become a folder in one step, nor back
                if target.exists():
                    self._take_away(target)
                folder.rename(target)
            sync_folder(self.folder)

    def _write(self, table: str, units: Sequence[str], to: Path) -> list[int]:
        """Write a file of all rows of these parts; how many each has."""
        parts = [self.store.part(table, unit) for unit in units]
        schema = _joint_schema(table, parts)
        counts: list[int] = []
        _save(table, schema, _groups(parts, schema, counts), to)
        return counts


def _save(table: str, schema: pa.Schema, groups: Iterable[pa.Table], to: Path) -> None:
    """The same rows are the same bytes, whether they come from parts or from the manifest before."""
    repeating = [name for name in schema.names if name not in NO_DICTIONARY.get(table, ())]
    with pq.ParquetWriter(
        to, schema, compression="zstd", use_dictionary=repeating if table in NO_DICTIONARY else True
    ) as writer:
        for group in groups:
            writer.write_table(group.combine_chunks())  # where chunks end shows in the file
    sync_file(to)


def _by_partition(parts: Mapping[str, Stamp]) -> dict[str, dict[str, Stamp]]:
    found: dict[str, dict[str, Stamp]] = {}
    for unit, stamp in parts.items():
        found.setdefault(partition_of(unit), {})[unit] = stamp
    return dict(sorted(found.items()))


def _groups(parts: Sequence[Path], schema: pa.Schema, counts: list[int]) -> Iterator[pa.Table]:
    """The rows of all parts, in row groups of a good size; `counts` gets how many each part has."""
    pending: list[pa.Table] = []
    n_pending = 0
    for part in parts:
        table = read_part(part)
        pending.append(_fitted(_plain(table), schema))
        counts.append(table.num_rows)
        n_pending += table.num_rows  # counted, not summed anew: a part may be a single row
        if n_pending >= GROUP_ROWS:
            yield pa.concat_tables(pending)
            pending, n_pending = [], 0
    if pending:
        yield pa.concat_tables(pending)


def _cut(rows: pa.Table, counts: Sequence[int]) -> Iterator[pa.Table]:
    """The row groups that `_groups` makes of parts of so many rows."""
    first = end = 0
    pending = False
    for n_rows in counts:
        end += n_rows
        pending = end - first < GROUP_ROWS
        if not pending:
            yield rows.slice(first, end - first)
            first = end
    if pending:
        yield rows.slice(first)


def _plain(part: pa.Table) -> pa.Table:
    """Without the mark that is of one part alone."""
    metadata = {k: v for k, v in (part.schema.metadata or {}).items() if k != FINGERPRINT_KEY}
    return part.replace_schema_metadata(metadata)


def _joint_schema(table: str, parts: Sequence[Path]) -> pa.Schema:
    """The contract's columns; for videos also every passed-through column that a part has."""
    schema = TABLES[table]
    if table == "videos":
        for part in parts:
            schema = _with_passed_through(table, pq.read_schema(part), schema)
    return schema


def _with_passed_through(table: str, given: pa.Schema, schema: pa.Schema | None = None) -> pa.Schema:
    """The schema, or the contract's, and behind it the columns of `given` that it lacks.

    Not `given` itself, though it be equal: of a table that was read, lists name their items otherwise.
    """
    schema = schema or TABLES[table]
    for column in given:
        if column.name not in schema.names:
            schema = schema.append(column.remove_metadata())
    return schema


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the columns of `schema`, in its order; a column it lacks is null."""
    if table.schema.equals(schema):
        return table
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
