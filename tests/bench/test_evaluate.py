"""Every figure of an evaluation against scikit-learn, formulas by hand or brute force, and what must always hold."""

from __future__ import annotations

import math
import threading
from concurrent.futures import CancelledError

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, top_k_accuracy_score

from cityguessr_bench.estimates import Estimates
from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.hierarchy import MODES, Mode, top_k
from cityguessr_bench.intervals import Check, over_clips
from cityguessr_bench.invariants import check_invariants
from cityguessr_bench.probabilities import probabilities
from cityguessr_bench.results import Results
from cityguessr_bench.results_json import to_json
from cityguessr_data.core.types import LEVELS, Level
from tests.support_predictions import SIZES, random_classes, random_predictions, ranked_by_hand, shares_by_hand

CLASSES = random_classes()
PREDICTIONS = random_predictions(CLASSES)
RESULTS = evaluate(PREDICTIONS, CLASSES)
TRACED: tuple[Mode, ...] = ("codependent", "trace")


RANKED = [ranked_by_hand(PREDICTIONS, CLASSES, row) for row in range(len(PREDICTIONS))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", LEVELS)
def test_accuracies_and_tables_are_those_of_scikit_learn(mode: Mode, level: Level) -> None:
    truth, n = PREDICTIONS.truth[level], SIZES[level]
    first = [ranked[mode][level][0] for ranked in RANKED]
    scores = RESULTS.modes[mode].levels[level]
    assert scores.top1.value == pytest.approx(accuracy_score(truth, first), abs=1e-12)
    assert (scores.confusion == confusion_matrix(truth, first, labels=range(n))).all()
    present = sorted(set(truth.tolist()))
    assert scores.n_classes_present == len(present)
    macro = recall_score(truth, first, labels=present, average="macro", zero_division=0.0)
    assert scores.macro == pytest.approx(macro, abs=1e-12)
    rank = np.zeros((len(truth), n))
    for row, ranked in enumerate(RANKED):
        rank[row, ranked[mode][level]] = np.arange(n, 0, -1)
    expected = top_k_accuracy_score(truth, rank, k=5, labels=range(n))
    assert scores.top5.value == pytest.approx(expected, abs=1e-12)
    assert [c.n for c in scores.per_class] == np.bincount(truth, minlength=n).tolist()
    right = [a == b for a, b in zip(truth, first, strict=True)]
    assert scores.right_by_city == tuple(
        sum(ok for ok, c in zip(right, PREDICTIONS.truth["city"], strict=True) if c == city) for city in range(14)
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level", LEVELS)
def test_calibration_by_plain_loops(mode: Mode, level: Level) -> None:
    all_shares = probabilities(PREDICTIONS.log_probs, CLASSES.parents, mode)[level]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, ranked in enumerate(RANKED):
        shares = shares_by_hand(PREDICTIONS, CLASSES, row, mode, level)
        assert all_shares[row] == pytest.approx(shares, abs=1e-6)
        first = ranked[mode][level][0]
        bins.setdefault(math.ceil(shares[first] * 15), []).append(
            (shares[first], first == PREDICTIONS.truth[level][row])
        )
    ece = sum(abs(sum(p - ok for p, ok in items)) for items in bins.values()) / len(PREDICTIONS)
    found = RESULTS.modes[mode].levels[level].calibration
    assert found.ece == pytest.approx(ece, abs=1e-5)
    assert {m + 1: b.n for m, b in enumerate(found.bins) if b.n} == {m: len(items) for m, items in bins.items()}


@pytest.mark.parametrize("mode", MODES)
def test_distances_and_conflicts_by_hand(mode: Mode) -> None:
    def km(a: int, b: int) -> float:
        (p, q), (r, s) = (np.radians(CLASSES.coordinates[i]) for i in (a, b))
        cosine = math.sin(p) * math.sin(r) + math.cos(p) * math.cos(r) * math.cos(q - s)
        return 6371.0088 * math.acos(min(1.0, cosine))

    far = [km(r[mode]["city"][0], t) for r, t in zip(RANKED, PREDICTIONS.truth["city"], strict=True)]
    found = RESULTS.modes[mode].distances
    assert found is not None and (found.n, found.n_truth_unknown, found.n_predicted_unknown) == (60, 0, 0)
    assert found.mean_km.value == pytest.approx(np.mean(far), abs=0.01)
    assert found.median_km == pytest.approx(np.median(far), abs=0.01)
    assert found.geoscore.value == pytest.approx(np.mean([5000 * math.exp(-d / 1492.7) for d in far]), abs=0.01)
    assert {limit: e.value for limit, e in found.within.items()} == pytest.approx(
        {limit: np.mean([d <= limit for d in far]) for limit in (1, 25, 200, 750, 2500)}
    )
    conflicting = 0
    for ranked in RANKED:
        path = [ranked[mode][level][0] for level in LEVELS]
        conflicting += path != CLASSES.paths[path[0]].tolist()
    assert RESULTS.modes[mode].conflicts.value == pytest.approx(conflicting / 60)
    assert (RESULTS.modes[mode].conflicts.low_clips is None) == (mode in TRACED)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 4))
def test_what_must_hold_of_any_scores(seed: int, n: int, skill: float) -> None:
    classes = random_classes(seed, {"city": 9, "state": 8, "country": 7, "continent": 6})
    results = evaluate(random_predictions(classes, n, seed, skill=skill, n_videos=n), classes)
    invariants_hold(results)


