"""manifests/published/results.csv: whole, and free of what no correct evaluation could give."""

from __future__ import annotations

from collections import Counter

import pytest

from cityguessr_bench.tables.published import LATER, Published, is_published_split, of_row, published
from cityguessr_bench.tables.rows import TABLES
from cityguessr_data.core.types import LEVELS, Level

PAPER = [one for one in published() if one.table != LATER]


def _values(table: str, key: str, metric: str = "top1") -> dict[Level | None, float]:
    return {one.level: float(one.value) for one in of_row(table, key) if one.metric == metric}


def test_every_number_stands_once_and_every_row_has_four() -> None:
    places = Counter((one.table, one.key, one.row, one.level, one.metric) for one in published())
    assert max(places.values()) == 1
    # four levels a row: 5 + 5 + 3 + 6 + 2 rows of the paper, 2 + 5 of the supplement, top-1 and top-5 in s3
    found = Counter(one.table for one in PAPER if one.table != "1")
    assert found == {"2": 20, "3": 20, "4": 12, "5": 24, "6": 8, "s1": 8, "s2": 20, "s3": 8}
    assert len([one for one in PAPER if one.table == "1"]) == 2 * 9
    assert all(0 < float(one.value) <= 100 for one in published() if one.table != "1")


def test_sums_of_every_table_as_added_up_from_the_print() -> None:
    """One misread digit moves a sum: of the columns city, state, country, continent, added by hand."""
    sums = {
        "2": (269.4, 271.1, 290.0, 358.0),
        "3": (338.0, 339.9, 358.9, 404.0),
        "4": (208.3, 209.6, 219.8, 242.2),
        "5": (374.5, 376.8, 401.2, 466.5),
        "6": (140.4, 140.4, 141.4, 170.0),
        "s1": (135.5, 136.5, 144.5, 162.8),
        "s2": (343.5, 346.0, 368.0, 414.5),
        "s3": (155.0, 155.6, 163.1, 183.3),
    }
    for table, expected in sums.items():
        for level, total in zip(LEVELS, expected, strict=True):
            found = sum(float(one.value) for one in PAPER if (one.table, one.level) == (table, level))
            assert found == pytest.approx(total, abs=1e-6), (table, level)


def test_codependent_accuracy_never_falls_from_city_to_continent() -> None:
    rows = {(one.table, one.key, one.metric) for one in PAPER if one.mode == "codependent"}
    assert len(rows) >= 10
    for table, key, metric in rows:
        values = [_values(table, key, metric)[level] for level in LEVELS]
        assert values == sorted(values), (table, key)


def test_what_holds_between_modes_holds_in_table_4() -> None:
    none, independent, codependent = (_values("4", key) for key in ("without", "independent", "codependent"))
    assert independent["city"] == codependent["city"]
    assert none["continent"] == independent["continent"]
    modes = {one.key: one.mode for one in PAPER if one.table == "4"}
    assert modes == {"without": "none", "independent": "independent", "codependent": "codependent"}


def test_rows_that_stand_in_several_tables_have_the_same_numbers() -> None:
    for same in (
        [("2", "videomae"), ("3", "none"), ("5", "videomae")],
        [("3", "tla-all"), ("4", "codependent"), ("5", "ours"), ("s2", "clip"), ("s3", "ours")],
        [("3", "soft"), ("s1", "16"), ("s2", "without")],
        [("2", "mae-random"), ("5", "planet")],
    ):
        values = [_values(*place) for place in same]
        assert all(len(one) == 4 and one == values[0] for one in values), same


def test_top_5_is_no_lower_than_top_1() -> None:
    top1, top5 = _values("s3", "ours"), _values("s3", "ours", "top5")
    assert all(top5[level] > top1[level] for level in LEVELS)
    assert {one.mode for one in of_row("s3", "ours") if one.metric == "top5"} == {None}


def test_every_row_of_the_paper_is_a_row_of_ours() -> None:
    """And ours has no more of them but `trace`, which the paper does not have."""
    for number, table in TABLES.items():
        theirs = {one.key for one in PAPER if one.table == number}
        assert {row.key for row in table.rows} - {"trace"} == theirs, number


def test_baselines_state_no_mode() -> None:
    stated = {(one.table, one.key) for one in PAPER if one.mode}
    assert not stated & {(table, "videomae") for table in ("2", "5", "6")}
    assert not stated & {("5", "planet"), ("5", "isns"), ("5", "geodecoder"), ("5", "timesformer"), ("3", "none")}
    assert all(one.basis == "not stated" for one in published() if one.mode is None and one.table != "1")


def test_later_results_name_who_published_them() -> None:
    later = [one for one in published() if one.table == LATER]
    assert len(later) == 5 * 4 + 1 and all(one.source and one.mode is None for one in later)
    best: Published = max((one for one in later if one.level == "city"), key=lambda one: float(one.value))
    assert (best.key, best.value) == ("vidtag-frames", "94.9")


def test_the_published_split_is_known_by_name_clips_and_classes() -> None:
    sizes: dict[Level, int] = {"city": 166, "state": 157, "country": 91, "continent": 6}
    assert is_published_split("published", 13_655, sizes)
    assert not is_published_split("video", 13_655, sizes)
    assert not is_published_split("published", 13_654, sizes)
    assert not is_published_split("published", 13_655, {**sizes, "city": 165})
