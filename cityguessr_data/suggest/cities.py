"""Which cities are searched for: those named, else those of a data set, with the clips that each has by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.taxonomy import Taxonomy
from ..core.taxonomy_checks import spelling_key
from ..core.types import LEVELS, Place
from ..run.store import Store, read_part


@dataclass(frozen=True)
class City:
    """A city and what the data set has of it."""

    place: Place
    n_clips: int
    wanted: bool
    """False: it is only counted."""


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
        names: of cities; none: all of the data set and, where it is named, of the taxonomy.
        taxonomy: a file; None: cityguessr166, for the names alone.
    Raises:
        InputError: neither cities nor a data set, a city that nobody knows, a data set without a clip.
        TableError: faults of the taxonomy.
    """
    if store is None and not names:
        raise InputError("no city is named", "Name some with --city, or a data set to fill up with --data OUT")
    known = Taxonomy.load(taxonomy) if taxonomy else Taxonomy.named("cityguessr166")
    places, clips, videos = _of_data_set(store) if store is not None else ({}, Counter[str](), set[str]())
    if store is not None and not clips and not names:
        raise InputError(f"{store.out} holds no clip yet", "Name the cities to begin with by --city")
    wanted = {spelling_key(name): name for name in names}
    for key, name in list(wanted.items()):
        if key not in places:
            del wanted[key]
            place = _place(known, name)
            wanted[spelling_key(place.city)] = name
            places.setdefault(spelling_key(place.city), place)
    if taxonomy is not None and not names:
        places = {spelling_key(place.city): place for place in known.cities} | places
    cities = [City(place, clips[key], not names or key in wanted) for key, place in places.items()]
    cities.sort(key=lambda city: (city.n_clips, city.place.city))
    return Cities(tuple(cities), clips.total() / len(videos) if videos else 1.0)


def _place(known: Taxonomy, name: str) -> Place:
    try:
        return known.place(name)
    except InputError as exc:
        raise InputError(exc.message, "Mend the name, or give --taxonomy a file that has the city") from exc


def _of_data_set(store: Store) -> tuple[dict[str, Place], Counter[str], set[str]]:
    """Places and clips by the spelling key of their city, and the videos that gave them."""
    if store.dataset() is None:
        raise InputError(f"{store.out} is not an output directory (it has no dataset.json)", "Name one with --data")
    places: dict[str, Place] = {}
    clips: Counter[str] = Counter()
    videos: set[str] = set()
    for part in store.parts("clips"):
        for row in read_part(part, ["video_id", *LEVELS]).to_pylist():
            key = spelling_key(row["city"])
            places.setdefault(key, Place(*(row[level] for level in LEVELS)))
            clips[key] += 1
            videos.add(row["video_id"] or part.stem)
    return places, clips, videos
