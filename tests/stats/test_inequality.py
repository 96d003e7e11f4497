"""Inequality measures against PySAL and SciPy, the same formulas as fractions, values by hand, and properties."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate, pairwise, product

import inequality
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from inequality.wolfson import lorenz_curve
from scipy import stats

from cityguessr_data.stats.inequality import (
    MEASURES,
    Measure,
    effective_classes,
    gini,
    hoover,
    lorenz,
    theil,
    top10_share,
)

Counts = list[int]
COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any)
POSITIVE = st.lists(st.integers(1, 10**9), min_size=1, max_size=60)
EXAMPLES = [[7], [0, 5], [1, 1, 1], [3, 1, 2], [0, 0, 0, 9], [10**9, 1], [411] * 166, [*range(31)]]
SMALL_ERROR = 1e-12


# Each measure again, exact: from its definition, not from the formula of the paper.


def exact_lorenz(counts: Counts) -> list[Fraction]:
    """Shares of clips of the k smallest classes, k = 0 to n."""
    return [Fraction(c, sum(counts)) for c in accumulate(sorted(counts), initial=0)]


def exact_gini_of_pairs(counts: Counts) -> Fraction:
    """Half the mean absolute difference of all pairs over the mean."""
    n = len(counts)
    return Fraction(sum(abs(a - b) for a, b in product(counts, counts)), n * n) / (2 * Fraction(sum(counts), n))


def exact_gini_of_areas(counts: Counts) -> Fraction:
    """Area between diagonal and Lorenz curve over the area under the diagonal, by trapezoids."""
    area = sum((a + b) / 2 / len(counts) for a, b in pairwise(exact_lorenz(counts)))
    return (Fraction(1, 2) - area) / Fraction(1, 2)


def exact_hoover(counts: Counts) -> Fraction:
    """The largest vertical gap between diagonal and Lorenz curve; it is at a corner of the curve."""
    return max(Fraction(k, len(counts)) - share for k, share in enumerate(exact_lorenz(counts)))


def exact_top10(counts: Counts) -> Fraction:
    """1 minus the Lorenz curve at 0.9, between two corners on the straight line that joins them."""
    curve = exact_lorenz(counts)
    at = Fraction(9, 10) * len(counts)
    below = math.floor(at)
    return 1 - (curve[below] + (at - below) * (curve[below + 1] - curve[below]))


@pytest.mark.parametrize(
    ("measure", "exact"),
    [
        (gini, exact_gini_of_pairs),
        (gini, exact_gini_of_areas),
        (hoover, exact_hoover),
        (top10_share, exact_top10),
    ],
)
@given(counts=COUNTS)
def test_as_defined(measure: Measure, exact: Callable[[Counts], Fraction], counts: Counts) -> None:
    assert float(measure(counts)) == pytest.approx(float(exact(counts)), abs=SMALL_ERROR)


@given(counts=COUNTS)
def test_lorenz_as_defined(counts: Counts) -> None:
    curve = lorenz(counts)
    assert curve[:, 0].tolist() == pytest.approx([k / len(counts) for k in range(len(counts) + 1)], abs=SMALL_ERROR)
    assert curve[:, 1].tolist() == pytest.approx([float(share) for share in exact_lorenz(counts)], abs=SMALL_ERROR)
    assert (curve[0] == 0).all()
    assert (curve[-1] == 1).all()
    assert (np.diff(curve[:, 1]) >= 0).all()


@given(counts=COUNTS)
def test_as_scipy_and_its_entropy(counts: Counts) -> None:
    entropy = float(stats.entropy(counts))
    assert float(theil(counts)) == pytest.approx(math.log(len(counts)) - entropy, abs=SMALL_ERROR)
    assert float(effective_classes(counts)) == pytest.approx(math.exp(entropy), rel=SMALL_ERROR)


@given(counts=POSITIVE)
def test_as_pysal(counts: Counts) -> None:
    y = np.array(counts, dtype=float)
    assert float(gini(y)) == pytest.approx(float(inequality.gini.Gini(y).g), abs=1e-9)
    assert float(theil(y)) == pytest.approx(float(inequality.theil.Theil(y).T), abs=1e-9)
    schutz = inequality.schutz.Schutz(pd.DataFrame({"clips": y}), "clips")
    assert float(hoover(y)) == pytest.approx(max(0.0, float(schutz.distance)), abs=1e-9)
    np.testing.assert_allclose(lorenz(y), np.stack(lorenz_curve(y), axis=1), rtol=0, atol=1e-9)


# Values by hand.


@pytest.mark.parametrize("n", [1, 2, 3, 10, 166, 5000])
@pytest.mark.parametrize("count", [1, 411, 10**9])
def test_even(n: int, count: int) -> None:
    counts = [count] * n
    for measure, expected in ((gini, 0), (hoover, 0), (theil, 0), (effective_classes, n), (top10_share, 0.1)):
        assert float(measure(counts)) == pytest.approx(expected, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(lorenz(counts)[:, 0], lorenz(counts)[:, 1], rtol=0, atol=SMALL_ERROR)


@pytest.mark.parametrize("n", [2, 3, 10, 166, 5000])
@pytest.mark.parametrize("count", [1, 10**9])
def test_one_class_has_all(n: int, count: int) -> None:
    counts = [0] * (n // 2) + [count] + [0] * (n - n // 2 - 1)
    top = min(1.0, n / 10)  # of fewer than 10 classes, a tenth is a part of the one
    for measure, expected in (
        (gini, (n - 1) / n),
        (hoover, (n - 1) / n),
        (theil, math.log(n)),
        (effective_classes, 1),
        (top10_share, top),
    ):
        assert float(measure(counts)) == pytest.approx(expected, abs=SMALL_ERROR)


def test_by_hand() -> None:
    """1, 2, 3, 4: Eq. 1: 2 * (1 + 4 + 9 + 16) / (4 * 10) - 5 / 4; Eq. 2: (1.5 + 0.5 + 0.5 + 1.5) / 2 / 10."""
    counts = [3, 1, 4, 2]
    assert float(gini(counts)) == pytest.approx(0.25)
    assert float(hoover(counts)) == pytest.approx(0.2)
    assert float(theil(counts)) == pytest.approx(0.1 * math.log(0.4) + 0.2 * math.log(0.8) + 0.3 * math.log(1.2)
                                                 + 0.4 * math.log(1.6))  # fmt: skip
    assert float(effective_classes(counts)) == pytest.approx(0.1**-0.1 * 0.2**-0.2 * 0.3**-0.3 * 0.4**-0.4)
    assert float(top10_share(counts)) == pytest.approx(0.4 * 0.4)  # 0.4 of a class that holds 0.4
    np.testing.assert_allclose(lorenz(counts), [[0, 0], [0.25, 0.1], [0.5, 0.3], [0.75, 0.6], [1, 1]], atol=1e-15)


def test_top10_is_straight_between_classes() -> None:
    """25 classes: the 2 largest and half of the third."""
    counts = [1] * 22 + [4, 6, 8]
    assert float(top10_share(counts)) == pytest.approx((8 + 6 + 2) / 40)


# Properties.


@pytest.mark.parametrize("name", MEASURES)
@given(counts=COUNTS, factor=st.sampled_from([0.001, 0.5, 3, 7.7, 1000]))
def test_scale_does_not_matter(name: str, counts: Counts, factor: float) -> None:
    scaled = [c * factor for c in counts]
    assert float(MEASURES[name](scaled)) == pytest.approx(float(MEASURES[name](counts)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", [*MEASURES, "lorenz"])
@given(data=st.data(), counts=COUNTS)
def test_order_does_not_matter(name: str, data: st.DataObject, counts: Counts) -> None:
    shuffled = data.draw(st.permutations(counts))
    measure = MEASURES.get(name, lorenz)
    np.testing.assert_allclose(measure(shuffled), measure(counts), rtol=SMALL_ERROR, atol=SMALL_ERROR)


@pytest.mark.parametrize("name", MEASURES)
@given(counts=COUNTS, times=st.integers(2, 5))
def test_every_class_repeated(name: str, counts: Counts, times: int) -> None:
    factor = times if name == "effective_classes" else 1
    assert float(MEASURES[name](counts * times)) == pytest.approx(
        factor * float(MEASURES[name](counts)), rel=1e-9, abs=1e-9
    )


@given(counts=COUNTS)
def test_hoover_is_the_largest_gap_of_the_lorenz_curve(counts: Counts) -> None:
    curve = lorenz(counts)
    assert float(hoover(counts)) == pytest.approx(float((curve[:, 0] - curve[:, 1]).max()), abs=SMALL_ERROR)


@given(counts=COUNTS)
def test_top10_is_the_end_of_the_lorenz_curve(counts: Counts) -> None:
    curve = lorenz(counts)
    assert float(top10_share(counts)) == pytest.approx(1 - np.interp(0.9, curve[:, 0], curve[:, 1]), abs=SMALL_ERROR)


@given(data=st.data(), counts=COUNTS)
def test_a_clip_moved_to_a_smaller_class_evens_out(data: st.DataObject, counts: Counts) -> None:
    giver, taker = (data.draw(st.integers(0, len(counts) - 1)) for _ in range(2))
    gap = counts[giver] - counts[taker]
    assume(gap >= 2)
    moved = data.draw(st.integers(1, gap // 2))
    evened = [c + moved * ((i == taker) - (i == giver)) for i, c in enumerate(counts)]
    for measure in (gini, hoover, theil, top10_share):
        assert float(measure(evened)) <= float(measure(counts)) + SMALL_ERROR
    assert float(effective_classes(evened)) >= float(effective_classes(counts)) * (1 - SMALL_ERROR)
    assert exact_gini_of_pairs(evened) < exact_gini_of_pairs(counts)


@given(counts=COUNTS)
def test_bounds(counts: Counts) -> None:
    n = len(counts)
    most = (n - 1) / n + SMALL_ERROR
    assert 0 <= float(hoover(counts)) <= float(gini(counts)) + SMALL_ERROR <= most + SMALL_ERROR
    assert 0 <= float(theil(counts)) <= math.log(n) + SMALL_ERROR
    assert 1 - SMALL_ERROR <= float(effective_classes(counts)) <= n * (1 + SMALL_ERROR)
    assert 0.1 - SMALL_ERROR <= float(top10_share(counts)) <= 1 + SMALL_ERROR


@pytest.mark.parametrize("name", MEASURES)
def test_batches_equal_one_by_one(name: str) -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 10**6, (4, 3, 29))
    batch = MEASURES[name](counts)
    assert batch.shape == (4, 3)
    assert batch.dtype == np.float64
    for i, j in product(range(4), range(3)):
        assert float(batch[i, j]) == pytest.approx(float(MEASURES[name](counts[i, j])), rel=1e-14)


@pytest.mark.parametrize("name", [*MEASURES, "lorenz"])
@pytest.mark.parametrize("counts", EXAMPLES, ids=str)
def test_input_stays_as_it_was(name: str, counts: Counts) -> None:
    given_counts = np.array(counts, dtype=np.float64)
    MEASURES.get(name, lorenz)(given_counts)
    assert given_counts.tolist() == counts


# Counts that are none.


@pytest.mark.parametrize("name", [*MEASURES, "lorenz"])
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "one class or more"),
        (np.zeros((3, 0)), "one class or more"),
        (5, "one class or more"),
        ([1, -1], "counts of 0 or more"),
        ([1, math.nan], "counts of 0 or more"),
        ([1, math.inf], "counts of 0 or more"),
        ([0], "all counts are 0"),
        ([[1, 2], [0, 0]], "all counts are 0"),
        ([1e308, 1e308, 1e308], "too large"),
        (["many"], "could not convert"),
    ],
    ids=str,
)
def test_no_counts(name: str, counts: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MEASURES.get(name, lorenz)(counts)  # type: ignore[arg-type]


def test_lorenz_ends_at_one() -> None:
    """Tenths add up to 0.9999999999999999."""
    assert lorenz([0.1] * 10)[-1].tolist() == [1, 1]


def test_lorenz_is_of_one_data_set() -> None:
    with pytest.raises(ValueError, match=r"one data set .*\(2, 2\)"):
        lorenz([[1, 2], [3, 4]])
