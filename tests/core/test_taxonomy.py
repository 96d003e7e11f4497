"""A taxonomy: names in any spelling, places of table rows, and the checks of its file, fault by fault."""

from __future__ import annotations

import pickle
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.taxonomy_checks import spelling_key
from cityguessr_data.core.types import LEVELS


@pytest.fixture(scope="module")
def world() -> Taxonomy:
    return Taxonomy.named("cityguessr166")


# --- names ---


@pytest.mark.parametrize(
    ("alias", "city"),
    [
        ("Bangalore", "Banglore"),
        ("Bengaluru", "Banglore"),
        ("Malmö", "Malm"),
        ("malmo", "Malm"),
        ("TALLINN", "Talinn"),
        ("Genoa", "Genova"),
        ("Mecca", "Makkah"),
        ("Oklahoma City", "Oklahoma"),
        ("kuwait-city", "Kuwait"),
        ("cph", "Copenhagen"),
        ("København", "Copenhagen"),
        ("buenosaires", "Buenos_Aires"),
        ("Saigon", "Ho_Chi_Minh_City"),
        ("Bombay", "Mumbai"),
        ("Nur-Sultan", "Astana"),
        ("Washington, D.C.", "Washington_DC"),
        ("washington", "Washington_DC"),
        ("Rio", "Rio_de_Janeiro"),
        ("Bogotá", "Bogota"),
        ("Brasília", "Brasilia"),
        ("Cancún", "Cancun"),
        ("MÁLAGA", "Malaga"),
        ("Yaoundé", "Yaounde"),
        ("Montréal", "Montreal"),
        ("new  delhi", "Delhi"),
        ("Bandar Seri Begawan", "Bandar_Seri_Bagawan"),
        ("Bogota\u0301", "Bogota"),  # the accent as a mark of its own
    ],
)
def test_aliases(world: Taxonomy, alias: str, city: str) -> None:
    assert world.place(alias).city == city


@pytest.mark.parametrize(
    ("alias", "country"),
    [("Guatemala", "Gautemala"), ("USA", "United_States"), ("U.S.A.", "United_States"), ("Türkiye", "Turkey")],
)
def test_country_aliases(world: Taxonomy, alias: str, country: str) -> None:
    label = world.label("country", alias)
    assert label is not None
    assert world.names("country")[label] == country


def test_every_spelling_of_every_name_is_found(world: Taxonomy) -> None:
    for level in LEVELS:
        for label, name in enumerate(world.names(level)):
            for spelling in (name, name.replace("_", " ").upper(), name.replace("_", "-"), name.replace("_", "")):
                assert world.label(level, spelling) == label


@given(st.text(max_size=30))
def test_a_key_of_a_key_is_itself(name: str) -> None:
    assert spelling_key(spelling_key(name)) == spelling_key(name)


@given(st.from_regex(r"[A-Za-z]{1,8}([ ._-][A-Za-z]{1,8}){0,3}", fullmatch=True))
def test_case_and_separators_do_not_matter(name: str) -> None:
    assert spelling_key(name) == re.sub(r"[ ._-]", "", name.lower())


def test_unknown_city_names_the_nearest(world: Taxonomy) -> None:
    assert world.nearest("Londn")[0] == "London"
    assert world.nearest("Bengalore")[0] == "Banglore"
    assert len(world.nearest("Xyzzy", 5)) == len(set(world.nearest("Xyzzy", 5))) == 5
    with pytest.raises(
        InputError, match=r"unknown city 'Barselona'; the nearest known are Barcelona, .*state, country"
    ):
        world.place("Barselona")


def test_parents_lead_to_the_row_s_own_levels(world: Taxonomy) -> None:
    for place in world.cities:
        for lower, upper in pairwise(LEVELS):
            label = getattr(place, f"{lower}_label")
            assert world.names(lower)[label] == getattr(place, lower)
            assert world.parent(lower, label) == getattr(place, f"{upper}_label")
    with pytest.raises(ValueError, match="expected city, state or country"):
        world.parent("continent", 0)
    for label in (-1, 166):
        with pytest.raises(ValueError, match="0 to 165"):
            world.parent("city", label)


