"""Evaluation modes against plain loops over exact fractions, and the invariants of any correct evaluation."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_bench.hierarchy import MODES, Mode, predict, products, scores, top_k
from cityguessr_data.core.types import LEVELS, Level

Rows = dict[Level, list[list[Fraction]]]
Example = tuple[dict[Level, npt.NDArray[np.float64]], dict[Level, npt.NDArray[np.int32]], Rows]


@st.composite
def taxonomies(draw: st.DrawFn) -> dict[Level, npt.NDArray[np.int32]]:
    """Random parents: one to three continents, each class with one class below it or more, in any order."""
    parents: dict[Level, npt.NDArray[np.int32]] = {}
    n_above = draw(st.integers(1, 3))
    for level in ("country", "state", "city"):
        more = draw(st.lists(st.integers(0, n_above - 1), max_size=3))
        parents[level] = np.array(draw(st.permutations([*range(n_above), *more])), np.int32)
        n_above = len(parents[level])
    return parents


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Scores that are whole powers of a half, so that sums of logarithms to base 2 are exact and ties are many."""
    parents = draw(taxonomies())
    n = draw(st.integers(1, 4))
    sizes = {level: len(parents[level]) for level in LEVELS[:-1]} | {"continent": int(parents["country"].max()) + 1}
    halvings = {
        level: draw(st.lists(st.lists(st.integers(0, 3), min_size=c, max_size=c), min_size=n, max_size=n))
        for level, c in sizes.items()
    }
    log_probs = {level: -np.array(rows, np.float64) for level, rows in halvings.items()}
    probs = {level: [[Fraction(1, 2**e) for e in row] for row in rows] for level, rows in halvings.items()}
    return log_probs, parents, probs  # type: ignore[return-value]


def brute(probs: Rows, parents: dict[Level, npt.NDArray[np.int32]], mode: Mode, row: int) -> dict[Level, list[int]]:
    """All labels of one clip, the best first, by the words of paper section 4.6; no arrays, no logarithms."""
    up = {level: parents[level].tolist() for level in LEVELS[:-1]}
    product = {level: list(probs[level][row]) for level in LEVELS}
    if mode in ("independent", "codependent"):
        for depth in (2, 1, 0):
            level, upper = LEVELS[depth], LEVELS[depth + 1]
            product[level] = [p * product[upper][up[level][c]] for c, p in enumerate(product[level])]
    own = {lvl: sorted(range(len(p)), key=lambda c, p=p: (-p[c], c)) for lvl, p in product.items()}  # type: ignore[misc]
    if mode in ("none", "independent"):
        return own
    traced: dict[Level, list[int]] = {"city": own["city"]}
    path = list(own["city"])
    for level, upper in pairwise(LEVELS):
        path = [up[level][c] for c in path]
        traced[upper] = list(dict.fromkeys(path))
    return traced


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None)
@given(example=examples(), k=st.integers(1, 6))
def test_every_ranking_is_that_of_plain_loops_over_fractions(mode: Mode, example: Example, k: int) -> None:
    log_probs, parents, probs = example
    ranked, predicted = top_k(log_probs, parents, mode, k), predict(log_probs, parents, mode)
    for row in range(len(log_probs["city"])):
        expected = brute(probs, parents, mode, row)
        for level in LEVELS:
            assert ranked[level][row].tolist() == expected[level][:k]
            assert predicted[level][row] == expected[level][0]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parents=taxonomies())
def test_logarithms_in_float32_rank_as_products_of_probabilities(
    seed: int, parents: dict[Level, npt.NDArray[np.int32]]
) -> None:
    rng = np.random.default_rng(seed)
    sizes = [len(parents[level]) for level in LEVELS[:-1]] + [int(parents["country"].max()) + 1]
    log_probs = {
        level: np.log(rng.dirichlet(np.ones(c), size=3)).astype(np.float32)
        for level, c in zip(LEVELS, sizes, strict=True)
    }
    product = products(log_probs, parents)  # type: ignore[arg-type]
    for row in range(3):
        for city in range(sizes[0]):
            expected, label = 1.0, city
            for level in LEVELS:
                expected *= float(np.exp(np.float64(log_probs[level][row, label])))
                label = int(parents[level][label]) if level in parents else -1
            assert np.exp(product["city"][row, city]) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(example=examples(), seed=st.integers(0, 2**32 - 1))
