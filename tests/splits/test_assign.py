"""The rules of a split: shares, coverage, and that no source of test is ever trained on later."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.splits.assign import NEW, TEST, TRAIN, VAL, by_class, by_source, hashes, held_out, threshold

Bools = npt.NDArray[np.bool_]


def test_a_hash_is_sha256_of_seed_and_id() -> None:
    """Anyone can repeat it in two lines, in any language."""
    for seed, name, text in ((0, "video:a", "0:video:a"), (-7, "channel:Größe", "-7:channel:Größe")):
        wanted = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
        assert hashes(seed, [name])[0] == pytest.approx(wanted, abs=2**-52)
    salted = int(hashlib.sha256(b"0:val:video:a").hexdigest()[:16], 16) / 2**64
    assert hashes(0, ["video:a"], "val:")[0] == pytest.approx(salted, abs=2**-52)


def test_hashes_are_even_and_other_seeds_give_others() -> None:
    ids = [f"video:v{i}" for i in range(20_000)]
    u = hashes(0, ids)
    assert u.min() >= 0 and u.max() < 1
    assert np.histogram(u, 10, (0, 1))[0] == pytest.approx(2_000, abs=5 * np.sqrt(1_800))
    assert abs(np.corrcoef(u, hashes(1, ids))[0, 1]) < 5 / np.sqrt(len(ids))


@pytest.mark.parametrize(("n", "share"), [(2, 0.2), (5, 0.2), (6, 0.2), (7, 0.2), (12, 0.2), (40, 0.2), (9, 0.4)])
def test_a_city_gets_the_wanted_share_on_average(n: int, share: float) -> None:
    """Of one city, over many draws. With too few sources one is the least that can be."""
    rng = np.random.default_rng(n)
    counts = [int(held_out(rng.random(n), [(0,)] * n, share).sum()) for _ in range(3_000)]
    assert min(counts) >= 1 and max(counts) < n
    error = 5 * np.std(counts) / n / np.sqrt(len(counts)) + 1e-9
    assert np.mean(counts) / n == pytest.approx(max(share, 1 / n), abs=error)


def test_thresholds_grow_with_the_sources_towards_the_share() -> None:
    t = [threshold(n, 0.2) for n in range(1, 400)]
    assert t[:5] == [0.0] * 5 and all(a <= b for a, b in pairwise(t))
    assert t[-1] == pytest.approx(0.2) and max(t) <= 0.2


@st.composite
def sources(draw: st.DrawFn, most_cities: int = 1) -> list[tuple[int, ...]]:
    """Cities of each source."""
    serves = st.lists(st.integers(0, 4), min_size=1, max_size=most_cities, unique=True).map(tuple)
    return draw(st.lists(serves, min_size=1, max_size=25))


def covered(cities_of: list[tuple[int, ...]], chosen: Bools) -> set[int]:
    """Cities that the chosen sources serve."""
    return {city for cities, take in zip(cities_of, chosen.tolist(), strict=True) if take for city in cities}


shares = st.sampled_from([0.05, 0.1, 0.2, 1 / 3, 0.5, 0.8])
seeds = st.integers(0, 10**6)


@settings(max_examples=150, deadline=None)
@given(sources(), seeds, shares)
def test_every_city_with_two_sources_is_on_both_sides(
    cities_of: list[tuple[int, ...]], seed: int, share: float
) -> None:
    out = held_out(np.random.default_rng(seed).random(len(cities_of)), cities_of, share)
    n = Counter(city for (city,) in cities_of)
    assert covered(cities_of, ~out) == set(n)
    assert covered(cities_of, out) == {city for city in n if n[city] >= 2}


@settings(max_examples=200, deadline=None)
@given(sources(3), seeds, shares)
def test_a_city_lacks_test_only_where_its_sources_are_the_last_to_train_on(
    cities_of: list[tuple[int, ...]], seed: int, share: float
) -> None:
    out = held_out(np.random.default_rng(seed).random(len(cities_of)), cities_of, share)
    everything = {city for cities in cities_of for city in cities}
    assert covered(cities_of, ~out) == everything
    for city in everything - covered(cities_of, out):
        for source in (i for i, cities in enumerate(cities_of) if city in cities):
            moved = out.copy()
            moved[source] = True
            assert covered(cities_of, ~moved) < everything


def test_a_source_of_two_cities_has_the_higher_threshold() -> None:
    """Of city 0 with ten sources it is below the threshold; city 1 has three, and the threshold 0."""
    u = np.array([0.02, 0.1, 0.05, 0.9, *np.linspace(0.3, 0.8, 8)])
    out = held_out(u, [(0,), (0, 1), (1,), (1,), *[(0,)] * 8], 0.2)
    assert np.flatnonzero(out).tolist() == [0, 1]


@settings(max_examples=200, deadline=None)
@given(sources(2), seeds, shares, st.data())
def test_without_memory_only_a_stand_in_can_leave_test(
    cities_of: list[tuple[int, ...]], seed: int, share: float, data: st.DataObject
) -> None:
    """A source below the threshold of a city, and not the highest of any, stays in test whatever is added."""
    u = np.random.default_rng(seed).random(len(cities_of))
    n = data.draw(st.integers(1, len(u)))
    few, many = held_out(u[:n], cities_of[:n], share), held_out(u, cities_of, share)
    had = Counter(city for cities in cities_of[:n] for city in cities)
    highest = {city: max(u[i] for i in range(n) if city in cities_of[i]) for city in had}
    for source in np.flatnonzero(few & ~many[:n]):
        of_it = cities_of[source]
        below = any(u[source] < threshold(had[city], share) for city in of_it)
        assert not below or any(u[source] == highest[city] for city in of_it)


@settings(max_examples=200, deadline=None)
@given(sources(2), seeds, shares, st.data())
def test_with_memory_no_source_ever_moves(
    cities_of: list[tuple[int, ...]], seed: int, share: float, data: st.DataObject
) -> None:
    """Sources are added in any order and in batches of any size."""
    n = len(cities_of)
    u, u_val = np.random.default_rng(seed).random((2, n))
    val = data.draw(st.sampled_from([0.0, 0.1]))
    order = data.draw(st.permutations(range(n)))
    cuts = sorted(data.draw(st.sets(st.integers(1, n), max_size=4)) | {n})
    known: dict[int, int] = {}
    for cut in cuts:
        here = sorted(order[:cut])
        kept = np.array([known.get(i, NEW) for i in here], np.int8)
        parts = by_source(u[here], u_val[here], [cities_of[i] for i in here], share, val, kept)
        now = dict(zip(here, parts.tolist(), strict=True))
        assert {i: now[i] for i in known} == known
        known = now
    single = Counter(cities[0] for cities in cities_of if len(cities) == 1)
    if len(single) and all(len(cities) == 1 for cities in cities_of):
        for part, least in ((TEST, 2), (TRAIN, 1)):
            at = np.array([known[i] == part for i in range(n)])
            assert covered(cities_of, at) == {city for city in single if single[city] >= least}


def test_a_growing_city_stays_near_the_share() -> None:
    """One source more each time, as far from one draw as can be: 2,000 cities of 30."""
    rng = np.random.default_rng(0)
    counts = []
    for u in rng.random((200, 30)):
        out = np.zeros(0, bool)
        for n in range(1, 31):
            out = held_out(u[:n], [(0,)] * n, 0.2, np.append(out, NEW).astype(np.int8))
        counts.append(out.sum())
    assert 0.17 < np.mean(counts) / 30 < 0.2


@settings(max_examples=150, deadline=None)
@given(sources(2), seeds, st.sampled_from([0.1, 0.2]), st.sampled_from([0.1, 0.3]))
def test_val_is_taken_from_what_test_leaves(
    cities_of: list[tuple[int, ...]], seed: int, test: float, val: float
) -> None:
    u, u_val = np.random.default_rng(seed).random((2, len(cities_of)))
    without, parts = (by_source(u, u_val, cities_of, test, share) for share in (0.0, val))
    assert ((without == TEST) == (parts == TEST)).all()
    assert covered(cities_of, parts == TRAIN) == covered(cities_of, without == TRAIN)
    for city in covered(cities_of, parts == TRAIN) - covered(cities_of, parts == VAL):
        rest = [i for i, cities in enumerate(cities_of) if city in cities and parts[i] == TRAIN]
        alone = Counter(c for i, cities in enumerate(cities_of) if parts[i] == TRAIN for c in cities)
        assert all(min(alone[c] for c in cities_of[i]) == 1 for i in rest)


@pytest.mark.parametrize(
    ("n", "share", "wanted"),
    [(1, 0.2, 0), (2, 0.2, 1), (2, 0.9, 1), (12, 0.2, 2), (13, 0.2, 3), (5, 0.5, 3), (50, 0.29, 15), (411, 0.2, 82)],
)
def test_clips_are_rounded_in_each_city(n: int, share: float, wanted: int) -> None:
    """50 times 0.29 is 14.5, and 14.499999999999998 in floating point."""
    parts = by_class(hashes(0, [f"clip:{i}" for i in range(n)]), np.zeros(n, np.int64), share, 0.0)
    assert (parts == TEST).sum() == wanted and (parts == TRAIN).sum() == n - wanted


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), seeds, st.sampled_from([0.1, 0.2, 0.5]), st.data())
def test_clips_keep_their_share_of_every_city_while_sets_grow(
    city_of: list[int], seed: int, share: float, data: st.DataObject
) -> None:
    cities = np.array(city_of, np.int64)
    u = np.random.default_rng(seed).random(len(cities))
    val = data.draw(st.sampled_from([0.0, 0.1]))
    parts = np.zeros(0, np.int8)
    for n in sorted(data.draw(st.sets(st.integers(1, len(cities)), max_size=3)) | {len(cities)}):
        before = parts
        kept = np.concatenate([before, np.full(n - len(before), NEW, np.int8)])
        parts = by_class(u[:n], cities[:n], share, val, kept)
        assert (parts[: len(before)] == before).all()
        for city in set(city_of[:n]):
            mine = parts[cities[:n] == city]
            assert abs((mine == TEST).sum() - share * len(mine)) <= 1
            assert (mine == TRAIN).any() and (len(mine) == 1 or (mine == TEST).any())
            if len(before) == 0:
                assert abs((mine == VAL).sum() - val * len(mine)) <= 1
                assert (mine == VAL).any() == (val > 0 and len(mine) - (mine == TEST).sum() >= 2)


def test_clips_of_the_lowest_hash_are_test_and_the_next_val() -> None:
    u = np.array([0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6, 0.0])
    parts = by_class(u, np.zeros(10, np.int64), 0.2, 0.1)
    assert [int(np.flatnonzero(u == x)[0]) for x in (0.0, 0.1)] == np.flatnonzero(parts == TEST)[::-1].tolist()
    assert np.flatnonzero(parts == VAL).tolist() == [5]
