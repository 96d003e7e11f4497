"""Intervals, notes, priors, samples and the JSON of an evaluation, against formulas by hand and the stated rules."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest

from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.hierarchy import MODES
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.results import Estimate, Origin
from cityguessr_bench.results_json import to_json
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_predictions import (
    SIZES,
    of_logits,
    random_classes,
    random_predictions,
    ranked_by_hand,
    rows_of,
    shares_by_hand,
)

CLASSES = random_classes()
PREDICTIONS = random_predictions(CLASSES)
RESULTS = evaluate(PREDICTIONS, CLASSES)
RANKED = [ranked_by_hand(PREDICTIONS, CLASSES, row) for row in range(len(PREDICTIONS))]


def half(low: float | None, high: float | None) -> float:
    assert low is not None and high is not None
    return (high - low) / 2


def test_intervals_over_clips_and_over_videos() -> None:
    """Nine copies of each clip in one video: the interval over videos is three times as wide."""
    few = random_predictions(CLASSES, 400, skill=1.0, n_videos=400)
    nine = rows_of(few, [i for i in range(400) for _ in range(9)])
    nine = Predictions(
        tuple(f"c{i}" for i in range(3600)), tuple(f"v{i // 9}" for i in range(3600)), nine.channels, nine.truth,
        nine.log_probs,
    )  # fmt: skip
    found = evaluate(nine, CLASSES).modes["codependent"].levels["city"].top1
    p = found.value
    assert half(found.low_clips, found.high_clips) == pytest.approx(1.96 * math.sqrt(p * (1 - p) / 3600), rel=0.06)
    assert half(found.low_videos, found.high_videos) == pytest.approx(1.96 * math.sqrt(p * (1 - p) / 400), rel=0.06)


def exact(n: int, right: bool = True) -> tuple[float | None, ...]:
    """Clopper and Pearson of all or none of n, by SciPy."""
    from scipy.stats import binomtest

    found = binomtest(n if right else 0, n).proportion_ci(0.95, "exact")
    return found.low, found.high


def test_all_right_is_told_and_has_an_interval() -> None:
    paths = CLASSES.paths[np.arange(40) % 14]
    logits = {level: np.eye(SIZES[level])[paths[:, at]] * 30 for at, level in enumerate(LEVELS)}
    results = evaluate(of_logits(logits, paths, [f"v{i // 2}" for i in range(40)]), CLASSES)
    for mode in MODES:
        for level in LEVELS:
            top1 = results.modes[mode].levels[level].top1
            assert top1.value == 1 and (top1.low_clips, top1.high_clips) == pytest.approx(exact(40))
            assert (top1.low_videos, top1.high_videos) == pytest.approx(exact(20))
    far = results.modes["codependent"].distances
    assert far is not None and far.mean_km == Estimate(0, 0, 0, 0, 0) and far.geoscore.value == 5000
    text = " ".join(results.notes)
    assert "every clip is right by city, state, country, continent" in text and "that proves nothing" in text
    assert "only 20 source videos: with fewer than 30" in text
    assert results.by_found["city"].n == 40 and results.by_found["nothing"].samples == ()


def test_unknown_videos_are_counted_and_have_no_interval() -> None:
    found = PREDICTIONS
    partly = Predictions(
        found.clip_ids, (None, None, *found.video_ids[2:]), found.channels, found.truth, found.log_probs
    )
    results = evaluate(partly, CLASSES)
    assert (results.n_videos, results.n_video_unknown) == (None, 2) and not results.rough
    top1 = results.modes["none"].levels["city"].top1
    assert top1.low_clips is not None and (top1.low_videos, top1.high_videos) == (None, None)
    assert "source video of 2 clips is not known" in results.notes[0]
    assert (RESULTS.n_videos, RESULTS.n_video_unknown) == (len(set(found.video_ids)), 0)


def test_one_clip_can_be_scored() -> None:
    results = evaluate(random_predictions(CLASSES, 1, n_videos=1), CLASSES)
    top1 = results.modes["codependent"].levels["city"].top1
    assert (top1.low_clips, top1.high_clips, top1.low_videos, top1.high_videos) == (None,) * 4
    assert any(note.startswith("All clips are of one source video") for note in results.notes)


def test_cities_without_coordinates_are_told_and_counted() -> None:
    classes = random_classes(n_unknown=3)
    results = evaluate(PREDICTIONS, classes)
    far = results.modes["codependent"].distances
    assert far is not None
    truth = PREDICTIONS.truth["city"]
    first = np.array([ranked["codependent"]["city"][0] for ranked in RANKED])
    assert far.n_truth_unknown == (truth >= 11).sum() > 0
    assert far.n_predicted_unknown == ((truth < 11) & (first >= 11)).sum() > 0
    assert (
        far.n == ((truth < 11) & (first < 11)).sum()
        and far.within[1].value == (first == truth)[(truth < 11) & (first < 11)].mean()
    )
    assert any(note.startswith("3 cities have no coordinates (city 11, city 12, city 13)") for note in results.notes)
    sample = next(s for g in results.by_found.values() for s in g.samples if s.truth["city"] < 11)
    assert all((guess.km is None) == (guess.label >= 11) for guess in sample.guesses)
    nowhere = evaluate(PREDICTIONS, random_classes(n_unknown=14))
    assert nowhere.modes["none"].distances is None and "there are no distances" in " ".join(nowhere.notes)


def test_classes_without_clips_and_too_few_classes_are_told() -> None:
    classes = random_classes(3, {"city": 9, "state": 7, "country": 5, "continent": 2})
    predictions = random_predictions(classes, 8, n_videos=8)
    results = evaluate(predictions, classes)
    absent = 9 - len(set(predictions.truth["city"].tolist()))
    assert any(note.startswith(f"{absent} of 9 cities have no evaluated clip") for note in results.notes)
    for level in ("country", "continent"):
        assert results.modes["none"].levels[level].top5 == Estimate(1.0, None, None, None, None)
    assert "There are 5 countries, so the true one is always among the first 5" in " ".join(results.notes)


def test_priors_of_the_evaluated_and_of_the_training_clips() -> None:
    truth = PREDICTIONS.truth
    train = {level: np.full(9, truth[level][0], np.int32) for level in LEVELS}
    results = evaluate(PREDICTIONS, CLASSES, train=train)
    assert results.train_priors is not None and RESULTS.train_priors is None
    for level in LEVELS:
        counts = np.bincount(truth[level])
        assert results.priors[level].accuracy == counts.max() / 60
        assert results.train_priors[level].accuracy == (truth[level] == truth[level][0]).mean()
        assert results.train_priors[level].label == truth[level][0]


def test_samples_follow_the_stated_rule_whatever_the_order_of_clips() -> None:
    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    finest = []
    for row, ranked in enumerate(RANKED):
        right = [level for level in LEVELS if ranked["codependent"][level][0] == PREDICTIONS.truth[level][row]]
        finest.append(right[0] if right else "nothing")
    for found, gallery in RESULTS.by_found.items():
        by_city: dict[str, list[str]] = {}
        for row in np.flatnonzero([f == found for f in finest]):
            name = CLASSES.names["city"][PREDICTIONS.truth["city"][row]]
            by_city.setdefault(name, []).append(PREDICTIONS.clip_ids[row])
        queues = [sorted(by_city[name], key=sha) for name in sorted(by_city, key=sha)]
        expected = [queue[turn] for turn in range(60) for queue in queues if turn < len(queue)][:6]
        assert [s.clip_id for s in gallery.samples] == expected
        assert gallery.n == finest.count(found) and all(s.found == found for s in gallery.samples)
    shuffled = evaluate(rows_of(PREDICTIONS, np.random.default_rng(1).permutation(60).tolist()), CLASSES)
    assert shuffled.by_found == RESULTS.by_found and shuffled.by_rank == RESULTS.by_rank


def test_samples_hold_their_first_five_cities() -> None:
    seen = set()
    for kind, gallery in RESULTS.by_rank.items():
        for sample in gallery.samples:
            row = PREDICTIONS.clip_ids.index(sample.clip_id)
            ranked = RANKED[row]["codependent"]["city"]
            assert [guess.label for guess in sample.guesses] == ranked[:5]
            assert sample.rank == 1 + ranked.index(PREDICTIONS.truth["city"][row])
            assert kind == ("first" if sample.rank == 1 else "top5" if sample.rank <= 5 else "missed")
            shares = shares_by_hand(PREDICTIONS, CLASSES, row, "codependent", "city")
            assert [g.probability for g in sample.guesses] == pytest.approx([shares[c] for c in ranked[:5]], abs=1e-6)
            seen.add(kind)
    assert seen == {"first", "top5", "missed"}


def test_weights_chosen_on_what_is_evaluated_are_told_first() -> None:
    results = evaluate(PREDICTIONS, CLASSES, Origin("r", part="test", weights="best", watched="test"))
    assert "chosen by their city top-1 on the test part" in results.notes[0] and "--weights last" in results.notes[0]
    for origin in (
        Origin("r", part="test", weights="last", watched="test"),
        Origin("r", part="test", weights="best", watched="val"),
    ):
        assert not any("chosen" in note for note in evaluate(PREDICTIONS, CLASSES, origin).notes)


def test_predictions_of_other_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected 60 true labels of level city"):
        evaluate(PREDICTIONS, random_classes(sizes={"city": 15, "state": 12, "country": 9, "continent": 6}))


def test_the_json_has_every_figure_under_its_name() -> None:
    value = json.loads(json.dumps(to_json(RESULTS), allow_nan=False))
    for mode in MODES:
        for level in LEVELS:
            one, scores = value["modes"][mode][level], RESULTS.modes[mode].levels[level]
            assert one["top1"] == vars(scores.top1) and one["top5"]["high_videos"] == scores.top5.high_videos
            assert one["calibration"]["ece"] == scores.calibration.ece and len(one["calibration"]["bins"]) == 15
            assert [row["name"] for row in one["per_class"]] == list(CLASSES.names[level])
            if mode != "codependent":
                assert one["confusion"] is None
                continue
            dense = np.zeros_like(scores.confusion)
            for true, predicted, n in one["confusion"]:
                dense[true, predicted] = n
            assert (dense == scores.confusion).all() and all(n for *_, n in one["confusion"])
        far = RESULTS.modes[mode].distances
        assert far is not None and value["modes"][mode]["distances"]["within"]["750"]["value"] == far.within[750].value
    assert value["priors"]["city"]["name"] == CLASSES.names["city"][value["priors"]["city"]["label"]]
    guess = value["by_found"]["city"]["samples"][0]["guesses"][0]
    assert guess["name"] == CLASSES.names["city"][guess["label"]]
    assert (value["version"], value["n_clips"], value["other_weights"], value["folds"]) == (1, 60, None, None)
    other = to_json(RESULTS, RESULTS)["other_weights"]["modes"]["none"]["city"]
    assert other["top1"] == vars(RESULTS.modes["none"].levels["city"].top1) and "per_class" not in other
