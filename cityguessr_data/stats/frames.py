"""Reads the frames table in a stream: which clip each frame is of, its perceptual hash, its blurred faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
    n_strangers: int
    """Frames of clips that the clips table does not have; they are in nothing above."""


def read_frames(path: Path, clip_ids: pa.ChunkedArray) -> Frames:
    """Read OUT/manifests/frames.parquet.

    Args:
        clip_ids: of the clips table, in its order.
    Raises:
        InputError: it cannot be read.
    """
    known = clip_ids.combine_chunks()
    # Rows are written straight to their place: joined batches would need twice the memory
    n_rows = count_rows(path)
    clips, hashes = np.empty(n_rows, np.int32), np.empty(n_rows, np.int64)
    faces = np.zeros(1, dtype=np.int64)
    n = unknown_faces = strangers = 0
    for batch in batches(path, "frames", ("clip_id", "phash", "n_faces"), dictionaries=("clip_id",)):
        ids = batch["clip_id"]
        row_of_id = pc.index_in(ids.dictionary, value_set=known)  # few distinct ids a batch: cheap
        row = pc.fill_null(row_of_id, -1).to_numpy(zero_copy_only=False)[ids.indices.to_numpy(zero_copy_only=False)]
        mine = row >= 0
        strangers += int((~mine).sum())
        phash = batch["phash"]
        usable = mine & phash.is_valid().to_numpy(zero_copy_only=False)
        end = n + int(usable.sum())
        clips[n:end] = row[usable]
        hashes[n:end] = pc.fill_null(phash, 0).to_numpy(zero_copy_only=False)[usable]
        n = end
        counted = batch["n_faces"].filter(pa.array(mine))
        unknown_faces += counted.null_count
        faces = _added(faces, np.bincount(np.maximum(counted.drop_null().to_numpy(zero_copy_only=False), 0)))
    return Frames(
        clip=clips[:n],
        phash=hashes[:n],
        faces=describe_counted(np.arange(len(faces)), faces, n_unknown=unknown_faces),
        n_strangers=strangers,
    )


def _added(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of two histograms that both count from 0."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
