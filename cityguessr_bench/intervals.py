"""How far a mean over clips (an accuracy, a difference of two) could be off by the luck of which clips were tested.

95 % bootstrap intervals, two ways. Over clips: every clip is drawn by itself, as if no two had anything in common. Over
source videos: whole videos are drawn with all their clips. Clips of one video show the same streets, so they are right
or wrong together, and the interval over clips is too narrow; the one over videos is the honest one.

The percentile interval of few units is too narrow too. It is widened to the percentiles at which it would be exact for
the mean of a normal sample: instead of 2.5 %, Phi(-t sqrt(n / (n - 1))), with t the 97.5 % quantile of Student's t at
n - 1 degrees of freedom (Hesterberg 2015, "What teachers should know about the bootstrap", the expanded percentile
interval). For 12 videos that is 1.1 %, for 1,000 it is 2.5 %.

Where every clip is right, or none is, the bootstrap sees no spread, and its interval would have no width. There the
exact one of Clopper and Pearson stands, with the videos (or the clips) as so many trials: none of 12 is 0 to 26.5 %.

The paper gives no intervals; several of its ablation steps are smaller than theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from cityguessr_data.stats.results import Interval

N_RESAMPLES = 9_999
_SEED = 0
_MAX_DRAWN = 1_000_000  # counts held at once: 16 MB
_NORMAL = NormalDist()
Values = npt.NDArray[np.floating] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]
Check = Callable[[], object]
"""Called again and again while resamples are drawn; what it raises ends that."""


def _go_on() -> None:
    """The check of who waits for the end."""


def over_clips(values: Values, check: Check = _go_on) -> Interval:
    """The mean of a value a clip, with its interval by drawing clips.

    For the difference of two sets of predictions of the same clips give the difference of their values, clip by clip:
    the interval is then the paired one.

    Args:
        values: (N,) numbers or booleans (right or wrong), one a clip.
    Returns:
        The same for the same values. Without `low` and `high` for a single clip. Of equal numbers that are no booleans
        the interval has no width: the bootstrap sees no spread, which does not prove that there is none.
    Raises:
        ValueError: no clips, or a value that is NaN or infinity.
    """
    sums = _checked(values)
    return _of_equal(values, len(sums)) or _interval(sums, np.ones(len(sums)), check)


def over_videos(values: Values, video_ids: Sequence[str | None], check: Check = _go_on) -> Interval:
    """The mean of a value a clip, with its interval by drawing source videos with all their clips.

    Args:
        values: (N,) as for `over_clips`; the mean is over clips here too, so long videos count for more.
        video_ids: (N,) the source video of every clip.
    Returns:
        As `over_clips`. Without `low` and `high` for a single video, or where a clip's video is not known.
    Raises:
        ValueError: as `over_clips`, or another number of ids.
    """
    numbers = _checked(values)
    if len(video_ids) != len(numbers):
        raise ValueError(f"expected a video id a clip, {len(numbers)}, got {len(video_ids)}")
    if any(video_id is None for video_id in video_ids):
        return Interval(float(numbers.mean()), None, None)
    number_of: dict[str | None, int] = {}
    video_of = np.array([number_of.setdefault(video_id, len(number_of)) for video_id in video_ids])
    return _of_equal(values, len(number_of)) or _interval(
        np.bincount(video_of, weights=numbers).astype(np.float64), np.bincount(video_of).astype(np.float64), check
    )


def _of_equal(values: Values, n_units: int) -> Interval | None:
    """The exact interval of a share where all units are right or all are wrong; None for anything else."""
    array = np.asarray(values)
    if array.dtype != np.bool_ or n_units < 2 or array.min() != array.max():
        return None
    reach = 0.025 ** (1 / n_units)
    return Interval(1.0, reach, 1.0) if array[0] else Interval(0.0, 0.0, 1 - reach)


def _interval(sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], check: Check) -> Interval:
    """Of sum(sums) / sum(sizes), by drawing units (clips or videos) with their sum and their size."""
    value, n_units = float(sums.sum() / sizes.sum()), len(sums)
    if n_units < 2:
        return Interval(value, None, None)
    # Drawing n units is drawing how often each kind of unit comes: 13,655 clips, right or wrong, are two kinds.
    kinds, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
    rng = np.random.default_rng(_SEED)
    step = max(1, _MAX_DRAWN // len(counts))
    means = []
    for done in range(0, N_RESAMPLES, step):
        check()
        drawn = rng.multinomial(n_units, counts / n_units, size=min(step, N_RESAMPLES - done)).astype(np.float64)
        # Not by @: BLAS would start threads for it, which wait busily and take the cores from the other estimates
        means.append(np.einsum("dk,k->d", drawn, kinds[0]) / np.einsum("dk,k->d", drawn, kinds[1]))
    tail = _tail(n_units)
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail]).tolist()
    return Interval(value, min(low, value), max(high, value))


def _tail(n_units: int) -> float:
    """Share of resamples left out at each end; 0.025 for very many units, less for few."""
    z, df = _NORMAL.inv_cdf(0.975), n_units - 1
    # Student's quantile by its expansion in 1/df (Abramowitz and Stegun 26.7.5); right to 0.2 % from df 3 on. Below
    # that it hardly matters: so few units are drawn in all combinations.
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    t = z + sum(term / df ** (i + 1) for i, term in enumerate(terms))
    return _NORMAL.cdf(-t * math.sqrt(n_units / df))


def _checked(values: Values) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"expected one finite value a clip, of one clip or more, got shape {numbers.shape}")
    return numbers
