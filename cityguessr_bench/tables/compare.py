"""Accuracies of a row over its seeds, and how far two rows differ: pure functions of predictions.

A row has K runs that differ in their seed alone and were tested on the same clips. Its accuracy is the mean over the
seeds. Two things could have made it another, and they are kept apart:

* which clips were tested: the 95 % interval. A clip's correctness is first averaged over the seeds, then whole source
  videos are drawn (intervals.py). For a difference the correctness of the two rows is subtracted clip by clip before
  that, so it is the paired interval.
* which random numbers the run drew: the spread, the standard deviation over the K runs with K - 1. Of a difference it
  is the root of the sum of both rows' squared spreads: how far the difference of one run of each lies from the next.

A difference is `within_noise` where its interval holds 0 or where it is no larger than its spread. With one seed the
spread is not measured, and only the interval speaks; with two it is itself hardly known. Of fewer than LEAST_VIDEOS
source videos every difference is within it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

from ..classes import Classes
from ..hierarchy import MODES, Mode, top_k
from ..intervals import over_videos
from ..metrics import correct_in_top
from ..predictions import Predictions

Metric = Literal["top1", "top5"]
_K: Mapping[Metric, int] = {"top1": 1, "top5": 5}
Key = tuple[Mode, Level, Metric]
LEAST_VIDEOS = 6
"""Of n videos the chance that all lean to one side, where there is no difference, is 2 / 2^n: below 5 % from 6 on. Of
fewer no interval of drawn videos can be one of 95 %."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """One accuracy of a row, a share of 0 to 1."""

    value: float
    """Mean over clips and seeds."""
    low: float | None
    """Of the 95 % interval over source videos; None for a single video, or where a clip's video is not known."""
    high: float | None
    spread: float | None
    """Standard deviation over seeds; None of one seed."""
    by_seed: tuple[float, ...]
    right: Floats
    """(N,) share of the seeds that got the clip right."""


@dataclass(frozen=True)
class Difference:
    """An accuracy minus that of the row of reference, on the same clips."""

    value: float
    low: float | None
    high: float | None
    spread: float | None
    """None where either row has one seed."""
    n_videos: int

    @property
    def within_noise(self) -> bool:
        """Whether it may be nothing: see the head of the file. Where there is no interval, nothing is claimed."""
        if self.n_videos < LEAST_VIDEOS or self.low is None or self.high is None or self.low <= 0 <= self.high:
            return True
        return self.spread is not None and abs(self.value) <= self.spread


@dataclass(frozen=True)
class Measures:
    """Works for rows of the same clips. What was bootstrapped is kept, for city accuracies stand under two modes."""

    video_ids: Sequence[str | None]
    """(N,) the source video of every clip."""
    _known: dict[bytes, tuple[float, float | None, float | None]] = field(default_factory=dict)

    def accuracy(self, rights: Sequence[npt.NDArray[np.bool_]]) -> Accuracy:
        """Of one row.

        Args:
            rights: by seed, (N,) which clips are right.
        Raises:
            ValueError: no seed, or arrays of another length.
        """
        each = np.stack([np.asarray(right, np.float64) for right in rights])
        by_seed = tuple(each.mean(axis=1).tolist())
        spread = statistics.stdev(by_seed) if len(by_seed) > 1 else None
        mean = each.mean(axis=0)
        # Where all seeds agree on every clip they are booleans again: all right, or none, has an exact interval.
        plain = mean.astype(np.bool_) if np.isin(mean, (0.0, 1.0)).all() else mean
        return Accuracy(*self._interval(plain), spread, by_seed, mean)

    def difference(self, accuracy: Accuracy, reference: Accuracy) -> Difference:
        """`accuracy` minus `reference`, paired by clip."""
        spreads = (accuracy.spread, reference.spread)
        known = [spread for spread in spreads if spread is not None]
        spread = math.hypot(*known) if len(known) == len(spreads) else None
        return Difference(*self._interval(accuracy.right - reference.right), spread, len(set(self.video_ids)))

    def _interval(self, values: Floats | npt.NDArray[np.bool_]) -> tuple[float, float | None, float | None]:
        key = values.dtype.str.encode() + values.tobytes()
        if key not in self._known:
            found = over_videos(values, self.video_ids)
            self._known[key] = (found.value, found.low, found.high)
        return self._known[key]


def rights(predictions: Predictions, classes: Classes, metrics: Sequence[Metric]) -> dict[Key, npt.NDArray[np.bool_]]:
    """Which clips are right, under every mode, at every level.

    Returns:
        (N,) by (mode, level, metric).
    """
    found: dict[Key, npt.NDArray[np.bool_]] = {}
    for mode in MODES:
        top = top_k(predictions.log_probs, classes.parents, mode, max(_K[metric] for metric in metrics))
        for level in LEVELS:
            for metric in metrics:
                found[mode, level, metric] = correct_in_top(top[level], predictions.truth[level], _K[metric])
    return found


def accuracies(
    by_seed: Sequence[Predictions], classes: Classes, measures: Measures, metrics: Sequence[Metric] = ("top1",)
) -> dict[Key, Accuracy]:
    """All accuracies of a row.

    Args:
        by_seed: one set of predictions a seed, of the same clips in the same order.
    Raises:
        ValueError: other clips than those of `measures`, or than each other's.
    """
    if any(one.clip_ids != by_seed[0].clip_ids or one.video_ids != tuple(measures.video_ids) for one in by_seed):
        raise ValueError("expected predictions of the same clips in the same order")
    each = [rights(one, classes, metrics) for one in by_seed]
    return {key: measures.accuracy([one[key] for one in each]) for key in each[0]}
