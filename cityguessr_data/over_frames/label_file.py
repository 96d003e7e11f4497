"""Reads scene labels that somebody else made: a table of frames or of spans, Parquet or CSV, checked whole.

frames: clip_id, position, scene_top1, and scene_top1_prob where it is known.
spans:  video_id, start_frame, end_frame (exclusive), scene; frame numbers are those of the source video. The truth of
        the synthetic world is one.
A label is a Places365 category, 0-364; an empty one is none. Other columns are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from ..core.errors import InputError, TableError
from ..core.fingerprint import file_sha256
from ..core.places365 import N_CATEGORIES
from ..core.tables import Fault
from .label_columns import LabelTable, integers, read_columns, reals, texts
from .label_parts import NO_LABEL, ClipLabels

if TYPE_CHECKING:
    import numpy.typing as npt

Form = Literal["frames", "spans"]
FORMS: dict[Form, tuple[str, ...]] = {
    "frames": ("clip_id", "position", "scene_top1"),
    "spans": ("video_id", "start_frame", "end_frame", "scene"),
}
_MOST_FRAMES = 2**40


@dataclass(frozen=True)
class LabelFile:
    """The labels of a file, sorted so that those of one clip or video stand together."""

    path: Path
    sha256: str
    form: Form
    n_rows: int
    bounds: dict[str, tuple[int, int]]
    """Clip id (frames) or video id (spans) -> first and last + 1 of its rows."""
    start: npt.NDArray[np.int64]
    """(n_rows,) position, or first frame; ascending within the rows of one key."""
    end: npt.NDArray[np.int64]
    """(n_rows,) exclusive."""
    top1: npt.NDArray[np.int64]
    prob: npt.NDArray[np.float64]

    def labels(
        self, clip_id: str, video_id: str | None, positions: Sequence[int], frame_indices: Sequence[int | None]
    ) -> ClipLabels | None:
        """The labels of one clip's frames; None where the file does not name the clip, or its video.

        Args:
            positions: of its frames.
            frame_indices: in the source, of the same frames; None where the data does not say.
        """
        rows = self.bounds.get(clip_id if self.form == "frames" else video_id or "")
        if rows is None:
            return None
        first, last = rows
        asked = positions if self.form == "frames" else [-1 if i is None else i for i in frame_indices]
        at = np.asarray(asked, np.int64)
        row = first + np.searchsorted(self.start[first:last], at, side="right") - 1
        inside = (row >= first) & (at >= 0)
        row = np.where(inside, row, first)
        inside &= at < self.end[row]
        return ClipLabels(
            np.where(inside, self.top1[row], NO_LABEL).astype(np.int16),
            np.where(inside, self.prob[row], np.nan).astype(np.float32),
        )

    def n_astray(self, clip_id: str, positions: Sequence[int]) -> int:
        """Rows of the form `frames` that name a position which the clip does not have."""
        first, last = self.bounds.get(clip_id, (0, 0)) if self.form == "frames" else (0, 0)
        return int((~np.isin(self.start[first:last], np.asarray(positions, np.int64))).sum())

    def unknown(self, known: set[str]) -> tuple[str, ...]:
        """Clip ids (frames) or video ids (spans) of the file that are not in `known`, sorted."""
        return tuple(sorted(set(self.bounds) - known))


def read_label_file(path: Path) -> LabelFile:
    """Read and check a file of labels.

    Raises:
        InputError: it cannot be read, or has the columns of neither form.
        TableError: values that cannot be, or that contradict each other, with their lines (Parquet: row + 1).
    """
    wanted = tuple(dict.fromkeys([*FORMS["frames"], "scene_top1_prob", *FORMS["spans"]]))
    table = read_columns(path, wanted)
    form = next((form for form, columns in FORMS.items() if set(columns) <= set(table.columns)), None)
    if form is None:
        found = ", ".join(table.names[:12]) or "none"
        raise InputError(
            f"{path} has the columns of no form of labels (columns found: {found})",
            f"Give {', '.join(FORMS['frames'])}[, scene_top1_prob], or {', '.join(FORMS['spans'])}",
        )
    faults = list(table.faults)
    key_name, label_name = FORMS[form][0], FORMS[form][-1]
    keys = texts(table, key_name, faults)
    top1 = integers(table, label_name, 0, N_CATEGORIES - 1, faults, empty=NO_LABEL)
    prob = np.full(len(top1), np.nan)
    if form == "frames":
        start = integers(table, "position", 0, _MOST_FRAMES, faults)
        end = start + 1
        if "scene_top1_prob" in table.columns:
            prob = reals(table, "scene_top1_prob", 0.0, 1.0, faults)
    else:
        start = integers(table, "start_frame", 0, _MOST_FRAMES, faults)
        end = integers(table, "end_frame", 0, _MOST_FRAMES, faults)
        faults += [
            (int(table.lines[row]), f"end_frame {end[row]} is not after start_frame {start[row]}")
            for row in np.flatnonzero((end <= start) & (start >= 0) & (end >= 0))
        ]
    if not faults:
        codes, order, bounds = _sorted(keys, start)
        faults += _overlaps(form, table, keys, codes, start, end, order)
    if faults:
        raise TableError(str(path), sorted(faults))
    if not len(top1):
        raise TableError(str(path), [(1, "the table has no rows")])
    return LabelFile(
        path, file_sha256(path), form, len(top1), bounds, start[order], end[order], top1[order], prob[order]
    )


def _sorted(
    keys: pa.Array, start: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, tuple[int, int]]]:
    """Each row's key as a number, the order by key and start, and where the rows of each key begin and end there."""
    encoded = keys.dictionary_encode()
    codes: npt.NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((start, codes))
    edges = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1)).tolist()
    names: list[str] = encoded.dictionary.to_pylist()
    return codes, order, {name: (edges[i], edges[i + 1]) for i, name in enumerate(names)}


def _overlaps(
    form: Form, table: LabelTable, keys: pa.Array, codes: Any, start: Any, end: Any, order: npt.NDArray[np.int64]
) -> list[Fault]:
    """Rows that speak of frames which a row of the same key speaks of too."""
    before, after = order[:-1], order[1:]
    both = np.flatnonzero((codes[before] == codes[after]) & (end[before] > start[after]))
    what = "position" if form == "frames" else "the span from"
    return [
        (
            int(table.lines[after[pair]]),
            f"{keys[int(after[pair])].as_py()}: {what} {start[after[pair]]} is labelled on line "
            f"{int(table.lines[before[pair]])} too",
        )
        for pair in both
    ]
