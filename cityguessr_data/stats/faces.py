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
from .frames import Frames, rows_of
from .results import Distribution, Faces
from .stream import batches

_STEPS = 10_000  # scores are counted to 1e-4, which bounds the memory whatever the number of rows
_TENTHS = 10 << 16  # heights are counted to 0.1 px, the tallest to 65,536 px


def faces(data: Data, frames: Frames | None) -> Faces | None:
    """Read the faces table in a stream; None where there is none, or no clip was looked at.

    Raises:
        InputError: it cannot be read, or holds what it must not.
    """
    if data.faces is None or data.clips is None:
        return None
    if "n_faces" in data.clips.column_names and data.clips["n_faces"].null_count == data.clips.num_rows:
        return None  # imported frames: nobody has looked for faces yet
    row_of = {clip_id: row for row, clip_id in enumerate(data.clips["clip_id"].to_pylist())}
    scores = np.zeros(_STEPS + 1, dtype=np.int64)
    heights = np.zeros(_TENTHS + 1, dtype=np.int64)
    origins: Counter[str] = Counter()
    n_blurred = n_in_band = n_visible = n_reviewed = n_strangers = 0
    texts = ("clip_id", "origin", "review")
    for batch in batches(data.faces, "faces", ("score", "blurred", "y0", "y1", *texts), dictionaries=texts):
        mine = rows_of(batch["clip_id"], row_of) >= 0
        score, blurred = _numpy(batch["score"]), _numpy(batch["blurred"]) & mine
        detected, clear = _is(batch["origin"], "detected") & mine, ~_numpy(batch["blurred"]) & mine
        pending, below = _is(batch["review"], "pending"), score < data.conf
        scores += np.bincount(np.clip(score[detected] * _STEPS, 0, _STEPS).astype(np.int32), minlength=_STEPS + 1)
        tall = (_numpy(batch["y1"]) - _numpy(batch["y0"]))[blurred]
        heights += np.bincount(np.clip(np.rint(tall * 10), 0, _TENTHS).astype(np.int32), minlength=_TENTHS + 1)
        n_blurred += int(blurred.sum())
        n_in_band += int((detected & clear & below & pending).sum())
        n_visible += int((detected & clear & ~below & ~_is(batch["review"], "rejected")).sum())
        n_reviewed += int((mine & ~pending).sum())
        n_strangers += int((~mine).sum())
        for row in pc.value_counts(batch["origin"].filter(pa.array(blurred))).to_pylist():
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
        n_visible=n_visible,
        n_reviewed=n_reviewed,
        scores=_scores(scores),
        heights_px=describe_counted(np.arange(_TENTHS + 1) / 10, heights),
        by_origin=dict(sorted(origins.items())),
        n_strangers=n_strangers,
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
