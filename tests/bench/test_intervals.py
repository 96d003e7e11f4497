"""Intervals against exact distributions, analytic standard errors, and simulated data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from cityguessr_bench import intervals
from cityguessr_bench.intervals import over_clips, over_videos
from cityguessr_data.stats.results import Interval


def half_width(found: Interval) -> float:
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / 2


def student_tail(n: int) -> float:
    """The percentile that makes the bootstrap of a normal sample exact, by SciPy."""
    return float(stats.norm.cdf(-stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))))


def clustered(rng: np.random.Generator, n_videos: int, per_video: float) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Right or wrong by clip, where a video has a rate of its own: mean 0.7, correlation within a video 0.3."""
    sizes = rng.geometric(1 / per_video, n_videos)
    rates = rng.beta(0.7 * (1 / 0.3 - 1), 0.3 * (1 / 0.3 - 1), n_videos)
    right = np.concatenate([rng.random(n) < rate for n, rate in zip(sizes, rates, strict=True)])
    return right, [f"video {v}" for v, n in enumerate(sizes) for _ in range(n)]


def test_an_accuracy_of_the_papers_test_set_is_known_to_077_points() -> None:
    right = np.arange(13_655) < round(0.7 * 13_655)
    found = over_clips(right)
    assert found.value == pytest.approx(0.7, abs=1e-4)
    assert half_width(found) == pytest.approx(0.0077, abs=0.0001)
    assert half_width(over_clips(np.arange(2_271) < 1_590)) == pytest.approx(0.0188, abs=0.0003)


@pytest.mark.parametrize("n", [2, 12, 2_271])
def test_all_right_and_all_wrong_have_the_exact_interval(n: int) -> None:
    wrong, videos = np.zeros(4 * n, bool), [f"v{i // 4}" for i in range(4 * n)]
    exact = stats.binomtest(0, n).proportion_ci(0.95, "exact")
    assert over_videos(wrong, videos) == Interval(0.0, 0.0, pytest.approx(exact.high))
    assert over_videos(~wrong, videos) == Interval(1.0, pytest.approx(1 - exact.high), 1.0)
    assert over_clips(wrong[:n]) == Interval(0.0, 0.0, pytest.approx(exact.high))


def test_the_bootstrap_of_right_and_wrong_is_a_binomial() -> None:
    for n, n_right in ((40, 26), (200, 17)):
        found, tail = over_clips(np.arange(n) < n_right), student_tail(n)
        # A count may sit at the percentile itself; then one step either way is right.
        low, high = (stats.binom.ppf(q, n, n_right / n) / n for q in (tail, 1 - tail))
        assert found.low == pytest.approx(low, abs=1 / n + 1e-9)
        assert found.high == pytest.approx(high, abs=1 / n + 1e-9)


@pytest.mark.parametrize("n", [4, 5, 8, 12, 30, 1_000, 13_655])
def test_the_tail_is_students(n: int) -> None:
    assert intervals._tail(n) == pytest.approx(student_tail(n), rel=0.02)


def test_few_values_of_a_normal_sample_get_students_interval() -> None:
    widths, expected = [], []
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=12)
        widths.append(half_width(over_clips(x)))
        expected.append(stats.t.ppf(0.975, 11) * x.std(ddof=1) / math.sqrt(12))
    assert np.mean(widths) == pytest.approx(np.mean(expected), rel=0.05)  # the plain percentiles are 15 % narrower


def test_over_videos_against_the_cluster_robust_standard_error() -> None:
    right, videos = clustered(np.random.default_rng(0), 400, 12)
    ids = np.unique(videos, return_inverse=True)[1]
    sums, sizes = np.bincount(ids, weights=right), np.bincount(ids)
    residual = sums - right.mean() * sizes
    error = math.sqrt(400 / 399 * (residual**2).sum()) / len(right)
    found = over_videos(right, videos)
    assert found.value == pytest.approx(right.mean())
    assert half_width(found) == pytest.approx(stats.t.ppf(0.975, 399) * error, rel=0.03)
    assert half_width(found) > 1.5 * half_width(over_clips(right))


def test_videos_of_one_clip_are_clips_and_order_and_names_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    assert over_videos(values, [f"v{i}" for i in range(60)]) == over_clips(values)
    right, videos = clustered(rng, 30, 5)
    order = rng.permutation(len(right))
    shuffled = over_videos(right[order], [videos[i] + "!" for i in order])
    assert shuffled == over_videos(right, videos)
    assert over_videos(right, videos) == over_videos(right, videos)


def test_videos_hold_the_truth_where_clips_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "N_RESAMPLES", 999)
    held = {"videos": 0, "clips": 0}
    for seed in range(300):
        right, videos = clustered(np.random.default_rng(seed), 24, 12)
        for name, found in (("videos", over_videos(right, videos)), ("clips", over_clips(right))):
            assert found.low is not None and found.high is not None
            held[name] += found.low <= 0.7 <= found.high
    assert 0.89 <= held["videos"] / 300 <= 0.98
    assert held["clips"] / 300 < 0.65


def test_a_paired_difference_is_narrower_than_two_intervals_suggest() -> None:
    rng = np.random.default_rng(0)
    first, videos = clustered(rng, 200, 10)
    other = np.where(rng.random(len(first)) < 0.03, True, first)  # the same model, a little better
    for found in (over_clips(other * 1.0 - first), over_videos(other * 1.0 - first, videos)):
        assert found.value == pytest.approx(other.mean() - first.mean())
        assert found.low is not None and found.low > 0
        assert half_width(found) < half_width(over_clips(first)) / 2
    assert over_clips(first * 1.0 - first) == Interval(0, 0, 0)


def test_batches_change_nothing_that_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=500)
    whole = over_clips(values)
    monkeypatch.setattr(intervals, "_MAX_DRAWN", 20_000)
    assert half_width(over_clips(values)) == pytest.approx(half_width(whole), rel=0.05)


def test_where_there_is_nothing_to_draw() -> None:
    assert over_clips(np.array([True])) == Interval(1, None, None)
    assert over_videos(np.array([1, 0, 1]), ["a", "a", "a"]) == Interval(2 / 3, None, None)
    assert over_videos(np.array([1, 0, 1]), ["a", "b", None]) == Interval(2 / 3, None, None)
    for values in ([], [0.5, math.nan], [math.inf, 0]):
        with pytest.raises(ValueError, match="expected one finite value a clip"):
            over_clips(np.array(values))
    with pytest.raises(ValueError, match="expected a video id a clip, 2, got 1"):
        over_videos(np.array([1, 0]), ["a"])
