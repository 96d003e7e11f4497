"""Files that are whole or absent: write to a temporary name, fsync, rename."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import disk_full_stops


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Replace `path` by `content` in one step.

    Raises:
        DiskFullError: no space left.
    """
    partial = partial_name(path)
    with disk_full_stops(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON in one step."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_table(path: Path, table: pa.Table) -> None:
    """Replace `path` by `table` as Parquet (zstd) in one step."""
    partial = partial_name(path)
    with disk_full_stops(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, partial, compression="zstd")
            sync_file(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)


def partial_name(path: Path) -> Path:
    """A name beside `path` that no reader looks at."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")


def sync_file(path: Path) -> None:
    """Have the bytes of a file on the disk before going on."""
    with path.open("rb") as f:
        os.fsync(f.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names of a folder on the disk before going on (where the system lets a folder be opened)."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
