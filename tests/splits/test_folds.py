"""Folds: a partition, even in every city, and stable when sources are added."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.splits.folds import NEW, fold_of_units


@st.composite
def single(draw: st.DrawFn) -> list[dict[int, int]]:
    """Sources of one city each, with their clips."""
    return draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)).map(lambda x: {x[0]: x[1]}), min_size=1))


@settings(max_examples=150, deadline=None)
@given(single(), st.integers(2, 6), st.integers(0, 10**6))
def test_a_city_is_even_but_for_one_source(clips: list[dict[int, int]], k: int, seed: int) -> None:
    """Placing into the least full: the fullest fold has at most its largest source more than any other."""
    fold = fold_of_units(np.random.default_rng(seed).random(len(clips)), clips, k)
    assert fold.min() >= 0 and fold.max() < k and len(fold) == len(clips)
    for city in {c for source in clips for c in source}:
        load = [0] * k
        for at, source in zip(fold.tolist(), clips, strict=True):
            load[at] += source.get(city, 0)
        assert max(load) - min(load) <= max(source.get(city, 0) for source in clips)
        assert sum(n > 0 for n in load) == min(k, sum(city in source for source in clips))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(st.integers(0, 3), st.integers(1, 9), min_size=1, max_size=3), min_size=2, max_size=30),
    st.integers(2, 5),
    st.integers(0, 10**6),
    st.data(),
)
def test_sources_keep_their_fold(clips: list[dict[int, int]], k: int, seed: int, data: st.DataObject) -> None:
    u = np.random.default_rng(seed).random(len(clips))
    n = data.draw(st.integers(1, len(clips)))
    first = fold_of_units(u[:n], clips[:n], k)
    kept = np.concatenate([first, np.full(len(clips) - n, NEW)])
    second = fold_of_units(u, clips, k, kept)
    assert (second[:n] == first).all() and second.min() >= 0


def test_equal_clips_are_dealt_out_evenly() -> None:
    """By clip: 103 and 59 clips in 5 folds; each city to the clip, and the total too."""
    rng = np.random.default_rng(0)
    clips = [{0: 1}] * 103 + [{1: 1}] * 59
    fold = fold_of_units(rng.random(len(clips)), clips, 5)
    assert sorted(Counter(fold[:103].tolist()).values()) == [20, 20, 21, 21, 21]
    assert sorted(Counter(fold[103:].tolist()).values()) == [11, 12, 12, 12, 12]
    assert sorted(Counter(fold.tolist()).values()) == [32, 32, 32, 33, 33]


def test_cities_of_one_source_are_dealt_out_too() -> None:
    """The total is even, and another seed deals otherwise."""
    clips = [{city: 4} for city in range(40)]
    first, second = (fold_of_units(np.random.default_rng(seed).random(40), clips, 4) for seed in (0, 1))
    assert [int((first == f).sum()) for f in range(4)] == [10] * 4
    assert (first != second).any()


def test_a_source_of_two_cities_goes_where_both_have_little() -> None:
    clips = [{0: 6}, {0: 6}, {1: 3}, {0: 2, 1: 2}]
    fold = fold_of_units(np.array([0.1, 0.2, 0.3, 0.4]), clips, 3, np.array([0, 1, 1, NEW]))
    assert fold.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_large_sources_are_placed_first(seed: int) -> None:
    """One of 32 and many of 1: were the large one last, its fold would have far more than its share."""
    clips = [{0: 1}] * 64 + [{0: 32}]
    fold = fold_of_units(np.random.default_rng(seed).random(65), clips, 2)
    assert sum(sum(c.values()) for c, f in zip(clips, fold, strict=True) if f == 0) == 48
