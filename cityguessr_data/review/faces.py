"""The face rows of a unit as its build wrote them, whatever a review has changed since.

A review starts from them every time, so that decisions can be undone and applying them twice changes nothing. They are
kept in OUT/.cgtool/review/faces/ when a review is applied for the first time; boxes only, never a pixel.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.schemas import FINGERPRINT_KEY
from ..run.store import ANONYMISED_KEY, Store, read_part
from .state import Row

_MARKS = (FINGERPRINT_KEY, ANONYMISED_KEY)


def as_built(store: Store, unit: str) -> pa.Table:
    """The faces table of a unit (FACES), as its build or `anonymise` wrote it."""
    kept = _kept(store, unit)
    if kept.is_file() and _marks(kept) == _marks(store.part("clips", unit)):
        return read_part(kept)
    return read_part(store.part("faces", unit))


def keep_as_built(store: Store, unit: str) -> None:
    """Keep them, before a review changes them for the first time.

    Raises:
        DiskFullError: no space left.
    """
    kept, marks = _kept(store, unit), _marks(store.part("clips", unit))
    if not kept.is_file() or _marks(kept) != marks:
        table = read_part(store.part("faces", unit))
        write_table(kept, table.replace_schema_metadata({**(table.schema.metadata or {}), **marks}))


def rows_by_clip(table: pa.Table) -> dict[str, list[Row]]:
    """Rows of a table by their clip, in their order."""
    rows: dict[str, list[Row]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["clip_id"], []).append(row)
    return rows


def _kept(store: Store, unit: str) -> Path:
    return store.work / "review" / "faces" / f"{unit}.parquet"


def _marks(part: Path) -> dict[bytes, bytes]:
    """What says which result a part belongs to."""
    metadata = pq.read_schema(part).metadata or {}
    return {key: metadata[key] for key in _MARKS if key in metadata}
