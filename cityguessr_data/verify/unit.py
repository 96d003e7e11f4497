"""Reads one committed unit's parts, and tells those that are missing, damaged or of another schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.schemas import FINGERPRINT_KEY, SCHEMA_VERSION, TABLES, UNIT_TABLES, VERSION_KEY
from ..run.store import Store
from .findings import Fault

TO_REDO = b"to be done again"
"""In place of a fingerprint: no build asks for it, so the next one does the unit again."""
WAITS = "waits to be done again by the build command"
"""What is told of such a unit."""
Columns = Mapping[str, list[Any]]


@dataclass(frozen=True)
class UnitTables:
    """One committed unit, as its parts say it."""

    name: str
    tables: Mapping[str, pa.Table]
    """By table: frames, faces, videos, clips."""

    @cached_property
    def clips(self) -> list[dict[str, Any]]:
        """Rows of the clips part."""
        return list(self.tables["clips"].to_pylist())

    @cached_property
    def frames(self) -> Columns:
        """Columns of the frames part."""
        return dict(self.tables["frames"].to_pydict())

    @cached_property
    def faces(self) -> list[dict[str, Any]]:
        """Rows of the faces part."""
        return list(self.tables["faces"].to_pylist())

    @cached_property
    def video(self) -> dict[str, Any]:
        """The first row of the videos part; empty where there is none."""
        return dict(next(iter(self.tables["videos"].slice(0, 1).to_pylist()), {}))

    @property
    def marks(self) -> dict[bytes, bytes]:
        """What the metadata of the clips part says besides the schema's version."""
        return marks_of(self.tables["clips"])


def read_unit(store: Store, name: str) -> tuple[UnitTables | None, list[Fault]]:
    """The unit, and what is wrong with its parts; None where one of them cannot be used."""
    tables: dict[str, pa.Table] = {}
    faults: list[Fault] = []
    for table in UNIT_TABLES:
        path = store.part(table, name)
        read, why = read_checked(path, table)
        if why:
            faults.append(part_fault(store, table, name, why))
        if read is not None:
            tables[table] = read
    if len(tables) < len(UNIT_TABLES):
        return None, faults
    faults += _torn(store, name, tables)
    return UnitTables(name, tables), faults


def part_fault(store: Store, table: str, unit: str, why: str) -> Fault:
    """A part that cannot be used. One that is no file was put there by somebody, who must take it away."""
    path = store.part(table, unit)
    where = path.relative_to(store.out).as_posix()
    if path.exists() and not path.is_file():
        return Fault("tables", where, why, "person", unit, hint="It is not cgtool's: move it elsewhere")
    return Fault("tables", where, why, "redo", unit)


def read_checked(path: Path, table: str) -> tuple[pa.Table | None, str]:
    """A part of a table, None where it cannot be used, and in words what is wrong with it."""
    try:
        if path.exists() and not path.is_file():  # a pipe would have the reader wait for ever
            return None, "is no regular file"
        with pq.ParquetFile(path) as file:
            read = file.read(use_threads=False)
    except FileNotFoundError:
        return None, "is missing"
    except (OSError, ValueError, pa.ArrowException) as exc:
        return None, f"cannot be read ({str(exc).splitlines()[0][:100]})"
    wanted = TABLES[table]
    for field in wanted:
        place = read.schema.get_field_index(field.name)
        if place < 0:
            return None, f"has no column {field.name}"
        if not read.schema.field(place).type.equals(field.type):
            return None, f"its column {field.name} is {read.schema.field(place).type}, not {field.type}"
    for field in wanted:
        if not field.nullable and read[field.name].null_count:
            return None, f"its column {field.name} has no value in {read[field.name].null_count} rows"
    extra = [name for name in read.column_names if name not in wanted.names]
    if extra and table != "videos":
        return None, f"has a column {extra[0]} that is not of the schema"
    version = (read.schema.metadata or {}).get(VERSION_KEY, b"").decode()
    if version != SCHEMA_VERSION:
        return read, f"is of schema version {version or 'none'}, not {SCHEMA_VERSION}"
    return read, ""


def marks_of(table: pa.Table) -> dict[bytes, bytes]:
    """What the metadata of a part says of it, but for the schema's version."""
    metadata = table.schema.metadata or {}
    return {key: value for key, value in metadata.items() if key.startswith(b"cgtool.") and key != VERSION_KEY}


def is_marked(marks: Mapping[bytes, bytes]) -> bool:
    """Whether a unit waits for a build to do it again."""
    return marks.get(FINGERPRINT_KEY) == TO_REDO


def _torn(store: Store, name: str, tables: Mapping[str, pa.Table]) -> Iterator[Fault]:
    """Parts of one unit must be of one commit: they carry one fingerprint."""
    told = {table: marks_of(read).get(FINGERPRINT_KEY) for table, read in tables.items()}
    for table in ("frames", "faces", "videos"):
        if told["clips"] and told[table] and told[table] != told["clips"]:
            where = str(store.part(table, name).relative_to(store.out))
            yield Fault("tables", where, "is of another result than the clips part", "redo", name)
