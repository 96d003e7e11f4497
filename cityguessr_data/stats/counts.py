"""Clips by city and by level, from a clips table or a table of counts.

A class of a level is its name together with the names above it: London in Ontario is not London in England. Where a
table leaves the upper levels open they come from the taxonomy.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import TableError
from ..core.tables import Fault, TextTable, number
from ..core.taxonomy_checks import spelling_key
from ..core.types import LEVELS, Level
from .places import Gazetteer, Names
from .results import ClassCount

_MAX_COUNT = 2**53  # float64 counts no further


@dataclass(frozen=True)
class City:
    """One city with its clips."""

    names: Names
    n_clips: int
    videos: frozenset[str] | None = None
    """Ids of its source videos; None where the data does not name them."""


def cities_of_clips(clips: pa.Table, gazetteer: Gazetteer) -> tuple[tuple[City, ...], list[str]]:
    """Count the clips and source videos of every city.

    Args:
        clips: a row a clip, with `city` and whichever of state, country, continent and video_id it has.
    Returns:
        The cities, and what a reader must know of them.
    """
    keys = [level for level in LEVELS if level in clips.column_names]
    sources = "video_id" in clips.column_names and clips["video_id"].null_count == 0
    wanted: list[tuple[str | list[str], str]] = [("city", "count")]
    if sources:
        wanted.append(("video_id", "distinct"))
    n_clips: Counter[Names] = Counter()
    videos: dict[Names, set[str]] = defaultdict(set)
    for row in clips.group_by(keys).aggregate(wanted).to_pylist():
        # Completed, two groups may be one city: in one of them a level was null
        names = gazetteer.completed(Names(row["city"], *(row.get(level) or None for level in LEVELS[1:])))
        n_clips[names] += row["city_count"]
        videos[names].update(row["video_id_distinct"] if sources else ())
    cities = [City(names, n, frozenset(videos[names]) if sources else None) for names, n in n_clips.items()]
    notes = [
        f"{a} and {b} look like one city; they are counted as two"
        for a, b in _alike([c.names for c in cities], gazetteer)
    ]
    return tuple(cities), notes


def cities_of_counts(table: TextTable, gazetteer: Gazetteer, path: str) -> tuple[tuple[City, ...], list[str]]:
    """Read `city,count` rows.

    Raises:
        TableError: a count that is no whole number of 0 or more, a city without a name or named twice, all counts 0;
            every fault with its line.
    """
    faults: list[Fault] = list(table.faults)
    cities: list[City] = []
    lines: list[int] = []
    for line, row in table.rows:
        city, *above = (row.get(level, "") for level in LEVELS)
        if not spelling_key(city):
            faults.append((line, "the city has no name"))
            continue
        count = _count(row["count"], line, faults)
        lat, lon = _coordinates(row, line, faults)
        state, country, continent = (name or None for name in above)
        cities.append(City(gazetteer.completed(Names(city, state, country, continent, lat, lon)), count))
        lines.append(line)
    first: dict[tuple[str, ...], int] = {}
    for line, counted in zip(lines, cities, strict=True):
        known = first.setdefault(_key(counted.names, gazetteer), line)
        if known != line:
            faults.append((line, f"city {counted.names.city!r} stands in line {known} too"))
    if not faults and not any(counted.n_clips for counted in cities):
        faults.append((table.rows[0][0], "every count is 0: there is nothing to measure"))
    if faults:
        raise TableError(path, sorted(faults))
    empty = sum(not counted.n_clips for counted in cities)
    notes = [f"{empty} of {len(cities)} cities have a count of 0; they count as classes"] if empty else []
    return tuple(cities), notes


def classes(cities: Sequence[City], level: Level) -> tuple[ClassCount, ...]:
    """The classes of a level, most clips first, then by name.

    Raises:
        ValueError: a city has no name at this level, or at one above it.
    """
    above = LEVELS[LEVELS.index(level) :]
    groups: dict[tuple[str, ...], list[City]] = defaultdict(list)
    for city in cities:
        path = tuple(name for name in (city.names.at(upper) for upper in above) if name)
        if city.names.at(level) is None:
            raise ValueError(f"{city.names.city} has no {level}")
        groups[path].append(city)
    counted = [
        ClassCount(
            name=path[0],
            parents=path[1:],
            n_clips=sum(city.n_clips for city in members),
            n_videos=_n_videos(members),
            lat=members[0].names.lat if level == "city" else None,
            lon=members[0].names.lon if level == "city" else None,
        )
        for path, members in groups.items()
    ]
    return tuple(sorted(counted, key=lambda c: (-c.n_clips, c.name, c.parents)))


def without(cities: Sequence[City], level: Level) -> list[Names]:
    """Cities that have no name at a level, by name."""
    return sorted((c.names for c in cities if c.names.at(level) is None), key=lambda names: names.city)


def count_column(clips: pa.Table, column: str) -> dict[str, int]:
    """Rows by the values of a column, most first, then by value; nulls are not counted."""
    pairs = [(row["values"], row["counts"]) for row in pc.value_counts(clips[column].drop_null()).to_pylist()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _n_videos(cities: Sequence[City]) -> int | None:
    """Source videos of several cities; one that serves two of them is one."""
    known = [city.videos for city in cities if city.videos is not None]
    return len(frozenset().union(*known)) if len(known) == len(cities) else None


def _count(text: str, line: int, faults: list[Fault]) -> int:
    try:
        value = number(text, 0, math.inf)
    except ValueError as exc:
        faults.append((line, f"count: {exc}" + (" (leave out thousands separators)" if "," in text else "")))
        return 0
    # 1.000 may be meant as a thousand; only a whole number that Parquet keeps as 3.0 may have decimals
    if not re.fullmatch(r"\d+(\.0)?", text) or value > _MAX_COUNT:
        faults.append((line, f"count: expected a whole number without separators, up to 2**53, got {text}"))
    return int(value)


def _coordinates(row: dict[str, str], line: int, faults: list[Fault]) -> tuple[float | None, float | None]:
    texts = row.get("lat", ""), row.get("lon", "")
    if not any(texts):
        return None, None
    if not all(texts):
        faults.append((line, "lat and lon are given both or neither"))
        return None, None
    try:
        return number(texts[0], -90, 90), number(texts[1], -180, 180)
    except ValueError as exc:
        faults.append((line, f"lat, lon: {exc}"))
        return None, None


def _key(names: Names, gazetteer: Gazetteer) -> tuple[str, ...]:
    """What two spellings of one city share: the taxonomy's name where it knows it, and the levels above."""
    labels = ((t, t.label("city", names.city)) for t in gazetteer.taxonomies)
    city = next((t.names("city")[label] for t, label in labels if label is not None), names.city)
    return (spelling_key(city), *(spelling_key(names.at(level) or "") for level in LEVELS[1:]))


def _alike(cities: Sequence[Names], gazetteer: Gazetteer) -> list[tuple[str, str]]:
    first: dict[tuple[str, ...], str] = {}
    pairs = []
    for names in cities:
        other = first.setdefault(_key(names, gazetteer), names.city)
        if other != names.city:
            pairs.append((other, names.city))
    return sorted(pairs)
