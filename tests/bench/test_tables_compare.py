"""Accuracies over seeds and differences between rows: against loops by hand, and by what must hold."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from cityguessr_bench.hierarchy import MODES
from cityguessr_bench.intervals import over_videos
from cityguessr_bench.tables.compare import Difference, Measures, accuracies, rights
from cityguessr_data.core.types import LEVELS
from tests.support_predictions import random_classes, random_predictions, ranked_by_hand, rows_of

CLASSES = random_classes()
Bools = npt.NDArray[np.bool_]


def _rights(rng: np.random.Generator, n: int, p: float) -> Bools:
    return np.asarray(rng.random(n) < p)


def test_right_clips_are_those_of_a_ranking_by_hand() -> None:
    found = random_predictions(CLASSES, 25, skill=1.0)
    got = rights(found, CLASSES, ("top1", "top5"))
    assert set(got) == {(mode, level, metric) for mode in MODES for level in LEVELS for metric in ("top1", "top5")}
    for row in range(len(found)):
        by_hand = ranked_by_hand(found, CLASSES, row)
        for mode in MODES:
            for level in LEVELS:
                ranked, true = by_hand[mode][level], int(found.truth[level][row])
                assert got[mode, level, "top1"][row] == (ranked[0] == true)
                assert got[mode, level, "top5"][row] == (true in ranked[:5])


def test_mean_and_spread_over_seeds() -> None:
    rng = np.random.default_rng(0)
    seeds = [_rights(rng, 60, p) for p in (0.5, 0.6, 0.9)]
    videos = [f"v{i // 3}" for i in range(60)]
    found = Measures(videos).accuracy(seeds)
    shares = [sum(seed.tolist()) / 60 for seed in seeds]
    mean = sum(shares) / 3
    assert found.by_seed == pytest.approx(tuple(shares))
    assert found.value == pytest.approx(mean)
    assert found.spread == pytest.approx(math.sqrt(sum((share - mean) ** 2 for share in shares) / 2))
    each = over_videos(np.mean(seeds, axis=0), videos)
    assert (found.low, found.high) == (each.low, each.high)


def test_one_seed_has_no_spread() -> None:
    right = _rights(np.random.default_rng(0), 20, 0.5)
    found = Measures([f"v{i}" for i in range(20)]).accuracy([right])
    assert found.spread is None and found.value == right.mean()


def test_more_seeds_do_not_narrow_what_the_choice_of_videos_leaves_open() -> None:
    """Copies of one run are not news: an interval that took them for more clips would shrink by a root of three."""
    right = _rights(np.random.default_rng(1), 90, 0.5)
    measures = Measures([f"v{i // 3}" for i in range(90)])
    once, thrice = measures.accuracy([right]), measures.accuracy([right] * 3)
    assert (once.low, once.high) == (thrice.low, thrice.high) and thrice.spread == 0


def test_all_right_has_the_exact_interval_and_no_difference_has_none() -> None:
    measures = Measures([f"v{i}" for i in range(12)])
    best = measures.accuracy([np.ones(12, np.bool_)])
    assert (best.low, best.high) == (pytest.approx(0.025 ** (1 / 12)), 1.0)
    nothing = measures.difference(best, best)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0) and nothing.within_noise
    assert measures.accuracy([np.zeros(12, np.bool_)]).high == pytest.approx(1 - 0.025 ** (1 / 12))


def test_a_difference_is_paired() -> None:
    """Two rows that err on the same clips: the unpaired intervals overlap widely, the paired one is narrow."""
    rng = np.random.default_rng(2)
    worse = _rights(rng, 400, 0.5)
    better = worse.copy()
    better[np.flatnonzero(~worse)[:24]] = True  # 24 clips more, none less
    measures = Measures([f"v{i}" for i in range(400)])
    a, b = measures.accuracy([better]), measures.accuracy([worse])
    assert a.low is not None and b.high is not None and a.low < b.high
    found = measures.difference(a, b)
    assert found.value == pytest.approx(0.06) and not found.within_noise
    paired = over_videos(better.astype(float) - worse.astype(float), measures.video_ids)
    assert (found.low, found.high) == (paired.low, paired.high)
    back = measures.difference(b, a)
    assert back.value == pytest.approx(-0.06) and back.low == pytest.approx(-(found.high or 0), abs=5e-3)


def test_a_difference_is_clustered_by_video() -> None:
    """The same 40 clips more, of 40 videos or of 2: only the first is beyond the luck of which videos were tested."""
    worse = np.zeros(400, np.bool_)
    better = worse.copy()
    better[:40] = True
    alone = Measures([f"v{i}" for i in range(400)])
    together = Measures([f"v{i // 20}" for i in range(400)])
    assert not alone.difference(alone.accuracy([better]), alone.accuracy([worse])).within_noise
    assert together.difference(together.accuracy([better]), together.accuracy([worse])).within_noise


def test_spread_of_a_difference_is_that_of_one_run_of_each() -> None:
    """By simulation: seeds move two rows by independent normal amounts, and their difference by the root of both."""
    rng = np.random.default_rng(3)
    n, measures = 1000, Measures([f"v{i}" for i in range(1000)])

    def row(mean: float, sd: float, n_seeds: int) -> list[Bools]:
        counts = np.clip(rng.normal(mean, sd, n_seeds), 0, 1) * n
        return [np.arange(n) < count for count in counts]

    a, b = measures.accuracy(row(0.6, 0.03, 400)), measures.accuracy(row(0.4, 0.04, 400))
    found = measures.difference(a, b)
    assert found.spread == pytest.approx(0.05, rel=0.1)
    single = measures.accuracy(row(0.5, 0.1, 1))
    assert measures.difference(a, single).spread is None


@pytest.mark.parametrize(
    ("difference", "within"),
    [
        (Difference(0.02, 0.01, 0.03, None, 20), False),
        (Difference(0.02, -0.01, 0.05, None, 20), True),
        (Difference(0.02, 0.0, 0.05, None, 20), True),
        (Difference(-0.02, -0.03, -0.01, 0.019, 20), False),
        (Difference(-0.02, -0.03, -0.01, 0.02, 20), True),
        (Difference(0.02, None, None, None, 20), True),
        (Difference(0.02, 0.01, 0.03, None, 6), False),
        (Difference(0.02, 0.01, 0.03, None, 5), True),
    ],
)
def test_the_mark(difference: Difference, within: bool) -> None:
    assert difference.within_noise is within


def test_accuracies_of_a_row_are_those_of_its_seeds() -> None:
    seeds = [random_predictions(CLASSES, 40, seed=0, skill=skill) for skill in (0.5, 3.0)]
    found = accuracies(seeds, CLASSES, Measures(seeds[0].video_ids))
    for mode in MODES:
        by_seed = [rights(one, CLASSES, ("top1",))[mode, "city", "top1"].mean() for one in seeds]
        assert found[mode, "city", "top1"].by_seed == pytest.approx(by_seed)
    assert found["independent", "city", "top1"].value == found["codependent", "city", "top1"].value
    levels = [found["codependent", level, "top1"].value for level in LEVELS]
    assert levels == sorted(levels)


def test_other_clips_are_refused() -> None:
    whole = random_predictions(CLASSES, 20)
    turned = rows_of(whole, list(reversed(range(20))))
    with pytest.raises(ValueError, match="same clips in the same order"):
        accuracies([whole, turned], CLASSES, Measures(whole.video_ids))
    with pytest.raises(ValueError, match="same clips in the same order"):
        accuracies([whole], CLASSES, Measures(turned.video_ids))


def test_few_videos_that_all_lean_to_one_side_prove_nothing() -> None:
    """Of n coins all fall alike 2 times in 2^n: with 5 videos 6 % of such differences would be called real."""
    for n_videos, by_chance in ((4, True), (5, True), (6, False)):
        measures = Measures([f"v{i // 2}" for i in range(2 * n_videos)])
        right = np.tile([True, False], n_videos)
        found = measures.difference(measures.accuracy([np.ones(2 * n_videos, np.bool_)]), measures.accuracy([right]))
        assert found.low is not None and found.low > 0
        assert found.within_noise is by_chance is (2 / 2**n_videos > 0.05)
