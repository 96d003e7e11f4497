"""Summaries and histograms against Python's `statistics`, values by hand, and properties."""

from __future__ import annotations

import math
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.stats.distribution import describe, describe_counted
from cityguessr_data.stats.results import Distribution

WHOLE = st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=60)
DECIMAL = st.lists(st.integers(-(10**6), 10**6).map(lambda k: k / 1000), min_size=1, max_size=60)
REAL = st.lists(st.floats(-1e7, 1e7).map(lambda x: x if abs(x) > 1e-6 else 0.0), min_size=1, max_size=60)


def described(values: list[float]) -> Distribution:
    distribution = describe(values)
    assert distribution is not None
    return distribution


@given(values=st.one_of(WHOLE, DECIMAL, REAL))
def test_summary(values: list[float]) -> None:
    d = described(values)
    assert (d.n, d.n_unknown) == (len(values), 0)
    assert (d.low, d.high) == (min(values), max(values))
    assert d.median == pytest.approx(statistics.median(values), rel=1e-12, abs=1e-12)
    assert d.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)


@given(values=st.one_of(WHOLE, DECIMAL, REAL))
def test_histogram(values: list[float]) -> None:
    """Every value is counted in the bin that holds it, the bins are even, and no outer bin is empty."""
    d = described(values)
    assert len(d.edges) == len(d.counts) + 1
    assert 1 <= len(d.counts) <= 32
    bins = list(zip(d.edges, d.edges[1:], strict=False))
    for (low, high), count in zip(bins, d.counts, strict=True):
        last = high == d.edges[-1]
        assert count == sum(low <= v < high or (last and v == high) for v in values)
    assert sum(d.counts) == len(values)
    assert d.counts[0]
    assert d.counts[-1]
    widths = np.diff(d.edges)
    np.testing.assert_allclose(widths, widths[0], rtol=1e-6, atol=1e-9)
    low, high = bins[d.counts.index(max(d.counts))]
    assert low <= d.mode <= high


@given(values=WHOLE)
def test_whole_numbers_get_whole_bins(values: list[int]) -> None:
    d = described([float(v) for v in values])
    assert all(edge == round(edge) for edge in d.edges)
    fullest = d.counts.index(max(d.counts))
    can_hold = range(int(d.edges[fullest]), int(d.edges[fullest + 1]))
    assert d.mode == (can_hold[0] + can_hold[-1]) / 2


@given(values=st.lists(st.integers(0, 25), min_size=1))
def test_mode_of_few_whole_numbers_is_the_commonest(values: list[int]) -> None:
    tally = Counter(values)
    assert described([float(v) for v in values]).mode == min(v for v, n in tally.items() if n == max(tally.values()))


@given(values=st.one_of(WHOLE, DECIMAL))
def test_counted_as_at_hand(values: list[float]) -> None:
    """Values with their number say the same as the values themselves, also where some were never seen."""
    tally = Counter(values)
    distinct = sorted({*tally, *(v + 1 for v in tally)})
    assert describe_counted(distinct, [tally[v] for v in distinct]) == describe(values)


@pytest.mark.parametrize(
    ("values", "edges", "counts", "mode"),
    [
        ([5], (5, 6), (1,), 5),
        ([0], (0, 1), (1,), 0),
        ([1, 2, 2, 4], (1, 2, 3, 4, 5), (1, 2, 0, 1), 2),
        ([0, 60], tuple(range(0, 63, 2)), (1, *[0] * 29, 1), 0.5),  # a bin of 2 holds 0 and 1
        ([0.0, 0.25, 1.0], tuple(k / 20 for k in range(22)), (1, *[0] * 4, 1, *[0] * 14, 1), 0.025),
        ([3.4, 4.8, 6.6], tuple(k / 5 for k in range(17, 35)), (1, *[0] * 6, 1, *[0] * 8, 1), 3.5),
        ([2.5, 2.5], (2.475, 2.525), (2,), 2.5),
    ],
)
def test_by_hand(values: list[float], edges: tuple[float, ...], counts: tuple[int, ...], mode: float) -> None:
    d = described(values)
    assert d.edges == pytest.approx(edges)
    assert d.counts == counts
    assert d.mode == pytest.approx(mode)


def test_unknown() -> None:
    d = described([math.nan, 2.0, math.inf, 4.0, math.nan, -math.inf])
    assert (d.n, d.n_unknown) == (2, 4)
    assert (d.low, d.median, d.mean, d.high) == (2, 3, 3, 4)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.inf]])
def test_nothing_known(values: list[float]) -> None:
    assert describe(values) is None


def test_nothing_counted() -> None:
    assert describe_counted([], []) is None
    assert describe_counted([1, 2], [0, 0]) is None


def test_given_edges() -> None:
    """Scores of 1 are whole numbers, but a bin of 0.01 has its own middle."""
    d = describe_counted([0.0, 0.995, 1.0], [0, 1, 2], n_unknown=4, edges=np.arange(101) / 100)
    assert d is not None
    assert (d.n, d.n_unknown, d.counts[-1], sum(d.counts)) == (3, 4, 3, 3)
    assert d.mode == pytest.approx(0.995)
    ones = describe_counted([1.0], [7], edges=np.arange(101) / 100)
    assert ones is not None
    assert ones.mode == pytest.approx(0.995)
