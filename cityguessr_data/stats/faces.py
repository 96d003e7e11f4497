"""What the face detector found: scores, sizes, and how much lies in the band that a person should look at."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .data import Data
from .distribution import describe, describe_counted
from .frames import Frames
from .results import Distribution, Faces
from .stream import batches

_STEPS = 10_000  # scores are counted to 1e-4, which bounds the memory whatever the number of rows
_TALLEST_PX = 1 << 16


def faces(data: Data, frames: Frames | None) -> Faces | None:
    """Read the faces table in a stream; None where there is none."""
    if data.faces is None or data.clips is None:
        return None
    scores = np.zeros(_STEPS + 1, dtype=np.int64)
    heights = np.zeros(_TALLEST_PX + 1, dtype=np.int64)
    origins: Counter[str] = Counter()
    n_blurred = n_in_band = n_reviewed = 0
    columns = ("score", "blurred", "y0", "y1", "origin", "review")
    for batch in batches(data.faces, "faces", columns, dictionaries=("origin", "review")):
        blurred = _numpy(batch["blurred"])
        detected = _is(batch["origin"], "detected")
        found = _numpy(batch["score"])[detected]
        scores += np.bincount(np.clip(found * _STEPS, 0, _STEPS).astype(np.int32), minlength=_STEPS + 1)
        tall = (_numpy(batch["y1"]) - _numpy(batch["y0"]))[blurred]
        heights += np.bincount(np.clip(tall, 0, _TALLEST_PX).astype(np.int32), minlength=_TALLEST_PX + 1)
        n_blurred += int(blurred.sum())
        n_in_band += int((detected & ~blurred).sum())
        n_reviewed += batch.num_rows - int(_is(batch["review"], "pending").sum())
        for row in pc.value_counts(batch["origin"].filter(batch["blurred"])).to_pylist():
            origins[row["values"]] += row["counts"]
    clips = data.clips
    per_clip = describe(pc.cast(clips["n_faces"], pa.float64()).to_numpy()) if "n_faces" in clips.column_names else None
    return Faces(
        conf=data.conf,
        per_clip=per_clip,
        per_frame=frames.faces if frames else None,
        n_detections=int(scores.sum()),
        n_blurred=n_blurred,
        n_in_band=n_in_band,
        n_reviewed=n_reviewed,
        scores=_scores(scores),
        heights_px=describe_counted(np.arange(_TALLEST_PX + 1), heights),
        by_origin=dict(sorted(origins.items())),
    )


def _scores(counts: npt.NDArray[np.int64]) -> Distribution | None:
    """In bins of 0.01: a threshold is an edge of one."""
    return describe_counted(np.arange(_STEPS + 1) / _STEPS, counts, edges=np.arange(101) / 100)


def _numpy(column: pa.Array) -> Any:
    return column.to_numpy(zero_copy_only=False)


def _is(column: pa.DictionaryArray, value: str) -> npt.NDArray[np.bool_]:
    """Where a dictionary column has a value; its dictionary may hold the value or not."""
    code = pc.index(column.dictionary, pa.scalar(value, column.dictionary.type)).as_py()
    found: npt.NDArray[np.bool_] = _numpy(column.indices) == code
    return found
