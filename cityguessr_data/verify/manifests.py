"""The manifests hold what the parts hold, row by row: both are read side by side, and neither is in memory whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.partitions import manifest_files, partition_of
from ..core.schemas import TABLES
from ..run.assemble import ORDER
from ..run.store import Store, read_part
from .findings import Fault, Findings

_CHECK = "manifests"
_BATCH_ROWS = 8192
_OF_ALL_UNITS = ("attempts", "videos")
"""Tables that also have rows of units which are not committed."""


class ManifestCheck:
    """Give it the parts of all units, by name. Use it as a context manager.

    A manifest is told once, with the first unit where it differs. One that is a folder of partitions is read at the
    end, when its parts are read once more: its units come in another order.
    """

    def __init__(self, store: Store, findings: Findings) -> None:
        self.findings = findings
        self.store = store
        self._open: dict[str, _Manifest] = {}
        self._folders: set[str] = set()
        self._units: dict[str, list[str]] = {table: [] for table in ORDER}
        """In the order in which they came: what may be in a manifest in the order of earlier versions."""
        self._differs: dict[str, str] = {}
        """What to tell of a manifest that is not in the order of now, unless it is in that of earlier versions."""
        self._files = ExitStack()

    def __enter__(self) -> Self:
        for table in ORDER:
            path = self.store.out / "manifests" / f"{table}.parquet"
            if path.is_dir():
                self._folders.add(table)
                continue
            try:
                self._open[table] = _Manifest(self._files.enter_context(pq.ParquetFile(path)))
                lacking = [name for name in TABLES[table].names if name not in self._open[table].names]
                if lacking:
                    self._fault(table, f"has no column {lacking[0]}")
            except FileNotFoundError:
                self._fault(table, "is missing")
            except (OSError, ValueError, pa.ArrowException) as exc:
                self._fault(table, f"cannot be read ({str(exc).splitlines()[0][:100]})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def wants(self, table: str, *, committed: bool) -> bool:
        """Whether a unit's part of this table should be in its manifest."""
        return committed or table in _OF_ALL_UNITS

    def compare(self, table: str, unit: str, part: pa.Table) -> None:
        """The next rows of a manifest are those of this part."""
        if table in self._units:
            self._units[table].append(unit)
        manifest = self._open.get(table)
        if manifest is None:
            return
        self.findings.looked(_CHECK, part.num_rows)
        try:
            same = _same(manifest.take(part.num_rows), part, manifest.names)
        except (OSError, ValueError, pa.ArrowException) as exc:
            self._fault(table, f"cannot be read ({str(exc).splitlines()[0][:100]})")
            return
        if not same:
            self._open.pop(table)
            self._differs[table] = f"does not say what the parts say, from {unit} on"

    def end(self, units: Collection[str]) -> None:
        """All parts were given: the manifests have no more rows.

        Args:
            units: the committed ones, whose frames and faces may be in partitions.
        """
        for table in sorted(self._folders):
            self._partitions(table, units)
        for table, what in sorted(self._differs.items()):
            if not self._is_in_old_order(table):
                self._fault(table, what)
        for table, manifest in list(self._open.items()):
            try:
                more = manifest.take(1).num_rows
            except (OSError, ValueError, pa.ArrowException) as exc:
                self._fault(table, f"cannot be read ({str(exc).splitlines()[0][:100]})")
                continue
            if more:
                self._fault(table, "has rows that no part has")

    def give_up(self, table: str) -> None:
        """A part of this table cannot be read: where its rows end in the manifest is not known."""
        self._open.pop(table, None)
        self._folders.discard(table)
        self._differs.pop(table, None)
        self._units.pop(table, None)

    def _is_in_old_order(self, table: str) -> bool:
        """Whether a manifest has the parts in the order of their files' names: `a-b.parquet` before `a.parquet`."""
        now = self._units[table]
        old = sorted(now, key=lambda unit: f"{unit}.parquet")
        if old == now:
            return False
        try:
            with pq.ParquetFile(self.store.out / "manifests" / f"{table}.parquet") as file:
                manifest = _Manifest(file)
                parts = (read_part(self.store.part(table, unit)) for unit in old)
                same = all(_same(manifest.take(part.num_rows), part, manifest.names) for part in parts)
                return same and not manifest.take(1).num_rows
        except (OSError, ValueError, pa.ArrowException):
            return False

    def _partitions(self, table: str, units: Collection[str]) -> None:
        """Each partition has the rows of its units, by name, and there are no others."""
        by_file: dict[str, list[str]] = {}
        for unit in sorted(units):
            by_file.setdefault(f"{partition_of(unit)}.parquet", []).append(unit)
        folder = self.store.out / "manifests" / f"{table}.parquet"
        there = {file.name for file in manifest_files(folder)}
        if there != set(by_file):
            self._fault(table, f"has {len(there)} partitions, {len(by_file)} are needed")
            return
        for name, own in sorted(by_file.items()):
            try:
                with pq.ParquetFile(folder / name) as file:
                    manifest = _Manifest(file)
                    for unit in own:
                        part = read_part(self.store.part(table, unit))
                        self.findings.looked(_CHECK, part.num_rows)
                        if not _same(manifest.take(part.num_rows), part, manifest.names):
                            self._fault(table, f"does not say what the parts say, in {name} from {unit} on")
                            return
                    if manifest.take(1).num_rows:
                        self._fault(table, f"has rows in {name} that no part has")
                        return
            except (OSError, ValueError, pa.ArrowException) as exc:
                self._fault(table, f"cannot be read ({str(exc).splitlines()[0][:100]})")
                return

    def _fault(self, table: str, what: str) -> None:
        self._open.pop(table, None)
        self.findings.add(Fault(_CHECK, f"manifests/{table}.parquet", what, "assemble"))


class _Manifest:
    def __init__(self, file: pq.ParquetFile) -> None:
        self.names = list(file.schema_arrow.names)
        self._schema = file.schema_arrow
        self._batches: Iterator[pa.RecordBatch] = file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)
        self._held: deque[pa.RecordBatch] = deque()

    def take(self, n: int) -> pa.Table:
        """The next n rows; fewer at the end."""
        taken: list[pa.RecordBatch] = []
        while n > 0:
            if not self._held:
                batch = next(self._batches, None)
                if batch is None:
                    break
                self._held.append(batch)
            batch = self._held.popleft()
            taken.append(batch.slice(0, n))
            if batch.num_rows > n:
                self._held.appendleft(batch.slice(n))
            n -= taken[-1].num_rows
        return pa.Table.from_batches(taken, self._schema)


def _equal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether two columns of one type say the same; a number that is none (NaN) is itself."""
    if one.equals(other):
        return True
    if not pa.types.is_floating(one.type) or one.null_count != other.null_count:
        return False
    return np.array_equal(one.to_numpy(), other.to_numpy(), equal_nan=True)


def _same(rows: pa.Table, part: pa.Table, names: list[str]) -> bool:
    """Whether rows of a manifest are a part's; a column that the part lacks is null there."""
    if rows.num_rows != part.num_rows or not set(part.column_names) <= set(names):
        return False
    for name in names:
        column = rows[name]
        if name not in part.column_names:
            if column.null_count < len(column):
                return False
        elif not _equal(column, part[name].cast(column.type)):
            return False
    return True
