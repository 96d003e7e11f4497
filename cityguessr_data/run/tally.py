"""Counts over a data set, from its manifests: for dataset.json, `status` and the closing summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.partitions import read_manifest
from ..core.schemas import CLIPS
from ..core.types import LEVELS
from .assemble import is_stale
from .store import Store, read_part

_VIDEO, _CLIP = ["status", "reason"], ["n_sampled", "n_faces", "blur"]


def count(store: Store) -> dict[str, Any]:
    """Videos by status, clips, frames, blurred faces, and the number of places with clips at each level."""
    manifests = store.out / "manifests"
    clips = read_manifest(manifests / "clips.parquet", ["n_sampled", "n_faces", *LEVELS])
    statuses = read_manifest(manifests / "videos.parquet", ["status"])["status"].to_pylist()
    return {
        "videos": dict(sorted(Counter(statuses).items())),
        "clips": clips.num_rows,
        "frames": pc.sum(clips["n_sampled"]).as_py() or 0,
        "faces_blurred": pc.sum(clips["n_faces"]).as_py() or 0,
        **{f"{level}_classes": pc.count_distinct(clips[level]).as_py() for level in LEVELS},
    }


def committed_rows(
    store: Store, committed: Collection[str], *, imported: bool
) -> tuple[dict[str, dict[str, Any]], pa.Table]:
    """Status and reason of each committed video, and n_sampled, n_faces and blur of all clips; of what is there now.

    Two manifests in place of two parts a video, where they are of the parts and a part is a video's: an imported one
    may be of many.
    """
    if not imported and not is_stale(store):
        videos = read_manifest(store.out / "manifests" / "videos.parquet", ["video_id", *_VIDEO]).to_pylist()
        rows = {row.pop("video_id"): row for row in videos if row["video_id"] in committed}
        return rows, read_manifest(store.out / "manifests" / "clips.parquet", _CLIP)
    rows = {unit: read_part(store.part("videos", unit), _VIDEO).to_pylist()[0] for unit in committed}
    few = pa.schema([CLIPS.field(name) for name in _CLIP])
    parts = [read_part(store.part("clips", unit), _CLIP).replace_schema_metadata() for unit in committed]
    return rows, pa.concat_tables([few.empty_table(), *parts])
