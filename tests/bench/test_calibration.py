"""Calibration against plain loops and SciPy, at the edges of bins, and where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_bench.calibration import calibration

# Edges themselves come often: that is where bins go wrong.
confidence_values = st.one_of(st.floats(0, 1), st.integers(0, 15).map(lambda m: m / 15))


@settings(deadline=None)
@given(st.lists(st.tuples(confidence_values, st.booleans()), min_size=1, max_size=50), st.sampled_from([1, 2, 10, 15]))
def test_against_plain_loops(clips: list[tuple[float, bool]], n_bins: int) -> None:
    found = calibration(np.array([c for c, _ in clips]), np.array([r for _, r in clips]), n_bins)
    ece = 0.0
    for m in range(n_bins):
        low, high = m / n_bins, (m + 1) / n_bins
        inside = [(c, r) for c, r in clips if low < c <= high or (m == 0 and c == 0)]
        assert (found.bins[m].low, found.bins[m].high, found.bins[m].n) == (low, high, len(inside))
        if not inside:
            assert found.bins[m].confidence is None
            assert found.bins[m].accuracy is None
            continue
        mean_c, mean_r = sum(c for c, _ in inside) / len(inside), sum(r for _, r in inside) / len(inside)
        assert found.bins[m].confidence == pytest.approx(mean_c)
        assert found.bins[m].accuracy == pytest.approx(mean_r)
        ece += len(inside) / len(clips) * abs(mean_r - mean_c)
    assert found.ece == pytest.approx(ece)
    assert sum(b.n for b in found.bins) == found.n == len(clips)


def test_known_answers() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=200_000)
    assert calibration(confidence, rng.uniform(size=200_000) < confidence).ece < 0.01
    always = calibration(np.full(10, 0.95), np.array([True] * 7 + [False] * 3))
    assert always.ece == pytest.approx(0.25)
    assert (always.confidence, always.accuracy) == (pytest.approx(0.95), pytest.approx(0.7))
    assert always.bins[14].n == 10
    # Two bins that are off by 0.2 in opposite ways do not cancel.
    assert calibration(np.array([0.3, 0.7] * 10), np.array([False, True] * 10), 2).ece == pytest.approx(0.3)


def test_what_is_not_fit() -> None:
    yes = np.array([True])
    for wrong in (np.array([1.01]), np.array([-0.1]), np.array([np.nan])):
        with pytest.raises(ValueError, match="expected confidences of 0 to 1"):
            calibration(wrong, yes)
    with pytest.raises(ValueError, match="one clip or more"):
        calibration(np.array([]), np.array([], bool))
    with pytest.raises(ValueError, match="one clip or more"):
        calibration(np.array([0.5, 0.5]), yes)
