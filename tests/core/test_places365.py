"""Scene classes: the lists against the counts published for them, soft labels by hand and by brute force."""

from __future__ import annotations

import csv
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.places365 import (
    SCENE_CLASSES,
    categories,
    majority,
    membership,
    soft_label,
    soft_label_365,
)

BY_NAME = {c.name: c for c in categories()}
ROAD = SCENE_CLASSES.index("outdoor_transport")


def test_the_lists_have_the_published_counts() -> None:
    assert len(categories()) == 365
    assert [c.index for c in categories()] == list(range(365))
    assert Counter(len(c.classes) for c in categories()) == {1: 302, 2: 35, 3: 24, 4: 4}
    assert len(set(BY_NAME)) == 365
    assert sum(c.indoor for c in categories()) == 160  # of the published indoor/outdoor list


def test_well_known_categories_are_where_the_models_have_them() -> None:
    assert categories()[0].name == "/a/airfield"
    assert categories()[319].name == "/s/street"
    assert categories()[364].name == "/z/zen_garden"
    assert not BY_NAME["/s/street"].indoor
    assert BY_NAME["/k/kitchen"].indoor
    assert BY_NAME["/a/airfield"].classes == (ROAD,)
    assert BY_NAME["/h/highway"].classes == (9, ROAD)
    assert BY_NAME["/y/yard"].classes == (8, 9, 14)


def test_the_names_of_the_16_classes_agree_with_the_shipped_table() -> None:
    with manifest_path("places365/classes.csv").open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert tuple(r["class"] for r in rows) == SCENE_CLASSES
    assert [int(r["index"]) for r in rows] == list(range(16))
    assert Counter(r["group"] for r in rows) == {"indoor": 6, "outdoor_natural": 4, "outdoor_manmade": 6}


@pytest.mark.parametrize("parents", ["split", "first"])
def test_membership_shares_one_frame_out(parents: str) -> None:
    table = membership(parents)  # type: ignore[arg-type]
    assert (table.shape, table.dtype) == ((365, 16), np.float32)
    assert table.sum(axis=1) == pytest.approx(np.ones(365), abs=1e-6)


def test_a_category_of_three_classes_by_hand() -> None:
    yard, field = BY_NAME["/y/yard"].index, BY_NAME["/a/airfield"].index
    split = np.zeros(16)
    split[[8, 9, 14]] = 1 / 12
    split[ROAD] = 3 / 4
    assert soft_label([yard, field, field, field]) == pytest.approx(split, abs=1e-7)
    first = np.zeros(16)
    first[8], first[ROAD] = 1 / 4, 3 / 4
    assert soft_label([yard, field, field, field], "first") == pytest.approx(first, abs=1e-7)


@given(st.lists(st.integers(0, 364), min_size=1, max_size=120), st.sampled_from(["split", "first"]))
def test_soft_labels_against_exact_fractions(top1: list[int], parents: str) -> None:
    exact = [Fraction(0)] * 16
    for index in top1:
        classes = categories()[index].classes
        for c in classes if parents == "split" else classes[:1]:
            exact[c] += Fraction(1, len(classes) if parents == "split" else 1) / len(top1)
    label = soft_label(np.array(top1, np.int16), parents)  # type: ignore[arg-type]
    assert label.dtype == np.float32
    assert label == pytest.approx([float(f) for f in exact], abs=1e-7)
    assert float(label.sum()) == pytest.approx(1.0, abs=1e-6)
    assert majority(label) == exact.index(max(exact))  # equal shares are equal floats; the lowest index wins
    full = soft_label_365(top1)
    assert full == pytest.approx([top1.count(i) / len(top1) for i in range(365)], abs=1e-7)


def test_of_equal_shares_the_lowest_class_is_the_majority() -> None:
    label = np.zeros(16, np.float32)
    label[[3, 11]] = 0.5
    assert majority(label) == 3
    with pytest.raises(ValueError, match="16 shares"):
        majority([1.0])


@pytest.mark.parametrize("top1", [[], [365], [-1], [0.5], [[1, 2]], [None]])
def test_what_are_no_categories_is_refused(top1: list[object]) -> None:
    for label in (soft_label, soft_label_365):
        with pytest.raises(ValueError, match="expected"):
            label(top1)  # type: ignore[operator]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="split, first"):
        soft_label([1], "all")  # type: ignore[arg-type]
