"""What became of the faces of an export: how many boxes are blurred, and how many are not and so stay at home.

Only boxes that are blurred go out. The others would tell where to look for people whom the detector doubted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..review.faces import as_built
from ..review.state import box_of
from ..run.store import read_part
from .contents import Contents


@dataclass(frozen=True)
class FaceCounts:
    """Boxes in the frames of an export."""

    blurred: int = 0
    drawn: int = 0
    """Of the blurred ones: drawn by hand."""
    taken: int = 0
    """Of the blurred ones: detections that the build had left, and that a reviewer took for faces."""
    rejected: int = 0
    """Not blurred: the build had blurred them, and a reviewer said that they are no faces."""
    under: int = 0
    """Not blurred: detections under the threshold."""

    @property
    def left(self) -> int:
        """Boxes that are not blurred."""
        return self.rejected + self.under


def count_faces(contents: Contents) -> FaceCounts:
    """Count them in the faces parts, beside what the build had blurred."""
    n = dict.fromkeys(("blurred", "drawn", "taken", "rejected", "under"), 0)
    for unit, clips in contents.by_unit.items():
        held = pa.array([clip.clip_id for clip in clips], pa.string())

        def of_export(table: pa.Table, held: pa.Array = held) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = table.filter(pc.is_in(table["clip_id"], value_set=held)).to_pylist()
            return rows

        before = {_key(row) for row in of_export(as_built(contents.store, unit)) if row["blurred"]}
        for row in of_export(read_part(contents.store.part("faces", unit))):
            was_blurred = _key(row) in before
            if row["blurred"]:
                n["blurred"] += 1
                n["drawn"] += row["origin"] == "manual"
                n["taken"] += row["origin"] != "manual" and not was_blurred
            else:
                n["rejected" if was_blurred else "under"] += 1
    return FaceCounts(**n)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["clip_id"], row["position"], box_of(row)
