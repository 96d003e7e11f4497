"""Accuracies against scikit-learn, and by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer
from sklearn.dummy import DummyClassifier

from cityguessr_bench.metrics import class_scores, conflicts, confusion, correct_in_top, macro_accuracy, prior

Ints = npt.NDArray[np.int64]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Ints, Ints, int]:
    """Predicted and true labels, and how many classes there are."""
    n_classes = draw(st.integers(2, 6))  # of one class the peer warns
    rows = draw(st.lists(st.tuples(*[st.integers(0, n_classes - 1)] * 2), min_size=1, max_size=40))
    return *np.array(rows).T, n_classes  # type: ignore[return-value]


@settings(deadline=None)
@given(pairs())
def test_against_scikit_learn(example: tuple[Ints, Ints, int]) -> None:
    predicted, truth, n_classes = example
    counts, everything = confusion(predicted, truth, n_classes), list(range(n_classes))
    assert correct_in_top(predicted, truth).mean() == pytest.approx(peer.accuracy_score(truth, predicted))
    assert (counts == peer.confusion_matrix(truth, predicted, labels=everything)).all()
    present = np.unique(truth)
    assert macro_accuracy(counts) == pytest.approx(
        peer.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    )
    recall = peer.recall_score(truth, predicted, labels=everything, average=None, zero_division=0)
    precision = peer.precision_score(truth, predicted, labels=everything, average=None, zero_division=0)
    for row, r, p in zip(class_scores(counts), recall, precision, strict=True):
        assert row.recall == (None if not (truth == row.label).any() else pytest.approx(r))
        assert row.precision == (None if not (predicted == row.label).any() else pytest.approx(p))


@settings(deadline=None)
@given(pairs(), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_prior_is_that_of_a_dummy_classifier(example: tuple[Ints, Ints, int], train: list[int]) -> None:
    _, truth, _ = example
    for given_train in (None, np.array(train)):
        source = truth if given_train is None else given_train
        dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(source), 1)), source)
        found = prior(truth, 6, given_train)
        assert found.accuracy == pytest.approx(dummy.score(np.zeros((len(truth), 1)), truth))
        assert found.label == dummy.predict([[0]])[0]
        assert found.counted_on == ("evaluated" if given_train is None else "train")


def test_top_k_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(500, 7)), rng.integers(0, 7, 500)
    ranked = np.argsort(-scores, axis=1)
    for k in (1, 2, 5, 6):
        expected = peer.top_k_accuracy_score(truth, scores, k=k, labels=list(range(7)))
        assert correct_in_top(ranked, truth, k).mean() == pytest.approx(expected)
        assert correct_in_top(ranked[:, :k], truth, 6).mean() == pytest.approx(expected)


def test_class_table_by_hand() -> None:
    # Class 0: two right, two taken for 2, two for 1. Class 1: one, taken for 0. Class 2: all right. Class 3: no clip.
    truth = np.array([0, 0, 0, 0, 0, 0, 1, 2, 2])
    predicted = np.array([0, 0, 2, 2, 1, 1, 0, 2, 2])
    first, second, third, fourth = class_scores(confusion(predicted, truth, 4))
    assert (first.n, first.n_predicted, first.n_correct) == (6, 3, 2)
    assert (first.confused_with, first.n_confused) == (1, 2), "the lowest of two equally frequent wrong labels"
    assert (second.recall, second.precision, second.confused_with, second.n_confused) == (0.0, 0.0, 0, 1)
    assert (third.recall, third.precision, third.confused_with, third.n_confused) == (1.0, 0.5, None, 0)
    assert (fourth.recall, fourth.precision, fourth.n, fourth.confused_with) == (None, None, 0, None)
    assert macro_accuracy(confusion(predicted, truth, 4)) == pytest.approx((2 / 6 + 0 + 1) / 3)


def test_conflicts_by_hand() -> None:
    parents = {"city": np.array([0, 1, 1]), "state": np.array([0, 1]), "country": np.array([0, 0])}
    predicted = {
        "city": np.array([0, 2, 0, 1, 2]),
        "state": np.array([0, 1, 1, 1, 1]),
        "country": np.array([0, 1, 1, 0, 1]),
        "continent": np.array([0, 0, 0, 0, 1]),
    }
    # Right; right; city 0 is not in state 1; state 1 is not in country 0; country 1 is not in continent 1.
    assert conflicts(predicted, parents).tolist() == [False, False, True, True, True]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 5 predictions a level"):
        conflicts(predicted | {"state": np.array([0])}, parents)  # type: ignore[arg-type]


def test_nothing_is_never_a_number() -> None:
    none = np.array([], np.int64)
    for call in (
        lambda: correct_in_top(none, none),
        lambda: confusion(none, none, 3),
        lambda: macro_accuracy(np.zeros((3, 3), np.int64)),
        lambda: prior(none, 3),
        lambda: prior(np.array([0]), 3, none),
        lambda: confusion(np.array([0, 1]), np.array([0]), 3),
        lambda: confusion(np.array([3]), np.array([0]), 3),
        lambda: confusion(np.array([0]), np.array([-1]), 3),
        lambda: confusion(np.array([0.0]), np.array([0]), 3),
        lambda: correct_in_top(np.array([[0, 1]]), np.array([0, 1]), 1),
        lambda: correct_in_top(np.array([[0, 1]]), np.array([0]), 0),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()
