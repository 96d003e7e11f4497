"""Keeps a redoing from putting another file's clips, or none, in the place of what is committed.

A local file may have been replaced, and a site may give a video another time in another form or length.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import ErrorClass
from ..core.partitions import manifest_files
from ..core.types import Dropped
from ..media.ids import is_local
from ..run.compute import Failed
from ..run.executor import Fetch, Fetched, Postponed, WorkItem
from ..run.store import Store, read_part

UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException)


@dataclass(frozen=True)
class Recorded:
    """What the tables say of a unit that is to be done again."""

    sha256: str | None
    """Of the file that it was made from; None where no table can be read that says it."""
    has_clips: bool
    fingerprints: frozenset[str]
    """Of its clips."""


def recorded_of(store: Store, units: Iterable[str]) -> dict[str, Recorded]:
    """By unit; what a part does not say any more is looked for in the manifest."""
    found = {unit: _of_parts(store, unit) for unit in units}
    lacking = {unit for unit, held in found.items() if held.sha256 is None}
    for row in _of_manifest(store, lacking) if lacking else ():
        unit = row["video_id"]
        has_clips = found[unit].has_clips or row["status"] == "done"
        found[unit] = replace(found[unit], sha256=row["sha256"], has_clips=has_clips)
    return found


def only_the_same(fetch: Fetch, known: Mapping[str, Recorded]) -> Fetch:
    """`fetch`, but a video whose file is not the recorded one fails, and what is committed of it stays."""

    def get(item: WorkItem, stop: threading.Event) -> Fetched | Failed | Postponed:
        got, held = fetch(item, stop), known.get(item.task.video_id)
        if not isinstance(got, Fetched) or held is None:
            return got
        source = got.source
        if isinstance(source, Dropped):
            was_removed = source.reason == "removed"  # by a tombstone: it is to go
            return (
                _refused(got, f"it would be dropped now: {source.message}")
                if held.has_clips and not was_removed
                else got
            )
        if held.sha256 is not None and source.sha256 != held.sha256:
            return _refused(got, "its source is another file now")
        # Nothing says which file it was: a local one counts in the fingerprint, what a site gives does not
        is_known = is_local(item.task.url) and held.fingerprints == {item.fingerprint}
        if held.sha256 is None and held.fingerprints and not is_known:
            return _refused(got, "nothing says any more which file it was made from")
        return got

    return get


def _refused(got: Fetched, why: str) -> Failed:
    message = f"{why}; what is committed stays"
    step = replace(got.step, status="failed", error_class=ErrorClass.INTERNAL, message=message)
    return Failed(got.item.task.video_id, got.item.fingerprint, ErrorClass.INTERNAL, message, (step,))


def _of_parts(store: Store, unit: str) -> Recorded:
    sha256, has_clips, fingerprints = None, False, frozenset[str]()
    try:
        row = read_part(store.part("videos", unit), ["video_id", "sha256", "status"]).to_pylist()[0]
        if row["video_id"] == unit:
            sha256, has_clips = row["sha256"], row["status"] == "done"
    except (*UNREADABLE, IndexError):
        sha256 = None
    try:
        rows = read_part(store.part("clips", unit), ["video_id", "fingerprint"]).to_pylist()
        has_clips = has_clips or bool(rows)
        fingerprints = frozenset(row["fingerprint"] for row in rows if row["video_id"] == unit)
    except UNREADABLE:
        fingerprints = frozenset()
    return Recorded(sha256, has_clips, fingerprints)


def _of_manifest(store: Store, units: set[str]) -> list[dict[str, Any]]:
    try:
        files = manifest_files(store.out / "manifests" / "videos.parquet")
        tables = [pq.read_table(file, columns=["video_id", "sha256", "status"]) for file in files]
    except UNREADABLE:
        return []
    return [row for table in tables for row in table.to_pylist() if row["video_id"] in units]
