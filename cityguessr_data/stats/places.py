"""Finds the state, country, continent and coordinates of a city that the data only names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.taxonomy import Taxonomy
from ..core.types import Level, Place

UPPER: tuple[Level, ...] = ("state", "country", "continent")
SHIPPED = ("cityguessr166", "msls30")


@dataclass(frozen=True)
class Names:
    """A city as a table names it; None where it does not say."""

    city: str
    state: str | None = None
    country: str | None = None
    continent: str | None = None
    lat: float | None = None
    lon: float | None = None

    def at(self, level: Level) -> str | None:
        """The name at a level."""
        name: str | None = getattr(self, level)
        return name


@dataclass(frozen=True)
class Gazetteer:
    """One taxonomy or several; the first that knows a city is asked."""

    taxonomies: tuple[Taxonomy, ...]

    @classmethod
    def load(cls, taxonomy: Path | None) -> Gazetteer:
        """That of a file, or those that ship with the project.

        Raises:
            InputError: the file is no taxonomy.
        """
        if taxonomy is not None:
            return cls((Taxonomy.load(taxonomy),))
        return cls(tuple(Taxonomy.named(name) for name in SHIPPED))

    @property
    def n_cities(self) -> int:
        """Cities of the first taxonomy, the one that coverage is counted against."""
        return len(self.taxonomies[0].cities)

    def completed(self, names: Names) -> Names:
        """`names` with the levels and coordinates that it leaves open, where a taxonomy knows the city.

        Names that are given stay as they are. A city of the same name elsewhere is not the taxonomy's: where a given
        state, country or continent differs, nothing is filled in.
        """
        place = self._place(names)
        if place is None:
            return names
        given = names.lat is not None
        return Names(
            city=names.city,
            state=names.state or place.state,
            country=names.country or place.country,
            continent=names.continent or place.continent,
            lat=names.lat if given else place.lat,
            lon=names.lon if given else place.lon,
        )

    def covered(self, cities: Sequence[Names]) -> int:
        """How many cities of the first taxonomy are among `cities`."""
        labels = {p.city_label for names in cities if (p := _place_in(self.taxonomies[0], names))}
        return len(labels)

    def why_not(self, names: Names) -> str:
        """Why a city's upper levels were not filled in: it is not known, or its row contradicts the taxonomy."""
        for taxonomy in self.taxonomies:
            label = taxonomy.label("city", names.city)
            if label is not None:
                place = taxonomy.cities[label]
                for level in UPPER:
                    given = names.at(level)
                    if given and taxonomy.label(level, given) != getattr(place, f"{level}_label"):
                        there = getattr(place, level)
                        return f"the taxonomy's {place.city} is in {there}, the table says {given}"
        nearest = self.taxonomies[0].nearest(names.city, 1)[0]
        return f"{names.city} is not in the taxonomy, where the nearest is {nearest}"

    def _place(self, names: Names) -> Place | None:
        return next((place for t in self.taxonomies if (place := _place_in(t, names))), None)


def _place_in(taxonomy: Taxonomy, names: Names) -> Place | None:
    label = taxonomy.label("city", names.city)
    if label is None:
        return None
    try:
        return taxonomy.resolve(names.city, names.state or "", names.country or "", names.continent or "")
    except InputError:
        return None
