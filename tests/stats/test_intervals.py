"""Bootstrap intervals: against plain bootstraps written here, on cases with a known end, and by their properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.stats import intervals
from cityguessr_data.stats.inequality import MEASURES, Measure, effective_classes, gini, hoover
from cityguessr_data.stats.intervals import difference, interval
from cityguessr_data.stats.results import Interval

COUNTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=12).filter(any)


def classes(n: int, sigma: float = 0.66, seed: int = 0) -> npt.NDArray[np.float64]:
    """(n,) made-up clips per class, more uneven for a larger sigma."""
    return np.rint(np.random.default_rng(seed).lognormal(6, sigma, n))


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def pair_gini(counts: npt.NDArray[np.float64]) -> float:
    """Gini from all pairs of classes."""
    return float(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))


# Against bootstraps of our own.


@pytest.mark.parametrize("n", [40, 166])
def test_close_to_a_plain_percentile_bootstrap(n: int) -> None:
    """Of so many classes, the correction moves an end by far less than the interval is wide."""
    counts = classes(n)
    rng = np.random.default_rng(99)
    resampled = [pair_gini(rng.choice(counts, n)) for _ in range(1_500)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    found_low, found_high = ends(interval(counts, gini))
    width = high - low
    assert found_low == pytest.approx(low, abs=0.3 * width)
    assert found_high == pytest.approx(high, abs=0.3 * width)
    assert found_high - found_low == pytest.approx(width, rel=0.25)


def bca_by_hand(counts: list[int]) -> tuple[float, float]:
    """Efron 1987 over every resample that there is, n ** n of them, so that chance has no part in it."""
    from statistics import NormalDist

    normal = NormalDist()
    y = np.array(counts, dtype=float)
    value = pair_gini(y)
    every = np.sort([pair_gini(np.array(drawn)) for drawn in itertools.product(y, repeat=len(y))])
    below = (np.sum(every < value - 1e-12) + np.sum(every < value + 1e-12)) / 2 / len(every)
    z0 = normal.inv_cdf(float(below))
    left_out = np.array([pair_gini(np.delete(y, i)) for i in range(len(y))])
    away = left_out.mean() - left_out
    acceleration = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    shares = []
    for z in (normal.inv_cdf(0.025), normal.inv_cdf(0.975)):
        shares.append(normal.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z))))
    low, high = np.quantile(every, shares)
    return float(low), float(high)


def test_as_bca_over_every_resample() -> None:
    counts = [40, 95, 210, 330, 800]
    low, high = bca_by_hand(counts)
    assert ends(interval(counts, gini)) == pytest.approx((low, high), abs=0.015)


def test_two_classes_by_hand() -> None:
    """1 and 9: a quarter of the resamples are 1 1, a quarter 9 9 (both even), half are 1 9."""
    assert ends(interval([9, 1], gini)) == pytest.approx((0.0, 0.4))
    assert ends(interval([1, 9], effective_classes)) == pytest.approx((0.1**-0.1 * 0.9**-0.9, 2.0))


# Properties.


@pytest.mark.parametrize("name", MEASURES)
@settings(max_examples=15, deadline=None)
@given(counts=COUNTS)
def test_holds_its_value_and_stays_in_bounds(name: str, counts: list[int]) -> None:
    found = interval(counts, MEASURES[name])
    assert found.value == pytest.approx(float(MEASURES[name](counts)), rel=1e-12)
    low, high = ends(found)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low <= found.value <= high
    smallest, largest = {"effective_classes": (1, len(counts)), "theil": (0, math.log(len(counts)))}.get(name, (0, 1))
    assert smallest - 1e-9 <= low
    assert high <= largest + 1e-9


def test_the_same_each_time_and_in_any_order() -> None:
    counts = classes(30)
    first = interval(counts, gini)
    np.random.seed(5)  # somebody else's generator has no say
    assert interval(counts, gini) == first
    assert interval(counts[::-1], gini) == first
    assert interval(np.random.default_rng(1).permutation(counts), gini) == first
    other = classes(20, seed=1)
    assert difference(counts, other, gini) == difference(counts[::-1], other[::-1], gini)


def test_no_seed_is_left_behind() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    interval([1, 2, 3], gini)
    assert np.random.random() == expected


@pytest.mark.parametrize("measure", [gini, hoover])
def test_wider_for_fewer_classes(measure: Measure) -> None:
    widths = []
    for n in (10, 40, 160):
        quantiles = np.quantile(classes(5_000), (np.arange(n) + 0.5) / n)  # the same spread in n classes
        low, high = ends(interval(quantiles, measure))
        widths.append(high - low)
    assert widths[0] > 1.3 * widths[1] > 1.3**2 * widths[2]


@pytest.mark.parametrize("n", [2, 3, 24, 30, 58])
@pytest.mark.parametrize("name", MEASURES)
def test_equal_counts_have_no_width(n: int, name: str) -> None:
    """Of 24 and 58 classes, top10_share of resamples is off by a rounding, up and down; the value is held even so."""
    found = interval([7] * n, MEASURES[name])
    low, high = ends(found)
    assert low <= found.value <= high
    assert high - low == pytest.approx(0, abs=1e-9)
    assert low == pytest.approx(found.value, abs=1e-9)


def test_one_class_has_no_interval() -> None:
    assert interval([7], gini) == Interval(0.0, None, None)
    assert interval([7], effective_classes) == Interval(1.0, None, None)


@pytest.mark.parametrize("counts", [[0, 9], [0, 0, 0, 9], [0, 0, 1, 2, 3], [0] * 30 + [1]], ids=str)
@pytest.mark.parametrize("name", MEASURES)
def test_resamples_of_empty_classes_alone_are_left_out(counts: list[int], name: str) -> None:
    found = interval(counts, MEASURES[name])
    low, high = ends(found)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low <= found.value <= high
    assert high > low


# Differences.


@settings(max_examples=15, deadline=None)
@given(first=COUNTS, other=COUNTS)
def test_difference_turned_round(first: list[int], other: list[int]) -> None:
    there, back = difference(first, other, gini), difference(other, first, gini)
    assert there.value == pytest.approx(float(gini(other)) - float(gini(first)), abs=1e-12)
    assert back.value == -there.value
    low, high = ends(there)
    assert low <= there.value <= high


def test_difference_of_large_sets_turned_round() -> None:
    """Other resamples are drawn, so the ends agree about, not wholly."""
    a, b = classes(90), classes(60, sigma=1.0, seed=3)
    low, high = ends(difference(a, b, gini))
    back_low, back_high = ends(difference(b, a, gini))
    assert (low, high) == pytest.approx((-back_high, -back_low), abs=0.1 * (high - low))


def test_difference_as_a_plain_bootstrap() -> None:
    a, b = classes(60), classes(40, sigma=1.0, seed=3)
    rng = np.random.default_rng(98)
    drawn = [pair_gini(rng.choice(b, len(b))) - pair_gini(rng.choice(a, len(a))) for _ in range(1_500)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = ends(difference(a, b, gini))
    assert found == pytest.approx((low, high), abs=0.3 * (high - low))


def test_a_clearly_more_uneven_set() -> None:
    low, high = ends(difference(classes(166), classes(30, sigma=1.5, seed=2), gini))
    assert 0 < low < high
    low, high = ends(difference(classes(30, sigma=1.5, seed=2), classes(166), gini))
    assert low < high < 0


def test_sets_of_one_kind_differ_by_nothing_certain() -> None:
    low, high = ends(difference(classes(166, seed=1), classes(166, seed=2), gini))
    assert low < 0 < high


def test_difference_with_a_single_class() -> None:
    assert difference([5], [1, 3], gini) == Interval(0.25, None, None)
    assert difference([1, 3], [5], gini) == Interval(-0.25, None, None)


@pytest.mark.parametrize("counts", [[], [0, 0], [1, -1]], ids=str)
def test_no_counts(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        interval(counts, gini)
    with pytest.raises(ValueError, match="expected"):
        difference(counts, [1, 2], gini)
    with pytest.raises(ValueError, match="expected"):
        difference([1, 2], counts, gini)


def test_large_sets_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a part decides the memory, not the answer."""
    counts = classes(50)
    whole = interval(counts, gini)
    monkeypatch.setattr(intervals, "_BATCH_VALUES", 37 * 50)
    assert ends(interval(counts, gini)) == pytest.approx(ends(whole), rel=1e-12)


@pytest.mark.parametrize("n", [200, 5_000])
def test_a_part_holds_a_million_values_at_most(n: int) -> None:
    sizes = []

    def watched(y: npt.ArrayLike) -> npt.NDArray[np.float64]:
        sizes.append(np.size(y))
        return np.asarray(np.asarray(y)[..., 0])  # a measure of no cost

    interval(classes(n), watched)
    assert max(sizes) <= 2**20


@pytest.mark.parametrize("measure", [gini, effective_classes])
def test_percentiles_of_many_classes_are_close_to_bca(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the border between the two, an end moves by less than a tenth of the width."""
    monkeypatch.setattr(intervals, "N_RESAMPLES", 1_999)
    counts = classes(2_000)
    by_bca = ends(interval(counts, measure))
    monkeypatch.setattr(intervals, "_BCA_UP_TO", 1_999)
    by_percentiles = ends(interval(counts, measure))
    assert by_percentiles != by_bca
    assert by_percentiles == pytest.approx(by_bca, abs=0.1 * (by_bca[1] - by_bca[0]))
