"""Bootstrap intervals of the measures: how far a figure could be off by the luck of which classes are in the data.

Classes are resampled with replacement, 9,999 times, and the bias-corrected and accelerated (BCa) 95 % interval is taken
(Efron 1987, by SciPy). It answers: had other cities of the same kind been picked, where would the figure lie? It does
not say how well one city's clips are counted: they are counted, not estimated. It needs no more than the counts, so all
kinds of input get the same interval. docs/statistics.md has its coverage as simulated.

Above 2,000 classes plain percentiles are taken, of as many resamples: BCa's time and memory grow with the square of the
classes, and of so many the ends of the two differ by a twentieth of the width (docs/statistics.md).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .inequality import Array, Measure
from .results import Interval

N_RESAMPLES = 9_999
_SEED = 0
_BCA_UP_TO = 2_000  # classes
_BATCH_VALUES = 2**20  # values held at once, 8 MB; at most so many resamples times classes


def interval(counts: npt.ArrayLike, measure: Measure) -> Interval:
    """A measure of one data set with its interval; the same counts give the same interval.

    Args:
        counts: (n,) clips per class, in any order.
    Returns:
        Without `low` and `high` for a single class.
    Raises:
        ValueError: as the measure.
    """
    y = np.sort(np.asarray(counts, dtype=np.float64))
    return _bootstrap(float(measure(y)), (y,), lambda x: _defined(measure, x))


def difference(first: npt.ArrayLike, other: npt.ArrayLike, measure: Measure) -> Interval:
    """`measure(other) - measure(first)` with its interval; the two are resampled independently.

    Args:
        first, other: (n,) and (m,) clips per class.
    Returns:
        Without `low` and `high` if either has a single class.
    Raises:
        ValueError: as the measure.
    """
    a, b = (np.sort(np.asarray(counts, dtype=np.float64)) for counts in (first, other))
    value = float(measure(b)) - float(measure(a))
    return _bootstrap(value, (a, b), lambda x, y: _defined(measure, y) - _defined(measure, x))


def _bootstrap(value: float, samples: tuple[Array, ...], statistic: Callable[..., Array]) -> Interval:
    """BCa; percentiles where it is undefined (two classes, equal counts) or the classes are many; widened to hold the
    value if it does not."""
    if min(map(len, samples)) < 2:
        return Interval(value, None, None)
    ends = _bca if max(map(len, samples)) <= _BCA_UP_TO else _percentiles
    low, high = ends(samples, statistic, max(1, _BATCH_VALUES // sum(map(len, samples))))
    return Interval(value, min(low, value), max(high, value))


def _bca(samples: tuple[Array, ...], statistic: Callable[..., Array], batch: int) -> tuple[float, float]:
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy says where BCa is undefined; that is handled below
        result = stats.bootstrap(
            samples,
            lambda *resampled, axis: statistic(*(np.moveaxis(x, axis, -1) for x in resampled)),
            n_resamples=N_RESAMPLES,
            batch=batch,
            method="BCa",
            vectorized=True,
            rng=np.random.default_rng(_SEED),
        )
    low, high = map(float, result.confidence_interval)
    if not np.isfinite([low, high]).all():
        return _middle(result.bootstrap_distribution)
    return low, high


def _percentiles(samples: tuple[Array, ...], statistic: Callable[..., Array], batch: int) -> tuple[float, float]:
    from concurrent.futures import ThreadPoolExecutor

    def measured(start: int) -> Array:
        rng = np.random.default_rng([_SEED, start])  # a seed a batch: the answer is the same on any number of threads
        n = min(batch, N_RESAMPLES - start)
        # Indices of 32 bits are drawn faster than those of 64
        return statistic(*(y[rng.integers(0, len(y), (n, len(y)), dtype=np.int32)] for y in samples))

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:  # NumPy sorts and draws without the GIL
        return _middle(np.concatenate(list(threads.map(measured, range(0, N_RESAMPLES, batch)))))


def _middle(measured: Array) -> tuple[float, float]:
    """The ends of the middle 95 %, of the resamples that have a measure."""
    low, high = np.nanquantile(measured, [0.025, 0.975]).tolist()
    return low, high


def _defined(measure: Measure, y: Array) -> Array:
    """`measure` of every resample; NaN for one that drew only classes without clips."""
    any_clips = y.sum(-1) > 0
    values = np.full(any_clips.shape, np.nan)
    if any_clips.any():
        values[any_clips] = measure(y[any_clips])
    return values
