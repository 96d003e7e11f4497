"""The taxonomy: which city lies in which state, country and continent, with the ids that labels are made of.

A taxonomy is a CSV file (manifests/taxonomies/README.md states its rules). It is checked whole when it is loaded, so
that everything after may trust it: ids count from 0 without a gap, and every place has one parent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from .errors import InputError, TableError
from .manifests import manifest_path
from .tables import Fault, TextTable, read_table
from .taxonomy_checks import check_city, check_index, check_labels, check_parents, spelling_key
from .types import LEVELS, Level, Place

_REQUIRED = tuple(column for level in LEVELS for column in (f"{level}_id", level))


@dataclass(frozen=True)
class Taxonomy:
    """Places at four levels. Make one with `load` or `named`."""

    name: str
    """The file's name without its ending."""
    cities: tuple[Place, ...]
    """By city label; every label of a Place here is set."""
    level_names: Mapping[Level, tuple[str, ...]]
    """Names by label."""
    parents: Mapping[Level, tuple[int, ...]]
    """By label of the level, the label one level up; continents have none."""
    index: Mapping[Level, Mapping[str, int]]
    """Spelling key of every name and alias -> label."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and check a taxonomy CSV.

        Raises:
            InputError: there is no such file.
            TableError: every fault with its line.
        """
        path = Path(path)
        table = read_table(path, _REQUIRED, ("lat", "lon", "aliases"))
        return cls._checked(path, table)

    @classmethod
    def named(cls, name: str) -> Self:
        """One that ships with the project: `cityguessr166` or `msls30`."""
        return cls.load(manifest_path(f"taxonomies/{name}.csv"))

    @classmethod
    def _checked(cls, path: Path, table: TextTable) -> Self:
        faults: list[Fault] = list(table.faults)
        labels = {level: check_labels(level, table, faults) for level in LEVELS}
        if faults:  # names and parents are looked up by label: without sound ids nothing more can be said
            raise TableError(str(path), sorted(faults))
        index = {level: check_index(level, labels[level], table, faults) for level in LEVELS}
        parents = {lo: check_parents(lo, hi, table, faults) for lo, hi in pairwise(LEVELS)}
        cities = sorted(
            (check_city(line, row, faults) for line, row in table.rows), key=lambda place: place.city_label or 0
        )
        if faults:
            raise TableError(str(path), sorted(faults))
        names = {level: tuple(name for _, (name, _) in sorted(labels[level].items())) for level in LEVELS}
        return cls(path.stem, tuple(cities), names, parents, index)

    def names(self, level: Level) -> tuple[str, ...]:
        """Names of a level, ordered by label."""
        return self.level_names[level]

    def counts(self) -> dict[Level, int]:
        """How many places each level has."""
        return {level: len(self.level_names[level]) for level in LEVELS}

    def parent(self, level: Level, label: int) -> int:
        """The label one level up of `label` at `level` (city, state or country).

        Raises:
            ValueError: continents have no parent, or there is no such label.
        """
        if level not in self.parents:
            raise ValueError(f"expected city, state or country, got {level!r}")
        if not 0 <= label < len(self.parents[level]):
            raise ValueError(f"expected a {level} label of 0 to {len(self.parents[level]) - 1}, got {label}")
        return self.parents[level][label]

    def label(self, level: Level, name: str) -> int | None:
        """The label of a name or alias, in any tolerated spelling; None where it is not known."""
        return self.index[level].get(spelling_key(name))

    def nearest(self, name: str, n: int = 3) -> list[str]:
        """The `n` cities whose name or alias is spelt most like `name`, the most alike first."""
        keys = difflib.get_close_matches(spelling_key(name), self.index["city"], n=len(self.index["city"]), cutoff=0.0)
        return [self.names("city")[i] for i in dict.fromkeys(self.index["city"][key] for key in keys)][:n]

    def place(self, city: str) -> Place:
        """The place of a known city, by name or alias.

        Raises:
            InputError: it is not known; the message names the nearest that are.
        """
        label = self.label("city", city)
        if label is None:
            raise InputError(
                f"unknown city {city!r}; the nearest known are {', '.join(self.nearest(city))}",
                "Mend the name, or give its state, country and continent",
            )
        return self.cities[label]

    def resolve(self, city: str, state: str = "", country: str = "", continent: str = "") -> Place:
        """The place of a table row. Empty text means that the row does not say.

        A known city takes names, labels and coordinates of the taxonomy. A city outside it is taken if state, country
        and continent are given; those that the taxonomy knows get its spelling and label.

        Raises:
            InputError: a city neither known nor described, or levels that contradict the taxonomy.
        """
        given: dict[Level, str] = {"state": state, "country": country, "continent": continent}
        if self.label("city", city) is None and all(map(spelling_key, (city, *given.values()))):
            place = self._outside(city, state, country, continent)
        else:
            place = self.place(city)
            for level, name in given.items():
                if name and self.label(level, name) != getattr(place, f"{level}_label"):
                    raise InputError(
                        f"{level} {name!r} contradicts the taxonomy, where {place.city} is in {getattr(place, level)}",
                        f"Mend or empty the cell; if another {city} is meant, give the city a name of its own",
                    )
        return place

    def _outside(self, city: str, state: str, country: str, continent: str) -> Place:
        """A city that the taxonomy does not hold, with the labels of the levels above it that it does."""
        continent_label = self.label("continent", continent)
        country_label = self.label("country", country)
        if country_label is not None and self.parent("country", country_label) != continent_label:
            known = self.names("continent")[self.parent("country", country_label)]
            raise InputError(
                f"continent {continent!r} contradicts the taxonomy, where {country} is in {known}", "Mend the cell"
            )
        # States of different countries may share a name: only one of this country is the taxonomy's.
        state_label = self.label("state", state)
        if state_label is not None and (country_label is None or self.parent("state", state_label) != country_label):
            state_label = None
        return Place(
            city=_tidy(city),
            state=_tidy(state) if state_label is None else self.names("state")[state_label],
            country=_tidy(country) if country_label is None else self.names("country")[country_label],
            continent=_tidy(continent) if continent_label is None else self.names("continent")[continent_label],
            state_label=state_label,
            country_label=country_label,
            continent_label=continent_label,
        )


def _tidy(name: str) -> str:
    """A name in the taxonomy's style: one underscore for inner space."""
    return re.sub(r"\s+", "_", name.strip())
