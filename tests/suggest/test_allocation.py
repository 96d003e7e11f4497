"""Filling the lowest first gives the lowest Gini: against every division there is, and stats/inequality.py."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.stats.inequality import gini, hoover, theil
from cityguessr_data.suggest.allocation import allocate


def divisions(n_cities: int, n_videos: int, most: int | None) -> list[tuple[int, ...]]:
    """Every way to divide the videos, as many of them as the limits take."""
    total = n_videos if most is None else min(n_videos, most * n_cities)
    top = total if most is None else min(most, total)
    return [d for d in itertools.product(range(top + 1), repeat=n_cities) if sum(d) == total]


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    n_videos=st.integers(1, 6),
    per_video=st.sampled_from([0.5, 1.0, 2.75, 7.0]),
    most=st.sampled_from([None, 1, 2, 3]),
)
@settings(max_examples=150)
def test_no_other_division_is_more_even(counts: list[int], n_videos: int, per_video: float, most: int | None) -> None:
    given_videos = allocate(counts, n_videos, per_video, most)
    all_divisions = divisions(len(counts), n_videos, most)
    assert tuple(given_videos) in all_divisions
    for measure in (gini, hoover, theil):
        values = [float(measure([c + per_video * k for c, k in zip(counts, d, strict=True)])) for d in all_divisions]
        ours = float(measure([c + per_video * k for c, k in zip(counts, given_videos, strict=True)]))
        assert ours == pytest.approx(min(values), abs=1e-12)


def test_by_hand() -> None:
    """Clips 0, 5, 20 and 4 a video: 0 is filled to 4, then 4 to 8, 5 to 9, 8 to 12."""
    assert allocate([0, 5, 20], 4, 4.0) == [3, 1, 0]


def test_equal_cities_take_turns_even_with_broken_clips_per_video() -> None:
    assert allocate([3, 3, 3], 9, 0.1) == [3, 3, 3]


def test_limits() -> None:
    assert allocate([0, 50], 5, 1.0, 2) == [2, 2]
    assert allocate([0, 50], 5, 1.0, 0) == [0, 0]
    assert allocate([], 5, 1.0) == []


@pytest.mark.parametrize("n, per_video, most", [(-1, 1.0, None), (1, 0.0, None), (1, 1.0, -1), (1, float("nan"), None)])
def test_senseless_numbers_are_refused(n: int, per_video: float, most: int | None) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        allocate([1, 2], n, per_video, most)
