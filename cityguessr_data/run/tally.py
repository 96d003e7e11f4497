"""Counts over a finished data set, from the manifests alone: for dataset.json, `status` and the closing summary."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.types import LEVELS
from .store import Store


def count(store: Store) -> dict[str, Any]:
    """Videos by status, clips, frames, blurred faces, and the number of places with clips at each level."""
    manifests = store.out / "manifests"
    clips = pq.read_table(manifests / "clips.parquet", columns=["n_sampled", "n_faces", *LEVELS])
    statuses = pq.read_table(manifests / "videos.parquet", columns=["status"])["status"].to_pylist()
    return {
        "videos": dict(sorted(Counter(statuses).items())),
        "clips": clips.num_rows,
        "frames": pc.sum(clips["n_sampled"]).as_py() or 0,
        "faces_blurred": pc.sum(clips["n_faces"]).as_py() or 0,
        **{f"{level}_classes": pc.count_distinct(clips[level]).as_py() for level in LEVELS},
    }
