"""predictions.parquet: what a model said of every evaluated clip, and what is true.

The one file that every accuracy, interval, map and plot is computed from, and the one that anybody can write for a
model of their own: ids, four true labels, and the log-probabilities of all classes at four levels, in the numbering of
taxonomy.parquet. It is checked whole when it is read, for a figure from a broken file looks like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS, Level

from .classes import Classes
from .parquet import read_parquet

PREDICTIONS_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string()),
        pa.field("channel", pa.string()),
        *(pa.field(f"true_{level}", pa.int32(), nullable=False) for level in LEVELS),
        *(pa.field(f"log_probs_{level}", pa.list_(pa.float32()), nullable=False) for level in LEVELS),
    ]
)
TOLERANCE = 1e-3
"""How far the logarithm of a row's summed probabilities may be from 0."""
_HINT = (
    "A predictions file has clip_id, true_<level> (int32) and log_probs_<level> (list of float32, one a class of "
    f"taxonomy.parquet) for the levels {', '.join(LEVELS)}"
)


@dataclass(frozen=True, eq=False)
class Predictions:
    """N clips of the classes of a run. `of` and `read` check it against them."""

    clip_ids: tuple[str, ...]
    video_ids: tuple[str | None, ...]
    """None where the source video is not known."""
    channels: tuple[str | None, ...]
    truth: Mapping[Level, npt.NDArray[np.int32]]
    """(N,) by level."""
    log_probs: Mapping[Level, npt.NDArray[np.float32]]
    """(N, classes) by level: natural logarithms, finite; the probabilities of a row sum to 1."""

    def __len__(self) -> int:
        return len(self.clip_ids)

    def checked(self, classes: Classes, path: str = "the predictions") -> Self:
        """Itself, if it is fit to be scored.

        Args:
            path: what messages call it.
        Raises:
            InputError: no clips, a clip twice, a label that is no class, true labels that are no path of the taxonomy,
                shapes that do not fit, log-probabilities that are not finite or do not sum to 1.
        """
        if not len(self):
            raise InputError(f"{path}: there are no clips", _HINT)
        seen: set[str] = set()
        for clip_id in self.clip_ids:
            if clip_id in seen:
                raise InputError(f"{path}: clip {clip_id} stands there twice", "Give every clip one row")
            seen.add(clip_id)
        if not len(self.video_ids) == len(self.channels) == len(self):
            raise InputError(
                f"{path}: expected a video id and a channel (or null) for each of {len(self)} clips", _HINT
            )
        for level in LEVELS:
            self._check_level(level, classes.sizes[level], path)
        for level, upper in pairwise(LEVELS):
            right = classes.parents[level][self.truth[level]]
            if (wrong := right != self.truth[upper]).any():
                row = int(np.argmax(wrong))
                raise InputError(
                    f"{path}: clip {self.clip_ids[row]}: true {upper} is {self.truth[upper][row]}, but its {level} "
                    f"{self.truth[level][row]} ({classes.names[level][self.truth[level][row]]}) lies in {right[row]}",
                    "Use the labels of one taxonomy.parquet throughout",
                )
        return self

    def write(self, path: Path, classes: Classes) -> None:
        """Check, and write in one step.

        Raises:
            InputError: as `checked`.
            DiskFullError: no space left.
        """
        self.checked(classes, str(path))
        columns: dict[str, pa.Array] = {
            "clip_id": pa.array(self.clip_ids, pa.string()),
            "video_id": pa.array(self.video_ids, pa.string()),
            "channel": pa.array(self.channels, pa.string()),
        }
        for level in LEVELS:
            rows = np.ascontiguousarray(self.log_probs[level], np.float32)
            offsets = np.arange(len(self) + 1, dtype=np.int32) * np.int32(rows.shape[1])
            columns[f"true_{level}"] = pa.array(self.truth[level], pa.int32())
            columns[f"log_probs_{level}"] = pa.ListArray.from_arrays(offsets, rows.reshape(-1))
        write_table(path, pa.table(columns, PREDICTIONS_SCHEMA))

    @classmethod
    def read(cls, path: Path, classes: Classes) -> Self:
        """Read and check the predictions of a run, or those that somebody made for its classes.

        Columns of other names are passed over; video_id and channel may be left out, they are then not known.

        Raises:
            InputError: no such file, another kind of file, a column missing or of another type, a null, lists of
                another length than the level has classes, or as `checked`.
        """
        table = read_parquet(path, PREDICTIONS_SCHEMA, _HINT)
        clip_ids = tuple(table["clip_id"].to_pylist())
        return cls(
            clip_ids=clip_ids,
            video_ids=tuple(table["video_id"].to_pylist()),
            channels=tuple(table["channel"].to_pylist()),
            truth={level: table[f"true_{level}"].to_numpy() for level in LEVELS},
            log_probs={
                level: _matrix(table[f"log_probs_{level}"], clip_ids, level, classes.sizes[level], path)
                for level in LEVELS
            },
        ).checked(classes, str(path))

    def _check_level(self, level: Level, n_classes: int, path: str) -> None:
        truth, log_probs = self.truth[level], self.log_probs[level]
        if truth.shape != (len(self),) or log_probs.shape != (len(self), n_classes):
            raise InputError(
                f"{path}: expected {len(self)} true labels of level {level} and log-probabilities "
                f"({len(self)}, {n_classes}), got {truth.shape} and {log_probs.shape}",
                _HINT,
            )
        if (wrong := (truth < 0) | (truth >= n_classes)).any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"{path}: clip {self.clip_ids[row]}: true {level} is {truth[row]}, but labels are 0 to {n_classes - 1}",
                "Use the labels of taxonomy.parquet",
            )
        finite = np.isfinite(log_probs).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{path}: clip {self.clip_ids[int(np.argmin(finite))]}: a log-probability of level {level} is NaN or "
                f"infinity ({int((~finite).sum())} clips have such)",
                "Write log_softmax of the logits; a probability of 0 may stand as -100",
            )
        off = np.abs(_log_sum(log_probs)) > TOLERANCE
        if off.any():
            row = int(np.argmax(off))
            total = float(np.exp(np.minimum(_log_sum(log_probs[row : row + 1]), 700))[0])
            raise InputError(
                f"{path}: clip {self.clip_ids[row]}: the probabilities of level {level} sum to {total:.4g}, not to 1 "
                f"({int(off.sum())} clips have such)",
                "Write log_softmax of the logits: natural logarithms, neither logits nor probabilities",
            )


def _matrix(
    column: pa.ChunkedArray, clip_ids: tuple[str, ...], level: Level, n_classes: int, path: Path
) -> npt.NDArray[np.float32]:
    """(N, n_classes) float32 of a column of lists without null lists."""
    lists = column.combine_chunks()
    lengths = np.diff(np.asarray(lists.offsets)) if len(lists) else np.zeros(0, np.int64)
    if (wrong := lengths != n_classes).any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}: clip {clip_ids[row]}: {lengths[row]} log-probabilities of level {level}, but it has {n_classes} "
            "classes",
            "Is this the taxonomy.parquet that the predictions were made for?",
        )
    values = lists.flatten()
    if values.null_count:
        raise InputError(f"{path}: column log_probs_{level} holds {values.null_count} nulls", _HINT)
    return np.asarray(values, np.float32).reshape(-1, n_classes)


def _log_sum(log_probs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(N,) logarithm of the summed probabilities of every row."""
    logs = log_probs.astype(np.float64)
    highest = logs.max(axis=1)
    total: npt.NDArray[np.float64] = highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))
    return total
