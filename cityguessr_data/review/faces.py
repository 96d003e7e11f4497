"""The face rows of a unit as its build wrote them, whatever a review has changed since.

A review starts from them every time, so that decisions can be undone and applying them twice changes nothing. They are
kept in OUT/.cgtool/review/ when a review is applied for the first time, with the places of the clips, which a review
may change too; never a pixel. They count only as long as the clips part says that a review was applied to it: what a
build, an import or `anonymise` commits says nothing of the kind, whatever else it has in common with what was there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.types import LEVELS
from ..run.store import Store, read_part
from .state import Row

APPLIED_KEY = b"cgtool.reviewed"
"""In the metadata of a unit's clips part: which decisions were applied to it, by clip (`marks_of`), as JSON."""

PLACE_COLUMNS = ["clip_id", *LEVELS, *(f"{level}_label" for level in LEVELS)]


def as_built(store: Store, unit: str) -> pa.Table:
    """The faces table of a unit (FACES), as its build or `anonymise` wrote it."""
    kept = _kept(store, "faces", unit)
    return read_part(kept if _is_reviewed(store, unit) and kept.is_file() else store.part("faces", unit))


def places_as_built(store: Store, unit: str) -> dict[str, dict[str, Any]]:
    """Clip id -> its place (PLACE_COLUMNS but the id), as its build or import wrote it."""
    kept = _kept(store, "places", unit)
    part = kept if _is_reviewed(store, unit) and kept.is_file() else store.part("clips", unit)
    return {row.pop("clip_id"): row for row in read_part(part, PLACE_COLUMNS).to_pylist()}


def keep_as_built(store: Store, unit: str) -> None:
    """Keep them, before a review changes them for the first time.

    Raises:
        DiskFullError: no space left.
    """
    if not _is_reviewed(store, unit):
        write_table(_kept(store, "faces", unit), read_part(store.part("faces", unit)))
        write_table(_kept(store, "places", unit), read_part(store.part("clips", unit), PLACE_COLUMNS))


def rows_by_clip(table: pa.Table) -> dict[str, list[Row]]:
    """Rows of a table by their clip, in their order."""
    rows: dict[str, list[Row]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["clip_id"], []).append(row)
    return rows


def _kept(store: Store, what: str, unit: str) -> Path:
    return store.work / "review" / what / f"{unit}.parquet"


def _is_reviewed(store: Store, unit: str) -> bool:
    return APPLIED_KEY in (pq.read_schema(store.part("clips", unit)).metadata or {})