def test_invariants_of_any_correct_evaluation(example: Example, seed: int) -> None:
    log_probs, parents, _ = example
    truth = {"city": np.random.default_rng(seed).integers(0, len(parents["city"]), len(log_probs["city"]))}
    for level, upper in pairwise(LEVELS):
        truth[upper] = parents[level][truth[level]]
    accuracy = {}
    for mode in MODES:
        for k in (1, 2, 5):
            top = top_k(log_probs, parents, mode, k)
            accuracy[mode, k] = [float((top[lvl] == truth[lvl][:, None]).any(axis=1).mean()) for lvl in LEVELS]
    for k in (1, 2, 5):
        assert accuracy["independent", k][0] == accuracy["codependent", k][0]
        assert accuracy["none", k][0] == accuracy["trace", k][0]
        assert accuracy["none", k][3] == accuracy["independent", k][3]
        for mode in ("codependent", "trace"):
            assert accuracy[mode, k] == sorted(accuracy[mode, k]), "falls from a level to the one above it"
    for mode in ("codependent", "trace"):
        predicted = predict(log_probs, parents, mode)  # type: ignore[arg-type]
        for level, upper in pairwise(LEVELS):
            assert (parents[level][predicted[level]] == predicted[upper]).all()


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None)
@given(example=examples())
def test_scores_never_rise_along_the_ranking(mode: Mode, example: Example) -> None:
    log_probs, parents, _ = example
    by_class, ranked = scores(log_probs, parents, mode), top_k(log_probs, parents, mode, 99)
    for level in LEVELS:
        along = np.take_along_axis(by_class[level], ranked[level], axis=1)
        assert (np.diff(along, axis=1) <= 0).all()
        assert by_class[level].shape == log_probs[level].shape


def test_the_four_modes_differ_where_they_should() -> None:
    # Two continents; A holds the countries a, b; B holds c. A state a country. a and b have one city each, c has two.
    parents = {"city": np.array([0, 1, 2, 2]), "state": np.array([0, 1, 2]), "country": np.array([0, 0, 1])}
    probs = {
        "city": [0.30, 0.25, 0.05, 0.40],
        "state": [0.2, 0.5, 0.3],
        "country": [0.2, 0.3, 0.5],
        "continent": [0.7, 0.3],
    }
    log_probs = {level: np.log([row]) for level, row in probs.items()}
    labels = {mode: [int(predict(log_probs, parents, mode)[level][0]) for level in LEVELS] for mode in MODES}  # type: ignore[arg-type]
    assert labels["none"] == [3, 1, 2, 0]
    # countries: .14 .21 .15; states: .028 .105 .045; cities: .0084 .02625 .00225 .018
    assert labels["independent"] == [1, 1, 1, 0]
    assert labels["codependent"] == [1, 1, 1, 0]
    assert labels["trace"] == [3, 2, 2, 1]
    # Cities by product: 1, 3, 0, 2, so states 1, 2, 0, and continents A, B.
    ranked = top_k(log_probs, parents, "codependent", 5)  # type: ignore[arg-type]
    assert ranked["state"].tolist() == [[1, 2, 0]]
    assert ranked["continent"].tolist() == [[0, 1]]
    assert scores(log_probs, parents, "codependent")["state"][0, 2] == pytest.approx(np.log(0.018))  # type: ignore[arg-type]


def fitting() -> tuple[dict[Level, npt.NDArray[np.float64]], dict[Level, npt.NDArray[np.int32]]]:
    parents: dict[Level, npt.NDArray[np.int32]] = {
        "city": np.array([0, 1, 1], np.int32),
        "state": np.array([0, 0], np.int32),
        "country": np.array([0], np.int32),
    }
    return {
        "city": np.zeros((2, 3)),
        "state": np.zeros((2, 2)),
        "country": np.zeros((2, 1)),
        "continent": np.zeros((2, 1)),
    }, parents


@pytest.mark.parametrize(
    ("level", "value", "says"),
    [
        ("state", np.zeros((3, 2)), r"expected state scores of shape \(2, classes\), got \(3, 2\)"),
        ("state", np.zeros(2), "expected state scores"),
        ("city", np.zeros((2, 4)), "expected 4 parents of level city"),
        ("continent", np.zeros((2, 0)), "expected continent scores"),
        ("city", np.array([[0, np.nan, 0], [0, 0, 0]]), "a city score is NaN or infinity"),
        ("country", np.array([[0], [np.inf]]), "a country score is NaN or infinity"),
    ],
)
def test_scores_that_do_not_fit(level: Level, value: npt.NDArray[np.float64], says: str) -> None:
    log_probs, parents = fitting()
    log_probs[level] = value
    for mode in MODES:
        with pytest.raises(ValueError, match=says):
            predict(log_probs, parents, mode)


def test_parents_that_do_not_fit() -> None:
    log_probs, parents = fitting()
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match="expected parents of level city of 0 to 1"):
            predict(log_probs, parents | {"city": np.array([0, 1, wrong])}, "trace")
    childless = parents | {"city": np.array([1, 1, 1])}
    with pytest.raises(ValueError, match="state label 0 has no city"):
        top_k(log_probs, childless, "codependent", 1)
    assert scores(log_probs, childless, "codependent")["state"].tolist() == [[-np.inf, 0], [-np.inf, 0]]
    with pytest.raises(ValueError, match="expected a mode of none, independent, codependent, trace, got 'best'"):
        predict(log_probs, parents, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected k of 1 or more"):
        top_k(log_probs, parents, "none", 0)


def test_a_probability_of_zero_ranks_last() -> None:
    log_probs, parents = fitting()
    log_probs["state"][0] = -np.inf, 0
    assert top_k(log_probs, parents, "codependent", 3)["city"].tolist() == [[1, 2, 0], [0, 1, 2]]