def test_a_taxonomy_crosses_to_a_worker(world: Taxonomy) -> None:
    assert pickle.loads(pickle.dumps(world)) == world


# --- rows ---


def test_known_city_takes_the_taxonomy_s_names(world: Taxonomy) -> None:
    place = world.resolve("bangalore", "karnataka", "INDIA", "asia")
    assert (place.city, place.state, place.city_label, place.state_label) == ("Banglore", "Karnataka", 18, 18)
    assert world.resolve("Guatemala City", country="Guatemala").country == "Gautemala"
    assert world.resolve("Austin", "TX", "usa", "North America").state == "Texas"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"country": "Turkey"}, "country 'Turkey' contradicts the taxonomy, where London is in England"),
        ({"country": "United Kingdom"}, "where London is in England"),
        ({"state": "Ontario", "country": "Canada", "continent": "North_America"}, "state 'Ontario' contradicts"),
        ({"continent": "Asia"}, "where London is in Europe"),
    ],
)
def test_contradictions_are_faults(world: Taxonomy, levels: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        world.resolve("London", **levels)


def test_city_outside_is_taken_with_the_labels_that_are_known(world: Taxonomy) -> None:
    place = world.resolve("Fort Worth", "texas", "USA", "North America")
    assert (place.city, place.state, place.country, place.continent) == (
        "Fort_Worth",
        "Texas",
        "United_States",
        "North_America",
    )
    assert (place.city_label, place.state_label, place.country_label, place.continent_label) == (None, 13, 9, 4)
    assert (place.lat, place.lon) == (None, None)
    new = world.resolve("Oslo", "Oslo", "Norway", "Europe")
    assert (new.city_label, new.state_label, new.country_label, new.continent_label) == (None, None, None, 3)


def test_a_state_is_known_only_within_its_country(world: Taxonomy) -> None:
    place = world.resolve("Somewhere", "Victoria", "Canada", "North America")
    assert (place.state, place.state_label, place.country_label) == ("Victoria", None, 32)


@pytest.mark.parametrize("missing", ["state", "country", "continent"])
def test_city_outside_needs_all_levels(world: Taxonomy, missing: str) -> None:
    levels = {"state": "Oslo", "country": "Norway", "continent": "Europe"} | {missing: ""}
    with pytest.raises(InputError, match="unknown city 'Oslo'"):
        world.resolve("Oslo", **levels)


def test_city_outside_in_a_wrong_continent(world: Taxonomy) -> None:
    with pytest.raises(InputError, match="where Turkey is in Asia"):
        world.resolve("Izmir", "Izmir", "Turkey", "Europe")


# --- faults of the file ---

HEADER = "city_id,city,state_id,state,country_id,country,continent_id,continent,lat,lon,aliases\n"
PARIS = "0,Paris,0,Ile,0,France,0,Europe,48.8,2.3,Lutetia\n"
LYON = "1,Lyon,1,Rhone,0,France,0,Europe,45.7,4.8,Lyons;country=Gaul\n"


def faults_of(tmp_path: Path, text: str | bytes) -> tuple[tuple[int, str], ...]:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError) as caught:
        Taxonomy.load(path)
    return caught.value.faults


