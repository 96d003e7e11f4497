"""Puts scene labels into a unit's frames and clips: the two parts anew in staging, nothing else of it.

A clip is labelled whole, or it stays as it was: frames and clip never speak of different labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import sync_file, sync_folder
from ..core.errors import disk_full_stops
from ..core.places365 import Parents, majority, soft_label
from ..core.schemas import CLIPS, FRAMES
from ..run.store import Store
from .units import Unit, frames_part, rows_by_clip

if TYPE_CHECKING:
    import numpy.typing as npt

NO_LABEL = -1


@dataclass(frozen=True)
class ClipLabels:
    """Labels of the frames of one clip, ordered by position."""

    top1: npt.NDArray[np.int16]
    """(T,) the most probable category, 0-364; NO_LABEL where there is none."""
    prob: npt.NDArray[np.float32]
    """(T,) its probability; NaN where that is not known."""

    @property
    def n_lacking(self) -> int:
        """Frames without a label."""
        return int((self.top1 == NO_LABEL).sum())


@dataclass(frozen=True)
class UnitTables:
    """A unit's frames and clips as they are committed, and the rows of each clip's frames by position."""

    unit: Unit
    frames: pa.Table
    clips: pa.Table
    rows: dict[str, list[int]]


def read_tables(store: Store, unit: Unit) -> UnitTables:
    """Read both parts of a unit.

    Raises:
        VideoError: its frames part is gone.
    """
    frames = pq.read_table(frames_part(store, unit.name))
    return UnitTables(unit, frames, pq.read_table(store.part("clips", unit.name)), rows_by_clip(frames))


def stage_labels(tables: UnitTables, labels: dict[str, ClipLabels], parents: Parents, mark: str, staging: Path) -> None:
    """Write the unit's frames and clips parts into `staging`, with the labels of the clips in `labels`.

    Args:
        labels: by clip id, each with a label for every frame of its clip.
        parents: how a category of several classes counts in the soft label.
        mark: what the parts' metadata says of who labelled them.
    Raises:
        ValueError: labels that are not one a frame.
        DiskFullError: no space left.
    """
    columns = {name: tables.frames[name].to_pylist() for name in ("scene_top1", "scene_top1_prob")}
    soft, most = (tables.clips[name].to_pylist() for name in ("scene_soft", "scene_majority"))
    clip_rows = {clip_id: number for number, clip_id in enumerate(tables.clips["clip_id"].to_pylist())}
    for clip_id, found in labels.items():
        rows = tables.rows[clip_id]
        if len(found.top1) != len(rows) or found.n_lacking:
            raise ValueError(f"{clip_id}: {len(rows)} labels expected, {len(found.top1) - found.n_lacking} came")
        for row, top1, prob in zip(rows, found.top1.tolist(), found.prob.tolist(), strict=True):
            columns["scene_top1"][row] = top1
            columns["scene_top1_prob"][row] = None if np.isnan(prob) else prob
        shares = soft_label(found.top1, parents)
        soft[clip_rows[clip_id]], most[clip_rows[clip_id]] = shares.tolist(), majority(shares)
    marks = replace(tables.unit, scenes=mark).marks
    with disk_full_stops(str(staging)):
        folder = staging / "parts"
        folder.mkdir(parents=True)
        clips = _with(tables.clips, CLIPS, {"scene_soft": soft, "scene_majority": most})
        for name, table in (("frames", _with(tables.frames, FRAMES, columns)), ("clips", clips)):
            path = folder / f"{name}.parquet"
            metadata = {**(table.schema.metadata or {}), **marks}
            pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
            sync_file(path)
        sync_folder(folder)


def _with(table: pa.Table, schema: pa.Schema, columns: dict[str, list[Any]]) -> pa.Table:
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, schema.field(name), pa.array(values, schema.field(name).type))
    return table
