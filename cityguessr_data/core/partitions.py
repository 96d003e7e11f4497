"""The files of a manifest: OUT/manifests/<table>.parquet is one file, or, of a large data set, a folder of partitions.

    manifests/frames.parquet                  one file, its rows ordered by video
    manifests/frames.parquet/00.parquet ..    256 partitions by a hash of the video's id, each ordered by video

A video's rows are all in one partition, so a reader that goes through the files one by one meets each video once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def partition_of(unit: str) -> str:
    """The partition that a video's rows are in, for good: the first two hex digits of the SHA-256 of its id."""
    return hashlib.sha256(unit.encode()).hexdigest()[:2]


def manifest_files(path: Path) -> tuple[Path, ...]:
    """The files of a manifest in their order; none where there is no manifest."""
    if path.is_dir():
        return tuple(sorted(file for file in path.glob("*.parquet") if not file.name.startswith(".")))
    return (path,) if path.is_file() else ()


def is_manifest(path: Path) -> bool:
    """Whether there is a manifest."""
    return bool(manifest_files(path))


def manifest_schema(path: Path) -> pa.Schema:
    """Its columns.

    Raises:
        FileNotFoundError: there is no manifest.
    """
    return pq.read_schema(_first(path))


def manifest_rows(path: Path) -> int:
    """How many rows it has, by its footers alone; 0 where there is none."""
    return sum(rows_of_file(file) for file in manifest_files(path))


def rows_of_file(file: Path) -> int:
    """Of one of its files.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read.
    """
    n_rows: int = pq.read_metadata(file).num_rows
    return n_rows


def read_manifest(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of all its rows, in memory.

    Each file is opened once. pyarrow.parquet.read_table opens a path twice, and a build that puts the next manifest in
    its place in between makes it read the pages of one by the footer of the other.

    Raises:
        FileNotFoundError: there is no manifest.
    """
    _first(path)
    names = None if columns is None else list(columns)
    tables = []
    for one in manifest_files(path):
        with pq.ParquetFile(one) as file:
            tables.append(file.read(columns=names))
    return pa.concat_tables(tables)


def manifest_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of all its rows, in bounded memory.

    Raises:
        FileNotFoundError: there is no manifest.
    """
    _first(path)
    for one in manifest_files(path):
        with pq.ParquetFile(one, pre_buffer=False) as file:
            yield from file.iter_batches(columns=list(columns))


def _first(path: Path) -> Path:
    files = manifest_files(path)
    if not files:
        raise FileNotFoundError(f"there is no {path}")
    return files[0]
