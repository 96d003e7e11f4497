"""Whether confidence can be believed: of the clips where a model is 80 % sure, is it right on 80 %?

Expected calibration error and reliability bins (Guo et al. 2017, "On calibration of modern neural networks", ICML): 15
bins of equal width over the probability of the predicted class. Bin m of M holds (m-1)/M < confidence <= m/M; the first
also holds 0. ECE = the sum over bins of n_m / N * |accuracy_m - confidence_m|, with the means of each bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability plot."""

    low: float
    """Exclusive, but for the first bin."""
    high: float
    """Inclusive."""
    n: int
    confidence: float | None
    """Mean over the clips of the bin; None where there is none."""
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How far confidence is from accuracy."""

    n: int
    ece: float
    """0 to 1, 0 is best."""
    confidence: float
    """Mean over all clips; above `accuracy` the model is too sure of itself."""
    accuracy: float
    bins: tuple[Bin, ...]


def calibration(confidence: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_], n_bins: int = 15) -> Calibration:
    """ECE and reliability bins.

    Args:
        confidence: (N,) probability of the predicted class, 0 to 1.
        correct: (N,) whether it was right.
    Raises:
        ValueError: no clips, shapes that do not fit, a confidence outside 0 to 1.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape or not len(right) or n_bins < 1:
        raise ValueError(
            f"expected one clip or more and one bin or more, got {confidence.shape}, {right.shape}, {n_bins}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("expected confidences of 0 to 1, one is outside or NaN")
    edges = np.arange(n_bins + 1) / n_bins
    bin_of = np.searchsorted(edges[1:-1], confidence, side="left")
    n = np.bincount(bin_of, minlength=n_bins)
    sums = [np.bincount(bin_of, weights=values, minlength=n_bins) for values in (confidence, right)]
    bins = tuple(
        Bin(
            low=float(edges[m]),
            high=float(edges[m + 1]),
            n=int(n[m]),
            confidence=float(sums[0][m] / n[m]) if n[m] else None,
            accuracy=float(sums[1][m] / n[m]) if n[m] else None,
        )
        for m in range(n_bins)
    )
    return Calibration(
        n=len(right),
        ece=float(np.abs(sums[1] - sums[0]).sum() / len(right)),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        bins=bins,
    )
