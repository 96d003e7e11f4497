"""Reads the frames table in a stream: which clip each frame is of, its perceptual hash, its blurred faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from .distribution import describe_counted
from .results import Distribution
from .stream import batches, count_rows


@dataclass(frozen=True)
class Frames:
    """What the frames table says, without a row in memory that is not needed."""

    clip: npt.NDArray[np.int32]
    """(F,) row of the clips table, for every frame that has a hash."""
    phash: npt.NDArray[np.int64]
    """(F,)."""
    faces: Distribution | None
    """Blurred faces in a frame."""
    n_rows: int
    """Frames of clips that the clips table has."""
    n_strangers: int
    """Frames of clips that the clips table does not have; they are in nothing above."""


def read_frames(path: Path, clip_ids: pa.ChunkedArray) -> Frames:
    """Read OUT/manifests/frames.parquet.

    Args:
        clip_ids: of the clips table, in its order.
    Raises:
        InputError: it cannot be read.
    """
    row_of = {clip_id: row for row, clip_id in enumerate(clip_ids.to_pylist())}
    # Rows are written straight to their place: joined batches would need twice the memory
    n_rows = count_rows(path)
    clips, hashes = np.empty(n_rows, np.int32), np.empty(n_rows, np.int64)
    faces = np.zeros(1, dtype=np.int64)
    n = n_mine = unknown_faces = strangers = 0
    for batch in batches(path, "frames", ("clip_id", "phash", "n_faces"), dictionaries=("clip_id",)):
        ids = batch["clip_id"]
        row = rows_of(ids, row_of)
        mine = row >= 0
        strangers += int((~mine).sum())
        phash = batch["phash"]
        usable = mine & phash.is_valid().to_numpy(zero_copy_only=False)
        end = n + int(usable.sum())
        clips[n:end] = row[usable]
        hashes[n:end] = pc.fill_null(phash, 0).to_numpy(zero_copy_only=False)[usable]
        n = end
        counted = batch["n_faces"].filter(pa.array(mine))
        n_mine += int(mine.sum())
        if len(counted) > counted.null_count and pc.min(counted).as_py() < 0:
            raise InputError(f"{path}: column n_faces is negative in some rows", "Run the build again")
        unknown_faces += counted.null_count
        faces = _added(faces, np.bincount(counted.drop_null().to_numpy(zero_copy_only=False), minlength=1))
    return Frames(
        clip=clips[:n],
        phash=hashes[:n],
        faces=describe_counted(np.arange(len(faces)), faces, n_unknown=unknown_faces),
        n_rows=n_mine,
        n_strangers=strangers,
    )


def rows_of(ids: pa.DictionaryArray, row_of: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """The row of each of `ids`; -1 where it has none. A batch has few distinct ids: cheap."""
    rows = np.array([row_of.get(clip_id, -1) for clip_id in ids.dictionary.to_pylist()], np.int32)
    found: npt.NDArray[np.int32] = rows[ids.indices.to_numpy(zero_copy_only=False)]
    return found


def _added(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of two histograms that both count from 0."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
