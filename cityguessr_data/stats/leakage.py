"""How much of a split's test part a model has seen before: same source, same channel, the clip next door, a copy.

A random split by clip puts pieces of one video on both sides, so that a model is rewarded for knowing the video. The
counts here say how often; each test clip is counted once a reason, and may be counted for several.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import TableError
from ..core.tables import Fault, TextTable, read_table
from .results import Leakage

PARTS = ("train", "val", "test")
NOT_IN_SPLIT = "not in the split"
_TRAIN, _TEST = PARTS.index("train"), PARTS.index("test")
_NAMED = 3
"""So many examples are named in a message."""

Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]


def leakage(
    split: str,
    part_of: Ints,
    video_of: Ints | None = None,
    clip_index: Ints | None = None,
    channel_of: Sequence[str | None] | None = None,
    duplicate_pairs: Ints | None = None,
) -> Leakage:
    """Count the test clips that train gives away. Val is neither side.

    A test clip is counted
    * as same video where at least one train clip has its source video;
    * as same channel where at least one train clip has its channel, of the same video or another. Clips without a
      channel are never alike;
    * as adjacent where the clip one before or one after it in the same video is in train;
    * as duplicate where a clip that it is paired with is in train.

    Args:
        split: its name.
        part_of: (n_clips,) index into PARTS, -1 for clips that the split leaves out; `read_split` gives it.
        video_of: (n_clips,) source video of each clip as a number, -1 where it is unknown; None: none is known.
        clip_index: (n_clips,) the clip's number within its video, from 0.
        channel_of: (n_clips,) its channel's name; None where it is unknown.
        duplicate_pairs: (P, 2) indices of clips that look the same; None: not looked for.
    Returns:
        Counts; those that the given data cannot tell are None. The same channel is None too where no test clip has one.
    Raises:
        ValueError: arrays of different lengths, or a value out of range.
    """
    n = len(part_of)
    for name, values in (("video_of", video_of), ("clip_index", clip_index), ("channel_of", channel_of)):
        if values is not None and len(values) != n:
            raise ValueError(f"expected {n} values in {name}, one a clip, got {len(values)}")
    if n and not (part_of.min() >= -1 and part_of.max() < len(PARTS)):
        raise ValueError(f"expected parts -1 to {len(PARTS) - 1}, got {part_of.min()} to {part_of.max()}")
    train, test = part_of == _TRAIN, part_of == _TEST
    channel = np.full(n, -1) if channel_of is None else _numbered(channel_of)
    n_test = int(test.sum())
    n_channel_unknown = int((test & (channel < 0)).sum())
    n_by_part = {name: int((part_of == code).sum()) for code, name in enumerate(PARTS)}
    if (n_left_out := int((part_of < 0).sum())) > 0:
        n_by_part[NOT_IN_SPLIT] = n_left_out
    return Leakage(
        split=split,
        n_by_part=n_by_part,
        n_test=n_test,
        n_same_video=None if video_of is None else _n_shared(np.asarray(video_of), train, test),
        n_same_channel=None if n_channel_unknown == n_test else _n_shared(channel, train, test),
        n_channel_unknown=n_channel_unknown,
        n_adjacent=None if video_of is None or clip_index is None else _n_adjacent(video_of, clip_index, train, test),
        n_duplicate=None if duplicate_pairs is None else _n_paired(duplicate_pairs, train, test),
    )


def read_split(path: Path, clip_ids: Sequence[str]) -> npt.NDArray[np.int8]:
    """Read a split, Parquet or CSV with the columns `clip_id` and `part` (contract 4), for the clips of the data.

    Returns:
        (n_clips,) index into PARTS in the order of `clip_ids`; -1 for clips that the split does not have.
    Raises:
        InputError: no such file, or a TableError with what is wrong: no table, a column missing, a part that is none
            of PARTS, a clip twice, a clip that the data does not have, nobody in train or in test.
    """
    table = read_table(path, required=("clip_id", "part"), parquet=True)
    row_of = {clip_id: row for row, clip_id in enumerate(clip_ids)}
    faults = [*table.faults, *_faults(table, row_of)]
    part_of = np.full(len(clip_ids), -1, np.int8)
    if not faults:
        code_of = {name: code for code, name in enumerate(PARTS)}
        for _, cells in table.rows:
            part_of[row_of[cells["clip_id"]]] = code_of[cells["part"]]
        faults = [(1, f"no clip is in {PARTS[code]}") for code in (_TRAIN, _TEST) if not (part_of == code).any()]
    if faults:
        raise TableError(str(path), sorted(faults))
    return part_of


def _faults(table: TextTable, row_of: dict[str, int]) -> list[Fault]:
    """One fault a kind, on the line of its first example: a split of another data set has 60,000 wrong clips."""
    bad_part: list[tuple[int, str]] = []
    unknown: list[tuple[int, str]] = []
    twice: list[tuple[int, str]] = []
    seen: set[str] = set()
    for line, cells in table.rows:
        clip_id, part = cells["clip_id"], cells["part"]
        if part not in PARTS:
            bad_part.append((line, repr(part)))
        if clip_id not in row_of:
            unknown.append((line, clip_id or "a row without clip_id"))
        elif clip_id in seen:
            twice.append((line, clip_id))
        seen.add(clip_id)
    kinds = (
        (bad_part, "row{s} with a part that is none of " + ", ".join(PARTS)),
        (unknown, "clip{s} that the data set does not have"),
        (twice, "row{s} for a clip that has one already"),
    )
    return [_summary(found, what) for found, what in kinds if found]


def _summary(found: list[tuple[int, str]], what: str) -> Fault:
    examples = ", ".join(f"{name} (line {line})" for line, name in found[:_NAMED])
    more = ", ..." if len(found) > _NAMED else ""
    return found[0][0], f"{len(found)} {what.format(s='' if len(found) == 1 else 's')}: {examples}{more}"


def _numbered(names: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """(n,) a number for each name, the same for the same; -1 for None."""
    number_of: dict[str, int] = {}
    return np.array([-1 if x is None else number_of.setdefault(x, len(number_of)) for x in names], dtype=np.int64)


def _n_shared(group: Ints, train: Bools, test: Bools) -> int:
    """Test clips whose group, a number from 0, has a clip in train; of group -1 none."""
    return int((test & (group >= 0) & np.isin(group, group[train])).sum())


def _n_adjacent(video_of: Ints, clip_index: Ints, train: Bools, test: Bools) -> int:
    """Test clips next to a train clip of the same video."""
    stride = int(clip_index.max(initial=0)) + 3  # a place before the first and one after the last belong to nobody
    place = video_of.astype(np.int64) * stride + clip_index + 1
    in_train = place[train & (video_of >= 0)]
    beside = np.isin(place - 1, in_train) | np.isin(place + 1, in_train)
    return int((test & beside).sum())


def _n_paired(pairs: Ints, train: Bools, test: Bools) -> int:
    """Test clips that are in a pair with a train clip, on either side of it."""
    a, b = pairs[:, 0], pairs[:, 1]
    leaked = np.zeros(len(test), bool)
    leaked[a[test[a] & train[b]]] = True
    leaked[b[test[b] & train[a]]] = True
    return int(leaked.sum())
