"""What is exported of a data set: which clips, with rows that say nothing of the machine they were made on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..core.fingerprint import file_sha256
from ..core.frame_files import FrameFiles
from ..core.schemas import TABLES, VIDEOS
from ..core.sources import safe_id
from ..review.decisions import DecisionLog
from ..review.progress import clips_of
from ..run.store import Store, read_part
from .cleaning import Split, clean_videos, local_path, read_splits
from .clip import ExportClip
from .frames import FramesError, Row, clip_digest, rows_of, size_of

UNASSIGNED = "unassigned"
"""Part of the clips that the split does not name."""
DROPPED = "dropped by a reviewer"
_GONE = "gone since "
"""How `reason` of the videos table begins where `refresh` marked a video (removal/marks.py)."""


@dataclass(frozen=True)
class Contents:
    """All that an export takes, but for the frames themselves."""

    store: Store
    dataset: Mapping[str, Any]
    """dataset.json."""
    clips: tuple[ExportClip, ...]
    by_unit: Mapping[str, tuple[ExportClip, ...]]
    videos: pa.Table
    """Rows of their videos, without a path of this machine; with the passed-through columns."""
    splits: tuple[Split, ...]
    left_out: Mapping[str, Sequence[str]]
    """Why -> clip ids."""
    gone: tuple[str, ...]
    """Ids of the videos that `refresh` found gone from their sites, and that are exported even so."""
    local_folders: frozenset[Path]
    """Where local source videos lie: no text of an export may name them."""
    digest: str
    """Of rows and frames."""

    @property
    def name(self) -> str:
        return str(self.dataset.get("name") or self.store.out.resolve().name)

    @property
    def version(self) -> str:
        """Of the data set."""
        return str(self.dataset.get("version", "0.1.0"))

    @property
    def n_frames(self) -> int:
        return sum(clip.n_frames for clip in self.clips)

    @property
    def n_bytes(self) -> int:
        """Of the frames."""
        return sum(clip.n_bytes for clip in self.clips)

    def table(self, name: str, unit: str) -> pa.Table:
        """Rows of the exported clips in a unit's `clips`, `frames` or `faces` part, in contract 4's columns.

        Of the faces those alone that are blurred: the others would tell where to look for people who slipped through.
        """
        part = read_part(self.store.part(name, unit))
        if name == "faces":
            part = part.filter(part["blurred"])
        held = pa.array([clip.clip_id for clip in self.by_unit[unit]], pa.string())
        return _in_columns(part.filter(pc.is_in(part["clip_id"], value_set=held)), TABLES[name])

    def tables(self, name: str) -> Iterator[pa.Table]:
        """The same of all units, one after the other."""
        return (self.table(name, unit) for unit in self.by_unit)


def read_contents(store: Store, *, split: str | None = None, without: Sequence[str] = ()) -> Contents:
    """Read what goes out.

    Args:
        split: name of the split that gives the parts; None: one part.
        without: marks of a review (`review.decisions.MARKS`): clips that have one stay here.
    Raises:
        InputError: nothing is left to export, there is no such split, or one is damaged.
        FramesError: with every frame that is not there.
    """
    dataset = store.dataset() or {}
    log, hashed = DecisionLog(store), hashlib.sha256()
    decided = set(log.units())
    units = [path.stem for path in store.parts("clips")]
    left_out: dict[str, list[str]] = {}
    kept: dict[str, list[str]] = {}
    for unit in units:
        clip_ids = read_part(store.part("clips", unit), ["clip_id"])["clip_id"].to_pylist()
        why = _left_out(store, log, unit, without) if unit in decided and clip_ids else {}
        for clip_id, reason in why.items():
            left_out.setdefault(reason, []).append(clip_id)
        if wanted := [clip_id for clip_id in clip_ids if clip_id not in why]:
            kept[unit] = wanted
    splits = read_splits(store.out / "splits", [clip_id for held in kept.values() for clip_id in held])
    part_of = _parts(splits, split, store)
    by_unit: dict[str, tuple[ExportClip, ...]] = {}
    videos: list[Row] = []
    faults: list[str] = []
    n_clips: Counter[str] = Counter()
    files = FrameFiles(store.out)
    schema = VIDEOS
    for unit, clip_ids in kept.items():
        part = read_part(store.part("clips", unit))
        rows = part.filter(pc.is_in(part["clip_id"], value_set=pa.array(clip_ids, pa.string()))).to_pylist()
        by_unit[unit] = tuple(_clips(store, files, unit, rows, part_of, faults))
        n_clips.update(row["video_id"] for row in rows if row["video_id"] is not None)
        held = read_part(store.part("videos", unit))
        schema = _joined(schema, held.schema)
        videos += held.to_pylist()
        for clip, row in zip(by_unit[unit], rows, strict=True):
            told = {name: value for name, value in row.items() if name != "frames_uri"}  # no export has it
            hashed.update(json.dumps([clip.digest, clip.part, told], sort_keys=True).encode())
        hashed.update(file_sha256(store.part("faces", unit)).encode())
    if not by_unit:
        some = ": all its clips were left out" if left_out else ""
        raise InputError(f"{store.out} has no clip to export{some}", "Build one, or leave less out")
    if faults:
        raise FramesError(store.out, faults)
    table = clean_videos(videos, schema, n_clips)
    hashed.update(json.dumps([table.to_pylist(), [[s.name, sorted(s.part_of.items())] for s in splits]]).encode())
    return Contents(
        store=store,
        dataset=dataset,
        clips=tuple(clip for held in by_unit.values() for clip in held),
        by_unit=by_unit,
        videos=table,
        splits=splits,
        left_out=left_out,
        gone=tuple(r["video_id"] for r in videos if r["video_id"] in n_clips and (r["reason"] or "").startswith(_GONE)),
        local_folders=frozenset(path.parent for row in videos if (path := local_path(row["url"]))),
        digest=hashed.hexdigest(),
    )


def _left_out(store: Store, log: DecisionLog, unit: str, without: Sequence[str]) -> dict[str, str]:
    """Clip id -> why it stays here, by its review. A dropped clip does, whether that is carried out or not."""
    reasons = {}
    for clip in clips_of(store, unit, log.read(unit)):
        marks = [mark for mark in without if mark in clip.review.marks]
        if clip.review.dropped:
            reasons[clip.clip_id] = DROPPED
        elif marks:
            reasons[clip.clip_id] = f"marked {marks[0]}"
    return reasons


def _parts(splits: Sequence[Split], name: str | None, store: Store) -> Mapping[str, str] | None:
    if name is None:
        return None
    for split in splits:
        if split.name == name:
            return split.part_of
    there = ", ".join(split.name for split in splits) or "none"
    raise InputError(
        f"{store.out} has no split {name!r} of these clips; it has {there}",
        f"Make one with `cgtool split {store.out}`, or leave out --split",
    )


def _clips(
    store: Store,
    files: FrameFiles,
    unit: str,
    rows: Sequence[Row],
    part_of: Mapping[str, str] | None,
    faults: list[str],
) -> Iterator[ExportClip]:
    frames = rows_of(store, unit)
    for row in rows:
        clip_id, held = row["clip_id"], frames.get(row["clip_id"], [])
        n_bytes = 0
        if [frame["position"] for frame in held] != list(range(row["n_sampled"])):
            faults.append(f"{clip_id}: {row['n_sampled']} frames expected, the tables have {len(held)}")
        for frame in held:
            try:
                n_bytes += size_of(files, frame)
            except ValueError as exc:
                faults.append(f"{frame['path']}: {exc}")
        part = "" if part_of is None else part_of.get(clip_id, UNASSIGNED)
        digest = clip_digest(frame["sha256"] or "" for frame in held)
        yield ExportClip(clip_id, unit, safe_id(clip_id), part, len(held), n_bytes, digest)


def _joined(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """With the passed-through columns of both."""
    for column in other:
        if column.name not in schema.names:
            schema = schema.append(column.remove_metadata())
    return schema


def _in_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.table([table[column.name].cast(column.type) for column in schema], schema=schema)
