"""The classes of a run: the places of its data, numbered from 0 at each level, with their parents and coordinates.

A model's heads are as wide as this says, and every label in predictions.parquet means what this says. The taxonomy that
the data was built by has 166 cities; a data set of 12 of them has 12 classes, numbered here without gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.places import Gazetteer, Names

from .parquet import read_parquet

TAXONOMY_SCHEMA = pa.schema(
    [
        pa.field("level", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("parent", pa.int32()),
        pa.field("lat", pa.float64()),
        pa.field("lon", pa.float64()),
    ]
)
PlaceNames = tuple[str, ...]
"""A class by name: its own and those of the levels above it, the nearest first."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of all levels. Make one with `of_clips` or `read`; `digest` tells whether two are the same."""

    names: Mapping[Level, tuple[str, ...]]
    """By label. One name may stand twice at a level, under different parents."""
    parents: Mapping[Level, npt.NDArray[np.int32]]
    """Of cities, states and countries: (C,) label one level up of every label."""
    coordinates: npt.NDArray[np.float64]
    """(cities, 2) latitude and longitude of the centre in degrees, WGS 84; NaN where they are not known."""

    def __post_init__(self) -> None:
        """Check the whole.

        Raises:
            ValueError: what is wrong, in words for a person.
        """
        for level in LEVELS:
            if not self.names[level]:
                raise ValueError(f"there is no {level}")
            if any(not name.strip() for name in self.names[level]):
                raise ValueError(f"a {level} has no name")
        for level, upper in pairwise(LEVELS):
            _check_parents(level, upper, self.names[level], self.parents[level], len(self.names[upper]))
        if len(set(self.names["continent"])) < len(self.names["continent"]):
            raise ValueError("two continents have one name")
        if self.coordinates.shape != (self.sizes["city"], 2):
            raise ValueError(f"expected coordinates of {self.sizes['city']} cities, got {self.coordinates.shape}")
        known = ~np.isnan(self.coordinates)
        if (known[:, 0] != known[:, 1]).any() or (np.abs(self.coordinates[known[:, 0]]) > (90, 180)).any():
            raise ValueError("expected latitudes of -90 to 90 and longitudes of -180 to 180, both or neither of a city")

    @classmethod
    def of_clips(cls, clips: pa.Table, gazetteer: Gazetteer | None = None) -> Self:
        """The classes that a clips table holds.

        Two places of one name are two classes where the levels above them differ. A level is ordered by the taxonomy's
        labels where every clip has one, else by name.

        Args:
            clips: contract 4: clip_id, city, state, country, continent, and the four label columns if it has them.
            gazetteer: where coordinates come from; None: the taxonomies that ship with the project.
        Raises:
            InputError: no clips, a column missing, a clip without a name at a level, or one label for two places (a
                city in two states, say), or two for one.
        """
        found: dict[tuple[tuple[str, ...], tuple[int | None, ...]], str] = {}
        rows = zip(_rows(clips), zip(*(_column(clips, f"{level}_label") for level in LEVELS), strict=True), strict=True)
        for (clip_id, names), labels in rows:
            found.setdefault((names, labels), clip_id)
        if not found:
            raise InputError("there are no clips, so there are no classes", "Build the data set first")
        index: dict[Level, dict[PlaceNames, int]] = {}
        for depth in reversed(range(len(LEVELS))):  # from the top: a fault is told where it begins
            places = _places(depth, ((n[depth:], at[depth], clip) for (n, at), clip in found.items()))
            index[LEVELS[depth]] = {place: label for label, place in enumerate(places)}
        gazetteer = gazetteer or Gazetteer.load(None)
        completed = [gazetteer.completed(_names(place)) for place in index["city"]]
        return cls(
            names={level: tuple(place[0] for place in index[level]) for level in LEVELS},
            parents={
                level: np.array([index[upper][place[1:]] for place in index[level]], np.int32)
                for level, upper in pairwise(LEVELS)
            },
            coordinates=np.array([(c.lat, c.lon) for c in completed], np.float64),  # None becomes NaN
        )

    @cached_property
    def sizes(self) -> dict[Level, int]:
        """How many classes each level has."""
        return {level: len(self.names[level]) for level in LEVELS}

    @cached_property
    def digest(self) -> str:
        """16 hex digits of names, order and parents: what labels mean. Coordinates change no label and are left out."""
        return fingerprint([self.names, {level: parents.tolist() for level, parents in self.parents.items()}])

    @cached_property
    def paths(self) -> npt.NDArray[np.int32]:
        """(cities, 4) the labels of every city and of what it lies in, in the order of LEVELS."""
        columns = [np.arange(self.sizes["city"], dtype=np.int32)]
        for level in LEVELS[:-1]:
            columns.append(self.parents[level][columns[-1]])
        return np.stack(columns, axis=1)

    @cached_property
    def _city_of(self) -> dict[PlaceNames, int]:
        return {tuple(self._name(path)): label for label, path in enumerate(self.paths)}

    def labels(self, clips: pa.Table) -> npt.NDArray[np.int32]:
        """The labels of clips, by name.

        Args:
            clips: as for `of_clips`, N rows; its own label columns are not looked at.
        Returns:
            int32 (N, 4) in the order of LEVELS.
        Raises:
            InputError: a clip of a class that is not here, named; no clip is ever left out.
        """
        cities = np.empty(clips.num_rows, np.int64)
        for row, (clip_id, names) in enumerate(_rows(clips)):
            label = self._city_of.get(names)
            if label is None:
                raise self._unknown(clip_id, names)
            cities[row] = label
        return self.paths[cities]

    def write(self, path: Path) -> None:
        """Write taxonomy.parquet in one step.

        Raises:
            DiskFullError: no space left.
        """
        rows: list[dict[str, Any]] = []
        for level in LEVELS:
            for label, name in enumerate(self.names[level]):
                parent = int(self.parents[level][label]) if level in self.parents else None
                lat, lon = self.coordinates[label].tolist() if level == "city" else (None, None)
                known = lat is not None and lat == lat
                place = {"lat": lat, "lon": lon} if known else {"lat": None, "lon": None}
                rows.append({"level": level, "label": label, "name": name, "parent": parent, **place})
        write_table(path, pa.Table.from_pylist(rows, TAXONOMY_SCHEMA))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check taxonomy.parquet; its rows may stand in any order.

        Raises:
            InputError: no such file, another kind of file, or what is wrong with it.
        """
        hint = "Name the taxonomy.parquet of a run, or mend the file"
        table = read_parquet(path, TAXONOMY_SCHEMA, hint)
        by_level: dict[Level, dict[int, dict[str, Any]]] = {level: {} for level in LEVELS}
        for row in table.to_pylist():
            if row["level"] not in by_level:
                raise InputError(f"{path}: expected a level of {', '.join(LEVELS)}, got {row['level']!r}", hint)
            if row["label"] in by_level[row["level"]]:
                raise InputError(f"{path}: {row['level']} label {row['label']} stands there twice", hint)
            by_level[row["level"]][row["label"]] = row
        for level, rows in by_level.items():
            if gap := sorted(set(range(len(rows))) - set(rows)):
                raise InputError(f"{path}: {len(rows)} labels of level {level}, but none is {gap[0]}", hint)
            wrong = [row for row in rows.values() if (row["parent"] is None) != (level == LEVELS[-1])]
            if wrong:
                rule = "needs the label of its parent" if wrong[0]["parent"] is None else "can have no parent"
                raise InputError(f"{path}: {level} {wrong[0]['name']!r} {rule}", hint)
        ordered = {level: [rows[label] for label in range(len(rows))] for level, rows in by_level.items()}
        try:
            return cls(
                names={level: tuple(row["name"] for row in rows) for level, rows in ordered.items()},
                parents={level: np.array([row["parent"] for row in ordered[level]], np.int32) for level in LEVELS[:-1]},
                coordinates=np.array([(row["lat"], row["lon"]) for row in ordered["city"]], np.float64).reshape(-1, 2),
            )
        except ValueError as exc:
            raise InputError(f"{path}: {exc}", hint) from exc

    def _name(self, path: Iterable[int]) -> list[str]:
        return [self.names[level][label] for level, label in zip(LEVELS, path, strict=True)]

    def _unknown(self, clip_id: str, names: PlaceNames) -> InputError:
        where = f"{names[0]} ({', '.join(names[1:])})"
        elsewhere = [place[1:] for place in self._city_of if place[0] == names[0]]
        known = f"; the {names[0]} known here lies in {', '.join(elsewhere[0])}" if elsewhere else ""
        return InputError(
            f"clip {clip_id}: {where} is none of the {self.sizes['city']} cities of this taxonomy{known}",
            "Use the data that the run was trained on, or train on this data",
        )


def _check_parents(level: Level, upper: Level, names: tuple[str, ...], parents: npt.NDArray[np.int32], n: int) -> None:
    if parents.shape != (len(names),) or not np.issubdtype(parents.dtype, np.integer):
        raise ValueError(f"expected {len(names)} parents of level {level}, got {parents.dtype} {parents.shape}")
    if parents.min() < 0 or parents.max() >= n:
        name = names[int(np.argmax((parents < 0) | (parents >= n)))]
        raise ValueError(f"{level} {name!r} has a parent that is none of the labels 0 to {n - 1} of level {upper}")
    if childless := sorted(set(range(n)) - set(parents.tolist())):
        raise ValueError(f"{upper} label {childless[0]} has no {level}")
    seen: set[tuple[str, int]] = set()
    for pair in zip(names, parents.tolist(), strict=True):
        if pair in seen:
            raise ValueError(f"{level} {pair[0]!r} stands there twice under one {upper}")
        seen.add(pair)


def _names(place: PlaceNames) -> Names:
    city, state, country, continent = place
    return Names(city, state, country, continent)


def _column(clips: pa.Table, name: str) -> list[Any]:
    """A column as a list; all None where the table has none of this name."""
    return clips[name].to_pylist() if name in clips.column_names else [None] * clips.num_rows


def _rows(clips: pa.Table) -> Iterable[tuple[str, PlaceNames]]:
    """(clip id, names at the four levels) of every clip; InputError where one is missing."""
    if missing := [name for name in ("clip_id", *LEVELS) if name not in clips.column_names]:
        raise InputError(f"the clips table has no column {', '.join(missing)}", "Name the clips table of a build")
    ids = clips["clip_id"].to_pylist()
    for clip_id, names in zip(ids, zip(*(clips[level].to_pylist() for level in LEVELS), strict=True), strict=True):
        for level, name in zip(LEVELS, names, strict=True):
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"clip {clip_id} has no {level}", f"Fill the column {level} of the clips table")
        yield clip_id, names


def _places(depth: int, rows: Iterable[tuple[PlaceNames, int | None, str]]) -> list[PlaceNames]:
    """The places of a level in the order of their labels by the taxonomy; by name where a clip has none.

    Args:
        rows: (place, label, clip id).
    Raises:
        InputError: a label of two places, a place of two labels.
    """
    level, hint = LEVELS[depth], "Mend the clips table, or build the data set by one taxonomy"
    places: set[PlaceNames] = set()
    complete = True
    of_place: dict[PlaceNames, tuple[int, str]] = {}
    of_label: dict[int, tuple[PlaceNames, str]] = {}
    for place, label, clip in rows:
        places.add(place)
        if label is None:
            complete = False
            continue
        other, first = of_place.setdefault(place, (label, clip))
        if other != label:
            raise InputError(f"{level} {place[0]} has label {other} by clip {first}, {label} by clip {clip}", hint)
        twin, first = of_label.setdefault(label, (place, clip))
        if twin != place:
            at = next(i for i, (a, b) in enumerate(zip(twin, place, strict=True)) if a != b)
            what = f"{level} {place[0]} lies in the {LEVELS[depth + at]}" if at else f"{level} label {label} is"
            raise InputError(f"{what} {twin[at]} by clip {first}, {place[at]} by clip {clip}", hint)
    return sorted(places, key=lambda place: of_place[place][0]) if complete else sorted(places)
