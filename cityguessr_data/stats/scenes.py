"""What the clips show: the mix of the 16 scene classes, overall and by continent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..core.places365 import SCENE_CLASSES
from .data import Data
from .results import Scenes


def scenes(data: Data) -> Scenes | None:
    """Average `scene_soft` over clips; None where no clip has one.

    Raises:
        InputError: a label that is not 16 shares summing to 1.
    """
    clips = data.clips
    if clips is None or "scene_soft" not in clips.column_names:
        return None
    labelled = clips.filter(pc.is_valid(clips["scene_soft"]))
    if not labelled.num_rows:
        return None
    soft = _matrix(labelled, data.name)
    continents = labelled["continent"].to_pylist() if "continent" in clips.column_names else []
    rows = {name: [i for i, c in enumerate(continents) if c == name] for name in sorted({c for c in continents if c})}
    majority = np.bincount(soft.argmax(1), minlength=len(SCENE_CLASSES))
    return Scenes(
        n_labelled=labelled.num_rows,
        n_unlabelled=clips.num_rows - labelled.num_rows,
        overall=tuple(soft.mean(0).tolist()),
        by_continent={name: tuple(soft[at].mean(0).tolist()) for name, at in rows.items()},
        majority=tuple(int(n) for n in majority),
    )


def _matrix(labelled: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """float64 (clips, 16)."""
    column = labelled["scene_soft"].combine_chunks()
    lengths = pc.list_value_length(column)
    shares: npt.NDArray[np.float64] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    if pc.any(pc.not_equal(lengths, len(SCENE_CLASSES))).as_py() or np.isnan(shares).any():
        raise InputError(f"{name}: a clip's scene_soft is not {len(SCENE_CLASSES)} shares", "Label the scenes again")
    soft = shares.reshape(-1, len(SCENE_CLASSES))
    if (np.abs(soft.sum(1) - 1) > 1e-3).any() or (soft < 0).any():
        raise InputError(f"{name}: a clip's scene_soft does not sum to 1", "Label the scenes again")
    return soft
