"""Classes of a run: made from clips, looked up by name, written and read, with a message for every contradiction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_bench.classes import TAXONOMY_SCHEMA, Classes
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.places import Gazetteer

Row = tuple[str | None, str | None, str | None, str | None]

LONDON: Row = ("London", "Greater_London", "England", "Europe")
ONTARIO: Row = ("London", "Ontario", "Canada", "North_America")
TORONTO: Row = ("Toronto", "Ontario", "Canada", "North_America")
TOKYO: Row = ("Tokyo", "Tokyo", "Japan", "Asia")


def clips(rows: Sequence[Row], labels: Sequence[Sequence[int | None]] | None = None) -> pa.Table:
    columns: dict[str, pa.Array] = {"clip_id": pa.array([f"clip{i}" for i in range(len(rows))], pa.string())}
    for i, level in enumerate(LEVELS):
        columns[level] = pa.array([row[i] for row in rows], pa.string())
        if labels is not None:
            columns[f"{level}_label"] = pa.array([row[i] for row in labels], pa.int32())
    return pa.table(columns)


def test_classes_without_labels_are_in_order_of_their_names() -> None:
    made = Classes.of_clips(clips([TOKYO, TORONTO, LONDON, ONTARIO, TOKYO]))
    assert made.names == {
        "city": ("London", "London", "Tokyo", "Toronto"),  # that of England first, by the state
        "state": ("Greater_London", "Ontario", "Tokyo"),
        "country": ("Canada", "England", "Japan"),
        "continent": ("Asia", "Europe", "North_America"),
    }
    assert {level: parents.tolist() for level, parents in made.parents.items()} == {
        "city": [0, 1, 2, 1],
        "state": [1, 0, 2],
        "country": [2, 1, 0],
    }
    assert made.sizes == {"city": 4, "state": 3, "country": 3, "continent": 3}
    assert made.paths.tolist() == [[0, 0, 1, 1], [1, 1, 0, 2], [2, 2, 2, 0], [3, 1, 0, 2]]


def test_every_level_is_in_the_order_of_its_labels_where_all_clips_have_one() -> None:
    table = clips([TOKYO, TORONTO, LONDON], [(150, 140, 80, 0), (151, None, 30, 5), (90, 85, 33, 3)])
    made = Classes.of_clips(table)
    assert made.names["city"] == ("London", "Tokyo", "Toronto")
    assert made.names["state"] == ("Greater_London", "Ontario", "Tokyo")  # one has none: by name
    assert made.names["country"] == ("Canada", "England", "Japan")
    assert made.names["continent"] == ("Asia", "Europe", "North_America")
    swapped = Classes.of_clips(clips([TOKYO, LONDON], [(1, 0, 1, 0), (0, 1, 0, 1)]))
    assert swapped.names["city"] == ("London", "Tokyo")
    assert swapped.names["state"] == ("Tokyo", "Greater_London")


def test_the_shipped_taxonomy_comes_back_whole() -> None:
    taxonomy = Taxonomy.named("cityguessr166")
    order = np.random.default_rng(0).permutation(166)
    places = [taxonomy.cities[i] for i in order]
    rows = [(p.city, p.state, p.country, p.continent) for p in places]
    labels = [(p.city_label, p.state_label, p.country_label, p.continent_label) for p in places]
    made = Classes.of_clips(clips(rows, labels))
    assert made.names == {level: taxonomy.names(level) for level in LEVELS}
    assert all(tuple(made.parents[level]) == taxonomy.parents[level] for level in LEVELS[:-1])
    assert made.coordinates.tolist() == [[p.lat, p.lon] for p in taxonomy.cities]
    assert made.labels(clips(rows)).tolist() == [list(row) for row in labels]


def test_coordinates_are_of_the_city_meant_or_unknown() -> None:
    made = Classes.of_clips(clips([LONDON, ONTARIO, TOKYO, ("Nowhere", "N", "N", "Asia")]))
    known = dict(
        zip(zip(made.names["city"], made.paths[:, 3].tolist(), strict=True), made.coordinates.tolist(), strict=True)
    )
    assert known["London", 1] == [51.5085, -0.1257]
    assert np.isnan(known["London", 2]).all(), "London in Ontario is not where London is"
    assert np.isnan(known["Nowhere", 0]).all()
    assert known["Tokyo", 0] == pytest.approx([35.69, 139.69], abs=0.01)


GAZETTEER = Gazetteer(())  # knows no city
words = st.sampled_from(["a", "b", "c"])


@settings(deadline=None)
@given(st.lists(st.tuples(words, words, words, words), min_size=1, max_size=12))
def test_labels_lead_back_to_the_names(rows: list[tuple[str, str, str, str]]) -> None:
    table = clips(rows)
    made = Classes.of_clips(table, GAZETTEER)
    labels = made.labels(table)
    assert labels.dtype == np.int32
    for row, path in zip(rows, labels.tolist(), strict=True):
        assert tuple(made.names[level][label] for level, label in zip(LEVELS, path, strict=True)) == row
        assert [made.parents[level][label] for level, label in zip(LEVELS[:-1], path, strict=False)] == path[1:]
    for depth, level in enumerate(LEVELS):
        assert made.sizes[level] == len({row[depth:] for row in rows})
        assert set(labels[:, depth].tolist()) == set(range(made.sizes[level]))


def test_a_clip_of_another_class_is_named_never_left_out() -> None:
    made = Classes.of_clips(clips([TOKYO, LONDON]))
    with pytest.raises(
        InputError, match=r"clip clip1: Toronto \(Ontario, Canada, North_America\) is none of the 2 cit"
    ):
        made.labels(clips([TOKYO, TORONTO]))
    with pytest.raises(InputError, match="the London known here lies in Greater_London, England, Europe"):
        made.labels(clips([ONTARIO]))
    assert made.labels(clips([])).shape == (0, 4)


@pytest.mark.parametrize(
    ("rows", "labels", "says"),
    [
        ([], None, "there are no clips"),
        ([TOKYO, ("Osaka", None, "Japan", "Asia")], None, "clip clip1 has no state"),
        ([(" ", "Osaka", "Japan", "Asia")], None, "clip clip0 has no city"),
        ([LONDON, ONTARIO], [(7, 1, 1, 1), (7, 2, 2, 2)],
         "city London lies in the state Greater_London by clip clip0, Ontario by clip clip1"),
        ([TOKYO, ("Osaka", "Osaka", "Japan", "Europe")], [(1, 1, 3, 0), (2, 2, 3, 1)],
         "country Japan lies in the continent Asia by clip clip0, Europe by clip clip1"),
        ([TOKYO, LONDON], [(1, 0, 0, 0), (1, 1, 1, 1)], "city label 1 is Tokyo by clip clip0, London by clip clip1"),
        ([TOKYO, TOKYO], [(1, 0, 0, 0), (2, 0, 0, 0)], "city Tokyo has label 1 by clip clip0, 2 by clip clip1"),
    ],
)  # fmt: skip
def test_contradictions_are_told_with_the_clips(rows: list[Row], labels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Classes.of_clips(clips(rows, labels))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_table_without_a_level() -> None:
    with pytest.raises(InputError, match="the clips table has no column state, continent"):
        Classes.of_clips(clips([TOKYO]).drop_columns(["state", "continent"]))


def test_digest_is_of_names_order_and_parents() -> None:
    one, two = clips([TOKYO, TORONTO, LONDON]), clips([LONDON, TOKYO, TORONTO, TOKYO])
    made = Classes.of_clips(one)
    assert made.digest == Classes.of_clips(two).digest
    same_names = ("Tokyo", "Tokyo", "Japan", "Europe")  # only the continent of Japan differs
    others = [
        Classes.of_clips(clips([TOKYO, TORONTO])),
        Classes.of_clips(clips([same_names, TORONTO, LONDON, ("x", "x", "x", "Asia")])),
        Classes.of_clips(clips([TOKYO, TORONTO, LONDON], [(2, 2, 2, 2), (1, 1, 1, 1), (0, 0, 0, 0)])),
    ]
    assert len({made.digest, *(other.digest for other in others)}) == 4
    cities, parents = made.names, made.parents
    renamed = Classes({**cities, "city": ("Paris", *cities["city"][1:])}, parents, made.coordinates)
    regrouped = Classes(cities, {**parents, "city": np.array([1, 0, 2], np.int32)}, made.coordinates)
    assert parents["city"].tolist() == [0, 2, 1]
    assert len({made.digest, renamed.digest, regrouped.digest}) == 3
    moved = Classes(made.names, made.parents, made.coordinates + 1)
    assert moved.digest == made.digest


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "run" / "taxonomy.parquet"
    made = Classes.of_clips(clips([TOKYO, TORONTO, LONDON, ONTARIO]))
    made.write(path)
    table = pq.read_table(path)
    assert table.schema.equals(TAXONOMY_SCHEMA)
    rows = table.to_pylist()
    assert rows[0] == {"level": "city", "label": 0, "name": "London", "parent": 0, "lat": 51.5085, "lon": -0.1257}
    assert rows[1] == {"level": "city", "label": 1, "name": "London", "parent": 1, "lat": None, "lon": None}
    assert rows[-1] == {
        "level": "continent", "label": 2, "name": "North_America", "parent": None, "lat": None, "lon": None
    }  # fmt: skip
    pq.write_table(table.take(list(reversed(range(len(rows))))), path)  # rows may stand in any order
    read = Classes.read(path)
    assert (read.names, read.digest) == (made.names, made.digest)
    assert np.array_equal(read.coordinates, made.coordinates, equal_nan=True)
    assert all((read.parents[level] == made.parents[level]).all() for level in LEVELS[:-1])
    assert {parents.dtype for parents in read.parents.values()} == {np.dtype(np.int32)}


def edited(where: tuple[str, int], **cells: Any) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda rows: [row | cells if (row["level"], row["label"]) == where else row for row in rows]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (edited(("city", 1), label=7), "3 labels of level city, but none is 1"),
        (edited(("city", 1), label=0), "city label 0 stands there twice"),
        (edited(("city", 1), level="town"), "expected a level of city, state, country, continent, got 'town'"),
        (edited(("city", 1), name=" "), "a city has no name"),
        (edited(("city", 1), parent=9), "city 'Tokyo' has a parent that is none of the labels 0 to 2 of level state"),
        (edited(("city", 1), parent=-1), "city 'Tokyo' has a parent that is none"),
        (edited(("city", 1), parent=1), "state label 2 has no city"),
        (edited(("state", 1), parent=None), "state 'Ontario' needs the label of its parent"),
        (edited(("continent", 1), parent=0), "continent 'Europe' can have no parent"),
        (edited(("continent", 1), name="Asia"), "two continents have one name"),
        (edited(("city", 1), lat=None), "expected latitudes .* both or neither"),
        (edited(("city", 1), lat=91.0), "expected latitudes"),
        (edited(("city", 1), lon=float("inf")), "expected latitudes"),
        (lambda rows: [row for row in rows if row["level"] != "city"], "there is no city"),
        (lambda rows: [*rows, {"level": "city", "label": 3, "name": "Tokyo", "parent": 2, "lat": None, "lon": None}],
         "city 'Tokyo' stands there twice under one state"),
    ],
)  # fmt: skip
def test_a_broken_taxonomy_is_told_in_one_line(tmp_path: Path, edit: Any, says: str) -> None:
    path = tmp_path / "taxonomy.parquet"
    Classes.of_clips(clips([TOKYO, TORONTO, LONDON])).write(path)
    pq.write_table(pa.Table.from_pylist(edit(pq.read_table(path).to_pylist()), TAXONOMY_SCHEMA), path)
    with pytest.raises(InputError, match=says) as caught:
        Classes.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in caught.value.message


def test_a_taxonomy_of_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.parquet"
    Classes.of_clips(clips([TOKYO])).write(path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["name"]), path)
    with pytest.raises(InputError, match="has no column name; it has level, label, parent, lat, lon"):
        Classes.read(path)
    pq.write_table(table.drop_columns(["lat", "lon"]), path)
    assert np.isnan(Classes.read(path).coordinates).all()
    pq.write_table(table.append_column("name", table["name"]), path)
    with pytest.raises(InputError, match="has two columns name"):
        Classes.read(path)