def test_a_small_one_loads(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("\ufeff" + HEADER + LYON + "\n" + PARIS, encoding="utf-8")
    taxonomy = Taxonomy.load(path)
    assert taxonomy.name == "mine"
    assert taxonomy.names("city") == ("Paris", "Lyon")
    assert taxonomy.names("state") == ("Ile", "Rhone")
    assert taxonomy.label("country", "gaul") == 0
    assert taxonomy.place("lutetia").lat == 48.8


def test_coordinates_and_aliases_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("city_id,city,state_id,state,country_id,country,continent_id,continent\n0,A,0,B,0,C,0,D\n")
    assert Taxonomy.load(path).cities[0].lat is None


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        (PARIS + LYON.replace("1,Lyon", "2,Lyon"), 3, "city_id 2 (Lyon): 2 ids must be 0 to 1 without a gap"),
        (PARIS + LYON.replace("1,Rhone", "5,Rhone"), 3, "state_id 5 (Rhone): 2 ids must be 0 to 1 without a gap"),
        (PARIS + LYON.replace("1,Lyon", "0,Lyon"), 3, "city_id 0 is Lyon here and Paris on line 2"),
        (PARIS + LYON.replace("1,Lyon", "x,Lyon"), 3, "city_id: expected a whole number from 0, got 'x'"),
        (PARIS + LYON.replace("1,Lyon", "-1,Lyon"), 3, "city_id: expected a whole number from 0, got '-1'"),
        (PARIS + LYON.replace("France", "Gallia"), 3, "country_id 0 is Gallia here and France on line 2"),
        (PARIS + LYON.replace("1,Lyon", "1,paris"), 3, "city 'paris' means both Paris and paris"),
        (PARIS + LYON.replace("Rhone", "I.L.E."), 3, "state 'I.L.E.' means both Ile and I.L.E."),
        (PARIS + LYON.replace("1,Lyon", "1,--"), 3, "city '--' is no name"),
        (PARIS + LYON.replace("Lyons", "Lutetia"), 3, "city 'Lutetia' means both Paris and Lyon"),
        (PARIS + LYON.replace("Lyons", "PARIS"), 3, "city 'PARIS' means both Paris and Lyon"),
        (PARIS + LYON.replace("Lyons", "state=Ile"), 3, "state 'Ile' means both Ile and Rhone"),
        (PARIS + LYON.replace("Lyons", "town=X"), 3, "alias 'town=X': expected a name"),
        (PARIS + LYON.replace("Lyons", "state="), 3, "alias 'state=': expected a name"),
        (PARIS + LYON.replace("45.7", "95.7"), 3, "lat: expected -90 to 90, got 95.7"),
        (PARIS + LYON.replace("4.8", "nan"), 3, "lon: expected a number, got 'nan'"),
        (PARIS + LYON.replace("4.8", ""), 3, "lat and lon: give both or neither"),
        (PARIS + "1,Lyon,1,Rhone\n", 3, "expected 11 cells, got 4"),
        (
            PARIS + LYON + "2,Nice,1,Rhone,1,Italy,0,Europe,,,\n",
            4,
            "state Rhone is in Italy here and in France on line 3",
        ),
        (PARIS + LYON.replace("0,Europe", "1,Asia"), 3, "country France is in Asia here and in Europe on line 2"),
        ("", 1, "the table has no rows"),
    ],
)
def test_each_fault_with_its_line(tmp_path: Path, rows: str, line: int, message: str) -> None:
    ((found_line, found),) = faults_of(tmp_path, HEADER + rows)
    assert (found_line, found[: len(message)]) == (line, message)


def test_all_faults_at_once(tmp_path: Path) -> None:
    rows = PARIS.replace("48.8", "148") + LYON.replace("45.7", "x").replace("Lyons", "Paris")
    assert [line for line, _ in faults_of(tmp_path, HEADER + rows)] == [2, 3, 3]


def test_missing_columns(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "city_id,city,state_id,state,country_id,country\n0,A,0,B,0,C\n")
    assert [message.split(";")[0] for _, message in faults] == [
        "column 'continent_id' is missing",
        "column 'continent' is missing",
    ]


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no table"):
        Taxonomy.load(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="cannot read"):
        Taxonomy.load(tmp_path)
    assert faults_of(tmp_path, b"") == ((1, "the file is empty"),)
    assert faults_of(tmp_path, HEADER.encode() + b"0,M\xfcnchen,0") == (
        (2, "the text is not UTF-8: save the table as CSV, UTF-8"),
    )
