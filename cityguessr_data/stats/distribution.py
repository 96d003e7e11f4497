"""The spread of a quantity as summary and histogram, of values at hand or of counts gathered while streaming."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .results import Distribution

_BINS = 30
_STEPS = (1.0, 2.0, 2.5, 5.0)


def describe(values: npt.ArrayLike) -> Distribution | None:
    """Summarise `values` (n,); what is not finite counts as unknown. None where no value is known.

    Whole numbers get bins of whole width, so that no bin can hold more of them than its neighbour by rounding alone.
    """
    every = np.asarray(values, dtype=np.float64)
    known = every[np.isfinite(every)]
    if not known.size:
        return None
    distinct, weights = np.unique(known, return_counts=True)
    return describe_counted(distinct, weights, n_unknown=int(every.size - known.size))


def describe_counted(
    distinct: npt.ArrayLike, weights: npt.ArrayLike, n_unknown: int = 0, edges: npt.ArrayLike | None = None
) -> Distribution | None:
    """Summarise the values `distinct` (k,), ascending, of which each was seen `weights` (k,) times, 0 or more.

    Args:
        edges: of the bins, from the lowest value or below to the highest or above; None: chosen for the values.
    """
    w = np.asarray(weights, dtype=np.int64)
    v = np.asarray(distinct, dtype=np.float64)[w > 0]
    w = w[w > 0]
    if not v.size:
        return None
    whole = edges is None and bool((v == np.round(v)).all())
    bins = _edges(float(v[0]), float(v[-1]), whole) if edges is None else np.asarray(edges, dtype=np.float64)
    counts, _ = np.histogram(v, bins=bins, weights=w)
    fullest = int(np.argmax(counts))
    n = int(w.sum())
    return Distribution(
        n=n,
        n_unknown=n_unknown,
        low=float(v[0]),
        median=_median(v, w),
        mean=float((v * w).sum() / n),
        high=float(v[-1]),
        mode=float((bins[fullest] + bins[fullest + 1] - whole) / 2),  # a whole bin [4, 8) holds 4 to 7: middle 5.5
        edges=tuple(bins.tolist()),
        counts=tuple(int(c) for c in counts),
    )


def _median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.int64]) -> float:
    """The middle value, or the mean of the two in the middle."""
    reached = weights.cumsum()
    n = int(reached[-1])
    lower, upper = np.searchsorted(reached, [(n - 1) // 2 + 1, n // 2 + 1])
    return float((values[lower] + values[upper]) / 2)


def _edges(low: float, high: float, whole: bool) -> npt.NDArray[np.float64]:
    """At most about 30 bins of a round width; the first holds `low`, the last `high`."""
    if high == low:
        half = 0.0 if whole else abs(low) / 100
        return np.array([low - half, low + (half or 1.0)])
    width = (high - low) / _BINS
    digits = int(np.floor(np.log10(width)))
    step = next(float(s * 10.0**digits) for s in (*_STEPS, 10.0) if s * 10.0**digits >= width)
    if whole:
        step = max(1.0, float(np.ceil(step)))
    # 17 * 0.2 is a little more than 3.4, which would then lie in no bin: rounded, an edge is the number that is written
    around = range(int(np.floor(low / step)) - 1, int(np.floor(high / step)) + 3)
    edges = np.array([round(k * step, 1 - digits) for k in around])
    first, last = np.searchsorted(edges, [low, high], side="right")
    return edges[first - 1 : last + 1]
