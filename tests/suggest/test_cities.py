"""There is more than one Springfield: a city is its name with the three levels above it."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.types import LEVELS
from cityguessr_data.run.store import Store
from cityguessr_data.suggest.cities import read_cities
from cityguessr_data.suggest.suggesting import queries
from tests.support_sample import write_out
from tests.support_suggest import FakeSearcher, run_suggest

ILLINOIS = ("Springfield", "Illinois", "USA", "North_America")
MISSOURI = ("Springfield", "Missouri", "USA", "North_America")
TOKYO = ("Tokyo", "Tokyo", "Japan", "Asia")


def data_set(out: Path, *clips: tuple[tuple[str, ...], int]) -> Store:
    """A video a place, of so many clips."""
    store = write_out(out, {f"u{i}": {f"u{i}_{n:05d}": 1 for n in range(count)} for i, (_, count) in enumerate(clips)})
    (out / "dataset.json").write_text("{}")
    for i, (place, _) in enumerate(clips):
        part = store.part("clips", f"u{i}")
        table = pq.read_table(part)
        rows = [row | dict(zip(LEVELS, place, strict=True)) for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), part)
    return store


@pytest.mark.parametrize("cities", [(), ("springfield",)])
def test_cities_of_one_name_are_counted_searched_and_written_apart(tmp_path: Path, cities: tuple[str, ...]) -> None:
    data_set(tmp_path / "data", (ILLINOIS, 3), (MISSOURI, 1), (TOKYO, 1))
    searcher = FakeSearcher(
        {
            f"Springfield {state} USA {how} tour": [f"{state}-{how}", "both"]
            for state in ("Illinois", "Missouri")
            for how in ("walking", "driving")
        }
    )
    result = run_suggest(
        tmp_path / "t.csv", searcher, data=tmp_path / "data", cities=cities, n_videos=9, most_per_city=3
    )
    found = {one.city.name: (one.n_clips, one.n_new) for one in result.cities}
    assert found["Springfield, Missouri"] == (1, 3) and found["Springfield, Illinois"] == (3, 2)
    assert ("Tokyo" in found) is not bool(cities)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as f:
        rows = {(row["city"], row["state"], row["url"].rpartition("/")[2]) for row in csv.DictReader(f)}
    assert rows == {
        ("Springfield", "Missouri", "Missouri-walking"), ("Springfield", "Missouri", "Missouri-driving"),
        ("Springfield", "Missouri", "both"), ("Springfield", "Illinois", "Illinois-walking"),
        ("Springfield", "Illinois", "Illinois-driving"),
    }  # fmt: skip
    assert result.left_out == {"found for another city too": 1}
    # 3, 1 and 1 clips: |a - b| over all ordered pairs is 8, over twice the square of 3 times the mean of 5/3
    assert result.gini_now == pytest.approx(8 / (2 * 9 * 5 / 3))


@pytest.mark.parametrize(
    ("places", "names", "query"),
    [
        ([TOKYO], ["Tokyo"], "Tokyo Japan walking tour"),
        ([ILLINOIS, TOKYO], ["Springfield", "Tokyo"], "Springfield USA walking tour"),
        (
            [("London", "Greater_London", "England", "Europe"), ("London", "Ontario", "Canada", "North_America")],
            ["London, Greater_London", "London, Ontario"],
            "London Greater London England walking tour",
        ),
        (
            [("Santiago", "Centro", "Chile", "South_America"), ("Santiago", "Centro", "Cuba", "North_America")],
            ["Santiago, Centro, Chile", "Santiago, Centro, Cuba"],
            "Santiago Centro Chile walking tour",
        ),
    ],
)
def test_a_city_is_told_by_as_many_levels_as_it_takes(
    tmp_path: Path, places: list[tuple[str, ...]], names: list[str], query: str
) -> None:
    found = read_cities(data_set(tmp_path / "data", *((place, 1) for place in places)), (), None).all
    assert [one.name for one in found] == names and queries(found[0])[0] == query


def test_a_name_stands_for_every_place_so_called_in_the_data_set_or_else_the_taxonomy(tmp_path: Path) -> None:
    store = data_set(tmp_path / "data", (ILLINOIS, 1), (("København", "Capital", "Denmark", "Europe"), 1))
    wanted = {one.place for one in read_cities(store, ("SPRINGFIELD", "kobenhavn", "Tokyo"), None).all if one.wanted}
    assert {(one.city, one.state) for one in wanted} == {
        ("Springfield", "Illinois"), ("København", "Capital"), ("Tokyo", "Tokyo"),
    }  # fmt: skip
    assert [one.name for one in read_cities(None, ("tokyo",), None).all] == ["Tokyo"]


def test_with_a_taxonomy_its_place_of_the_name_is_meant_too(tmp_path: Path) -> None:
    taxonomy = tmp_path / "mine.csv"
    taxonomy.write_text(
        "city_id,city,state_id,state,country_id,country,continent_id,continent\n"
        "0,Springfield,0,Missouri,0,USA,0,North_America\n"
    )
    store = data_set(tmp_path / "data", (ILLINOIS, 2), (TOKYO, 1))
    for names in ((), ("Springfield",)):
        found = {one.name: (one.n_clips, one.wanted) for one in read_cities(store, names, taxonomy).all}
        assert found == {
            "Springfield, Missouri": (0, True), "Springfield, Illinois": (2, True), "Tokyo": (1, not names),
        }  # fmt: skip
