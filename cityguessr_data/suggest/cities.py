"""Which cities are searched for: those named, else those of a data set, with the clips that each has by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.taxonomy import Taxonomy
from ..core.taxonomy_checks import spelling_key
from ..core.types import LEVELS, Place
from ..run.store import Store, read_part

Key = tuple[str, ...]
"""Spelling keys of a place at the four levels: there are many a Springfield."""


@dataclass(frozen=True)
class City:
    """A city and what the data set has of it."""

    place: Place
    n_clips: int
    wanted: bool
    """False: it is only counted."""
    told_by: tuple[str, ...] = ()
    """Names of the levels above, where another city has its name; as far up as these two need."""

    @property
    def name(self) -> str:
        """For people, such as `Springfield, Illinois`."""
        return ", ".join((self.place.city, *self.told_by))


@dataclass(frozen=True)
class Cities:
    """Those to be searched for and all others of the data set, fewest clips first."""

    all: tuple[City, ...]
    clips_per_video: float
    """Mean over the videos that gave a clip; 1 where there is no data set."""


def read_cities(store: Store | None, names: Sequence[str], taxonomy: Path | None) -> Cities:
    """The cities, with the clips of each.

    Args:
        store: a data set, or None.
        names: of cities, each for every place so called; none: all of the data set and, where it is named, of the
            taxonomy.
        taxonomy: a file; None: cityguessr166, for the names alone.
    Raises:
        InputError: neither cities nor a data set, a city that nobody knows, a data set without a clip.
        TableError: faults of the taxonomy.
    """
    if store is None and not names:
        raise InputError("no city is named", "Name some with --city, or a data set to fill up with --data OUT")
    known = Taxonomy.load(taxonomy) if taxonomy else Taxonomy.named("cityguessr166")
    places, clips, videos = _of_data_set(store) if store is not None else ({}, Counter[Key](), set[str]())
    if store is not None and not clips and not names:
        raise InputError(f"{store.out} holds no clip yet", "Name the cities to begin with by --city")
    wanted: set[Key] = set()
    named = {_key(place): place for place in known.cities} if taxonomy is not None else {}
    for name in names:
        found = _of_name(name, {**named, **places})
        if not found:
            place = _place(known, name)
            found = _of_name(place.city, places) or {_key(place): place}
        wanted |= found.keys()
        places = found | places
    if not names:
        places = named | places
    told_by = _told_by(places)
    cities = [City(place, clips[key], not names or key in wanted, told_by[key]) for key, place in places.items()]
    cities.sort(key=lambda city: (city.n_clips, city.name))
    return Cities(tuple(cities), clips.total() / len(videos) if videos else 1.0)


def _key(place: Place) -> Key:
    return tuple(spelling_key(getattr(place, level)) for level in LEVELS)


def _of_name(city: str, places: Mapping[Key, Place]) -> dict[Key, Place]:
    """Every place of that name."""
    return {key: place for key, place in places.items() if key[0] == spelling_key(city)}


def _told_by(places: Mapping[Key, Place]) -> dict[Key, tuple[str, ...]]:
    """Of each place, the names above its city that tell it from all others of its name; empty where it is the only."""
    of_name: dict[str, list[Key]] = {}
    for key in places:
        of_name.setdefault(key[0], []).append(key)
    told: dict[Key, tuple[str, ...]] = {}
    for key, place in places.items():
        n = 1  # levels, from the city up
        while sum(other[:n] == key[:n] for other in of_name[key[0]]) > 1:
            n += 1
        told[key] = tuple(getattr(place, level) for level in LEVELS[1:n])
    return told


def _place(known: Taxonomy, name: str) -> Place:
    try:
        return known.place(name)
    except InputError as exc:
        raise InputError(exc.message, "Mend the name, or give --taxonomy a file that has the city") from exc


def _of_data_set(store: Store) -> tuple[dict[Key, Place], Counter[Key], set[str]]:
    """Places and clips by key, and the videos that gave them."""
    if store.dataset() is None:
        raise InputError(f"{store.out} is not an output directory (it has no dataset.json)", "Name one with --data")
    places: dict[Key, Place] = {}
    clips: Counter[Key] = Counter()
    videos: set[str] = set()
    for part in store.parts("clips"):
        for row in read_part(part, ["video_id", *LEVELS]).to_pylist():
            place = Place(*(row[level] for level in LEVELS))
            key = _key(place)
            places.setdefault(key, place)
            clips[key] += 1
            videos.add(row["video_id"] or part.stem)
    return places, clips, videos