def invariants_hold(results: Results) -> None:
    """FACTS of any correct evaluation, on its figures."""
    top1 = {mode: {level: s.top1.value for level, s in m.levels.items()} for mode, m in results.modes.items()}
    top5 = {mode: {level: s.top5.value for level, s in m.levels.items()} for mode, m in results.modes.items()}
    for accuracy in (top1, top5):
        assert accuracy["independent"]["city"] == accuracy["codependent"]["city"]
        assert accuracy["none"]["city"] == accuracy["trace"]["city"]
        assert accuracy["none"]["continent"] == accuracy["independent"]["continent"]
        for mode in TRACED:
            values = [accuracy[mode][level] for level in LEVELS]
            assert values == sorted(values)
    assert all(results.modes[mode].conflicts.value == 0 for mode in TRACED)
    assert sum(gallery.n for gallery in results.by_found.values()) == results.n_clips
    assert sum(gallery.n for gallery in results.by_rank.values()) == results.n_clips
    for at, level in enumerate(LEVELS):
        found = sum(results.by_found[name].n for name in LEVELS[: at + 1])
        assert found / results.n_clips == pytest.approx(top1["codependent"][level])


def test_an_evaluation_that_breaks_them_stops() -> None:
    def broken(mode: Mode, level: Level) -> dict[Mode, dict[Level, npt.NDArray[np.int64]]]:
        top = {m: top_k(PREDICTIONS.log_probs, CLASSES.parents, m, 5) for m in MODES}
        changed = top[mode][level].copy()
        changed[7] = np.roll(changed[7], 1)
        top[mode] = {**top[mode], level: changed}
        return top

    def check(mode: Mode, level: Level) -> None:
        check_invariants(broken(mode, level), PREDICTIONS.truth, CLASSES.parents, 5)

    check("none", "country")  # of this nothing is promised
    for mode, level, says in (
        ("independent", "city", "city guesses differ under independent and codependent"),
        ("trace", "city", "city guesses differ under none and trace"),
        ("none", "continent", "continent guesses differ under none and independent"),
        ("codependent", "state", "predictions under codependent conflict"),
        ("trace", "continent", "predictions under trace conflict"),
    ):
        with pytest.raises(RuntimeError, match=says):
            check(mode, level)
    top = {m: top_k(PREDICTIONS.log_probs, CLASSES.parents, m, 5) for m in MODES}
    country = PREDICTIONS.truth["country"]
    row = next(r for r in range(60) if country[r] in top["trace"]["country"][r][1:])
    wrong = top["trace"]["country"].copy()
    wrong[row, 1:] = (country[row] + 1) % SIZES["country"]  # the first stays, so that nothing conflicts
    top["trace"] = {**top["trace"], "country": wrong}
    with pytest.raises(RuntimeError, match="has its state in the first 5 under trace, but not its country"):
        check_invariants(top, PREDICTIONS.truth, CLASSES.parents, 5)


def test_evaluate_checks_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cityguessr_bench.evaluate.top_k",
        lambda scores, parents, mode, k: top_k(scores, parents, "none" if mode == "codependent" else mode, k),
    )
    with pytest.raises(RuntimeError, match="city guesses differ under independent and codependent"):
        evaluate(PREDICTIONS, CLASSES)


def test_equal_values_of_other_clips_are_another_estimate() -> None:
    """Two clips of one video, two of two: the means are the same, and the intervals are not."""
    estimates = Estimates(["a", "a", "a", "b", "c", "d"])
    values = np.array([True, False, True, True, False, True])
    one, several = (np.array(rows) for rows in ([True] * 3 + [False] * 3, [False] * 3 + [True] * 3))
    assert estimates.of(values, one).value == estimates.of(values, several).value == pytest.approx(2 / 3)
    assert estimates.of(values, one).low_videos is None
    assert estimates.of(values, several).low_videos is not None
    assert estimates.of(values, several) is estimates.of(values, several)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for n_threads in (1, 4):
        monkeypatch.setattr("cityguessr_bench.evaluate.n_cores", lambda n=n_threads: n)
        found.append(to_json(evaluate(PREDICTIONS, CLASSES)))
    assert found[0] == found[1]


def test_who_asks_second_waits_for_who_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    estimates, values = Estimates(["a", "b", "c"]), np.array([True, False, True])
    found, counted = [], []
    second = threading.Thread(target=lambda: found.append(estimates.of(values)))

    def counts(used: npt.NDArray[np.bool_], check: Check) -> object:
        counted.append(used)
        if len(counted) == 1:
            second.start()  # asks while the first is counting
            second.join(0.2)
        return over_clips(used, check)

    monkeypatch.setattr("cityguessr_bench.estimates.over_clips", counts)
    found.append(estimates.of(values))
    second.join()
    assert len(counted) == 1
    assert found[0] is found[1]


def test_a_fault_reaches_everyone_who_asks() -> None:
    estimates, values = Estimates(["a", "b"]), np.array([0.5, np.nan])
    for _ in range(2):
        with pytest.raises(ValueError, match="finite"):
            estimates.of(values)


def test_what_is_stopped_is_not_counted_to_its_end() -> None:
    estimates = Estimates(["a", "b", "c"])
    estimates.stop()
    for values in (np.array([0.1, 0.2, 0.4]), np.array([True, False, True])):
        with pytest.raises(CancelledError):
            estimates.of(values)


def test_one_mode_that_fails_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Estimates] = []

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cityguessr_bench.evaluate.calibration", fails)
    monkeypatch.setattr(Estimates, "stop", lambda self: stopped.append(self))
    with pytest.raises(KeyboardInterrupt):
        evaluate(PREDICTIONS, CLASSES)
    assert len(stopped) == 1
