"""Which parts OUT has, and which of them its manifests were made from: OUT/.cgtool/assembled.parquet.

A part is known by its size and its time stamp. A time stamp is only compared with itself, never with another one, so
that it does not matter if the clock is set back between two runs. The index is a note: without it, or where it is
damaged, everything is read once more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.partitions import manifest_files
from ..core.schemas import FINGERPRINT_KEY, SCHEMA_VERSION, TABLES

Stamp = tuple[int, int]
"""Bytes and time stamp (ns) of a file."""
_SCHEMA = pa.schema(
    [
        pa.field("table", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("n_rows", pa.int32()),
        pa.field("fingerprint", pa.string()),
    ]
)
_KEY = b"cgtool.assembled"
_VERSION = f"{SCHEMA_VERSION}.1"
"""Raised where manifests are written in another way: then all are written anew."""
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)
"""Of an index that is not there, or is not ours."""
_THREADS = 4


@dataclass(frozen=True)
class Commit:
    """What the clips part of a video says without its rows."""

    n_clips: int
    fingerprint: str


@dataclass(frozen=True)
class PartIndex:
    """The parts by table and video, and the manifests that were made from them."""

    parts: Mapping[str, Mapping[str, Stamp]]
    folders: Mapping[str, int | None]
    """The time stamp of each table's folder: it changes whenever a part comes or goes."""
    commits: Mapping[str, Commit] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """How many rows each part has in the manifests of the small tables, which are in the order of the parts."""
    manifests: Mapping[str, Stamp] = field(default_factory=dict)
    """By path under manifests/."""

    def of(self, table: str) -> Mapping[str, Stamp]:
        """Stamps of the parts that a manifest is made from: of frames, faces and clips those of committed videos."""
        parts, committed = self.parts.get(table, {}), self.parts.get("clips", {})
        return parts if table in ("videos", "attempts") else {u: s for u, s in parts.items() if u in committed}


NOTHING = PartIndex({}, {})


def scan(out: Path, tables: Sequence[str] = tuple(TABLES)) -> PartIndex:
    """The parts as they are now; opens none."""
    parts, folders = {}, {}
    for table in tables:
        folder = out / "parts" / table
        folders[table] = folder_ns(folder)
        parts[table] = _stamps(folder)
    return PartIndex(parts, folders)


def scan_manifests(out: Path) -> dict[str, Stamp]:
    """The files of the manifests as they are now."""
    folder = out / "manifests"
    files = [file for table in TABLES for file in manifest_files(folder / f"{table}.parquet")]
    return {file.relative_to(folder).as_posix(): stamp_of(file) for file in files}


def commits_of(out: Path) -> dict[str, Commit]:
    """Every commit by video, in order of their ids."""
    return read_commits(out, scan(out, ("clips",)), read_index(out, ("clips",)))


def read_commits(out: Path, now: PartIndex, before: PartIndex) -> dict[str, Commit]:
    """The same, by what was scanned and noted; of those that the index knows no file is opened."""
    held = before.parts.get("clips", {})
    there = now.parts["clips"]
    known = {u: before.commits[u] for u, stamp in there.items() if held.get(u) == stamp and u in before.commits}
    new = [unit for unit in there if unit not in known]
    with ThreadPoolExecutor(_THREADS) as pool:
        known.update(
            zip(new, pool.map(lambda unit: _commit(out / "parts" / "clips" / f"{unit}.parquet"), new), strict=True)
        )
    return {unit: known[unit] for unit in there}


def read_index(out: Path, tables: Sequence[str] = tuple(TABLES)) -> PartIndex:
    """What the manifests of these tables were made from; nothing where that cannot be told."""
    try:
        with pq.ParquetFile(_path(out)) as file:
            table = file.read(use_threads=False)
        note = _note(table.schema)
        if len(tables) < len(TABLES):  # a million clips have some 150,000 parts
            table = table.filter(pc.is_in(table["table"], pa.array(tables)))
        parts: dict[str, dict[str, Stamp]] = {name: {} for name in tables}
        rows: dict[str, dict[str, int]] = {name: {} for name in tables}
        commits: dict[str, Commit] = {}
        for name, unit, size, mtime_ns, n_rows, mark in zip(*(c.to_pylist() for c in table.columns), strict=True):
            parts[name][unit] = (size, mtime_ns)
            if n_rows is not None:
                rows[name][unit] = n_rows
                if mark is not None:
                    commits[unit] = Commit(n_rows, mark)
        manifests = {name: (stamp[0], stamp[1]) for name, stamp in note["manifests"].items()}
        return PartIndex(parts, note["folders"], commits, rows, manifests)
    except _UNUSABLE:
        return NOTHING


def read_folders(out: Path) -> dict[str, int | None]:
    """The time stamps of the tables' folders alone, when the manifests were made."""
    try:
        return dict(_note(pq.read_schema(_path(out)))["folders"])
    except _UNUSABLE:
        return {}


def write_index(out: Path, index: PartIndex) -> None:
    """Replace the index. It comes last: killed before, the manifests do not count as made from these parts."""
    rows = [(table, unit, *stamp) for table, parts in index.parts.items() for unit, stamp in parts.items()]
    commits = [index.commits.get(unit) if table == "clips" else None for table, unit, *_ in rows]
    tables, units, sizes, times = zip(*rows, strict=True) if rows else ((), (), (), ())
    n_rows = [index.rows.get(table, {}).get(unit) for table, unit, *_ in rows]
    columns = [tables, units, sizes, times, n_rows, [commit and commit.fingerprint for commit in commits]]
    arrays = [pa.array(column, one.type) for column, one in zip(columns, _SCHEMA, strict=True)]
    note = json.dumps({"version": _VERSION, "folders": index.folders, "manifests": index.manifests})
    write_table(_path(out), pa.table(arrays, schema=_SCHEMA.with_metadata({_KEY: note.encode()})))


def folder_ns(folder: Path) -> int | None:
    """The time stamp of a folder; None where there is none."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def stamp_of(file: Path) -> Stamp:
    """Of one file."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _path(out: Path) -> Path:
    return out / ".cgtool" / "assembled.parquet"


def _note(schema: pa.Schema) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((schema.metadata or {})[_KEY])
    if note["version"] != _VERSION:
        raise ValueError(f"an index of version {note['version']}")
    return note


def _stamps(folder: Path) -> dict[str, Stamp]:
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".parquet") and not entry.name.startswith("."):
                    stat = entry.stat()
                    found[entry.name.removesuffix(".parquet")] = (stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError:
        return {}
    return dict(sorted(found.items()))


def _commit(part: Path) -> Commit:
    metadata = pq.read_metadata(part)
    return Commit(metadata.num_rows, (metadata.metadata or {}).get(FINGERPRINT_KEY, b"").decode())
