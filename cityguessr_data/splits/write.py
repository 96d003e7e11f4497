"""OUT/splits/<name>.parquet: written whole or not at all, read back, and compared with what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..core.atomic import sync_folder, write_table
from ..core.errors import MachineError
from ..core.schemas import SCHEMA_VERSION, VERSION_KEY
from ..stats.leakage import PARTS
from .config import SplitConfig

EXTENDS = "cgtool.split_extends"
SCHEMA = pa.schema([pa.field("clip_id", pa.string(), nullable=False), pa.field("part", pa.string(), nullable=False)])


@dataclass(frozen=True)
class SplitFile:
    """What a file of OUT/splits holds."""

    part_of: Mapping[str, str]
    """clip_id -> part, one of PARTS."""
    settings: Mapping[str, str]
    """Its metadata under `cgtool.split_...`; empty for a table that this project did not write."""
    digest: str
    """SHA-256 of the file."""


def split_path(out: Path, name: str) -> Path:
    """Where a split is kept."""
    return out / "splits" / f"{name}.parquet"


def settings_of(config: SplitConfig, fold: int | None = None) -> dict[str, str]:
    """The metadata of a file: what it was asked to be."""
    settings = {
        "cgtool.split_rule": config.by,
        "cgtool.split_seed": str(config.seed),
        "cgtool.split_test": repr(config.test_share),
        "cgtool.split_val": repr(float(config.val)),
    }
    if config.folds is not None:
        settings |= {"cgtool.split_folds": str(config.folds), "cgtool.split_fold": str(fold)}
    return settings


def read_split_file(path: Path) -> SplitFile | None:
    """Read a file of OUT/splits; None where there is none. One that is no split gives no parts and no settings.

    Raises:
        MachineError: it is there and cannot be opened.
    """
    import pyarrow.parquet as pq

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise MachineError(f"{path} cannot be read ({exc.strerror})", "Check who may read it") from exc
    digest = hashlib.sha256(content).hexdigest()
    try:
        # On this thread alone: one of pyarrow's own that still holds our bytes when Python ends would abort the process
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            table = file.read(columns=SCHEMA.names, use_threads=False)
        clip_ids, parts = (table[name].to_pylist() for name in SCHEMA.names)
    except (pa.ArrowException, KeyError, OSError):
        return SplitFile({}, {}, digest)
    if len(set(clip_ids)) < len(clip_ids) or not set(parts) <= set(PARTS):
        return SplitFile({}, {}, digest)
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    settings = {k: v for k, v in metadata.items() if k.startswith("cgtool.split_") and k != EXTENDS}
    return SplitFile(dict(zip(clip_ids, parts, strict=True)), settings, digest)


def write_split_file(path: Path, part_of: Mapping[str, str], settings: Mapping[str, str], extends: str = "") -> None:
    """Replace `path` in one step; rows are ordered by clip_id.

    Args:
        extends: digest of the file whose parts were kept; empty for a split that the seed alone gives.
    Raises:
        MachineError: it cannot be written.
        DiskFullError: no space left; what was there stays.
    """
    metadata = {VERSION_KEY: SCHEMA_VERSION.encode()} | {k.encode(): v.encode() for k, v in settings.items()}
    if extends:
        metadata[EXTENDS.encode()] = extends.encode()
    clip_ids = sorted(part_of)
    table = pa.table([clip_ids, [part_of[clip_id] for clip_id in clip_ids]], schema=SCHEMA.with_metadata(metadata))
    try:
        write_table(path, table)
    except OSError as exc:
        raise MachineError(f"{path} cannot be written ({exc.strerror})", "Check who may write there") from exc


def remove_split_file(path: Path) -> None:
    """Delete a fold that the new ones leave over.

    Raises:
        MachineError: it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as exc:
        raise MachineError(f"{path} cannot be deleted ({exc.strerror})", "Check who may write there") from exc
