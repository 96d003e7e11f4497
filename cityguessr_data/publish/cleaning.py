"""Rows as they may go out: no path of the machine, no reason of a failure; and the splits, of the clips that go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import InputError
from ..core.schemas import SCHEMA_VERSION, VERSION_KEY
from ..stats.leakage import PARTS

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""Of a split, as `cgtool split --name` takes it: it names a file, and stands in the card."""
_DROPPED = ("reason",)
SPLIT = pa.schema([pa.field("clip_id", pa.string(), nullable=False), pa.field("part", pa.string(), nullable=False)])


@dataclass(frozen=True)
class Split:
    """A split of the data set."""

    name: str
    part_of: Mapping[str, str]
    """Clip id -> part, of the exported clips that it names."""
    settings: Mapping[str, str]
    """Its metadata under `cgtool.split_`: how it was made."""

    def table(self) -> pa.Table:
        """As contract 4 has it, ordered by clip id."""
        metadata = {VERSION_KEY: SCHEMA_VERSION.encode()} | {k.encode(): v.encode() for k, v in self.settings.items()}
        clip_ids = sorted(self.part_of)
        return pa.table([clip_ids, [self.part_of[c] for c in clip_ids]], schema=SPLIT.with_metadata(metadata))


def public_url(url: str) -> str:
    """A link as it is; of a file of this machine its name alone, as `local:<name>`."""
    if local_path(url) is None:
        return url
    return f"local:{PureWindowsPath(url).name}"  # it knows both kinds of slash


def local_path(url: str) -> Path | None:
    """The file of this machine that a url of the videos table is; None for a link."""
    is_path = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", url) is None or url.lower().startswith("file:")
    return Path(url) if is_path else None


def clean_videos(rows: list[dict[str, Any]], schema: pa.Schema, n_clips: Mapping[str, int]) -> pa.Table:
    """Videos rows as they may go out: of the videos that have exported clips alone.

    Args:
        n_clips: video id -> exported clips.
    """
    kept = [field for field in schema if field.name not in _DROPPED]
    cleaned = [
        {**row, "url": public_url(row["url"]), "n_clips": n_clips[row["video_id"]]}
        for row in rows
        if row["video_id"] in n_clips
    ]
    return pa.Table.from_pylist(cleaned, pa.schema(kept, metadata=schema.metadata))


def read_splits(folder: Path, clip_ids: Collection[str]) -> tuple[Split, ...]:
    """The splits in a folder, by name; those that none of the clips is in are left out.

    Names and parts become names of files: they are checked here, before anything is written.

    Raises:
        InputError: a file there is no split, or has a name that no split may have.
    """
    wanted, found = set(clip_ids), []
    for path in sorted(folder.glob("[!.]*.parquet")):
        if not _NAME.fullmatch(path.stem):
            raise InputError(
                f"{path.name!r} in {folder} is no name of a split", "Rename it: letters, digits, '.', '_' and '-'"
            )
        try:
            with pq.ParquetFile(path) as file:
                table = file.read(columns=SPLIT.names, use_threads=False)
            ids, parts = (table[name].to_pylist() for name in SPLIT.names)
        except (pa.ArrowException, KeyError, OSError) as exc:
            raise InputError(f"{path} is no split ({exc})", "Mend it or take it away") from exc
        if why := _why_no_split(ids, parts):
            raise InputError(f"{path} is no split: {why}", "Mend it or take it away")
        part_of = {clip_id: part for clip_id, part in zip(ids, parts, strict=True) if clip_id in wanted}
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if part_of:
            told = {key: value for key, value in metadata.items() if key.startswith("cgtool.split_")}
            found.append(Split(path.stem, part_of, told))
    return tuple(found)


def _why_no_split(clip_ids: list[Any], parts: list[Any]) -> str | None:
    """What contract 4 does not allow; None where all is well."""
    for clip_id, part in zip(clip_ids, parts, strict=True):
        if part not in PARTS:
            return f"the part of {clip_id} is {part!r}, none of {', '.join(PARTS)}"
    if len(set(clip_ids)) < len(clip_ids):
        twice = next(clip_id for clip_id, n in Counter(clip_ids).items() if n > 1)
        return f"{twice} has {clip_ids.count(twice)} rows"
    return None
