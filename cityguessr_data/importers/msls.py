"""Surveys Mapillary SLS as downloaded: every sequence is a source video, its images of one side are a clip.

A sequence that has images in both query and database is one source with two clips, so that no split by video divides
it. The paper's 21 cities are those that CityGuessr68k has too; of them it takes sequences of 15 images and over.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import InputError
from ..core.sources import safe_id
from ..core.taxonomy import Taxonomy
from ..core.types import Place
from ..core.words import n_of
from .folders import is_hidden, subfolders
from .found import Fault, FoundClip, FoundFrame, SourceError, Survey, Unit
from .lists import nearest
from .msls_tables import GROUPS, SIDES, CityTables, faults_of_places, read_city, read_places, unlisted
from .msls_tables import Sequence as ImageSequence

KIND = "msls"
Subset = Literal["full", "paper21"]
PAPER_MIN_FRAMES = 15


@dataclass(frozen=True)
class _City:
    group: str
    folder: str
    place: Place


def survey(source: Path, subset: Subset = "full", min_frames: int | None = None) -> Survey:
    """Read every seq_info.csv and the names of the images, and look at no image.

    Args:
        source: absolute; the folder that holds `train_val` and `test`.
        subset: `full`: all cities and sequences, with the labels of msls30. `paper21`: the cities of the paper, with
            the labels of cityguessr166, and sequences of 15 images and over.
        min_frames: shorter sequences are passed over; None: 1, and 15 for `paper21`.
    Raises:
        InputError: it is not this data set, or `min_frames` is not 1 or more.
        SourceError: unknown cities, tables that are missing or malformed, an image or a sequence that is there twice.
    """
    if not any(any((source / group).glob(f"*/{side}")) for group in GROUPS for side in SIDES):
        like = any((source / name).is_dir() for name in ("train", "val"))
        raise InputError(
            f"{source} is no Mapillary SLS: it has no city with query or database in train_val or test",
            "It looks like CityGuessr68k: cgtool import cityguessr68k" if like else "Name the folder that holds them",
        )
    least = min_frames if min_frames is not None else 1 if subset == "full" else PAPER_MIN_FRAMES
    if least < 1:
        raise InputError(f"sequences of {least} images and over are not possible", "Choose --min-frames 1 or more")
    faults: list[Fault] = []
    cities, passed = _cities(source, subset, faults)
    city_of: dict[str, str] = {}
    unit_ids: set[str] = set()
    strays: list[str] = []
    counts: Counter[str] = Counter()
    for city in cities:
        tables = read_city(source, city.group, city.folder)
        faults += [*tables.faults, *faults_of_places(source, tables)]
        strays += unlisted(source, tables)
        at = f"{city.group}/{city.folder}"
        for key, sides in tables.sequences.items():
            if (other := city_of.setdefault(key, at)) != at:
                faults.append(Fault(at, f"the sequence {key} is there twice, also in {other}"))
            taken = _taken(sides, least)
            counts.update(short=len(sides) - len(taken), clips=len(taken), both=len(taken) > 1)
            if taken:
                unit_ids.add(_unit_id(city.folder, key))
    if faults:
        raise SourceError(source, faults)
    if not counts["clips"]:
        raise InputError(f"{source} is no Mapillary SLS: its tables name no sequence", "Check the path")
    return Survey(
        kind=KIND,
        source=source,
        settings={"subset": subset, "min_frames": str(least)},
        part_of={},
        unit_ids=frozenset(unit_ids),
        n_clips=counts["clips"],
        units=lambda: _units(source, cities, least),
        notes=tuple(_notes(counts, passed, strays, cities, subset, least)),
    )


def _cities(source: Path, subset: Subset, faults: list[Fault]) -> tuple[list[_City], list[str]]:
    """The cities to read, and the names of those that the subset leaves out."""
    msls, ours = Taxonomy.named("msls30"), Taxonomy.named("cityguessr166")
    cities: list[_City] = []
    passed: list[str] = []
    for group in GROUPS:
        for folder in subfolders(source / group)[0] if (source / group).is_dir() else ():
            label = msls.label("city", folder)
            if label is None:
                faults.append(Fault(f"{group}/{folder}", f"unknown city {folder!r}; {nearest(msls, folder)}"))
                continue
            place = msls.cities[label]
            if subset == "full":
                cities.append(_City(group, folder, place))
            elif ours.label("city", place.city) is None:
                passed.append(folder)
            else:
                cities.append(_City(group, folder, ours.place(place.city)))
    return cities, passed


def _taken(sides: Sequence[ImageSequence], least: int) -> list[tuple[int, ImageSequence]]:
    """The sides of a sequence that are clips, with their index, which does not depend on `least`."""
    return [(index, side) for index, side in enumerate(sides) if len(side.images) >= least]


def _unit_id(folder: str, key: str) -> str:
    return safe_id(f"{folder}_{key}")


def _notes(
    counts: Counter[str], passed: list[str], strays: list[str], cities: list[_City], subset: Subset, least: int
) -> Iterator[str]:
    if passed:
        cities_passed = n_of(len(passed), "city", "cities")
        yield f"{cities_passed} of other places than the paper's passed over: {', '.join(passed)}"
    if counts["short"]:
        yield f"{n_of(counts['short'], 'sequence')} of fewer than {least} images passed over"
    if strays:
        yield f"{n_of(len(strays), 'file')} that no seq_info.csv names passed over, e.g. {strays[0]}"
    if counts["both"]:
        yield f"{n_of(counts['both'], 'sequence')} with images in query and database: two clips of one source each"
    names = {city.place.city for city in cities}
    known = {place.city for place in Taxonomy.named("msls30").cities}
    if subset == "paper21":
        known = {name for name in known if Taxonomy.named("cityguessr166").label("city", name) is not None}
    if absent := sorted(known - names):
        yield f"not in the folder, of its {len(known)} cities: {', '.join(absent)}"


def _units(source: Path, cities: Sequence[_City], least: int) -> Iterator[Unit]:
    """Sequence by sequence; the tables of one city are held at a time."""
    for city in cities:
        tables = read_city(source, city.group, city.folder)
        places = read_places(source, tables)
        sizes = {side: _sizes(source / city.group / city.folder / side / "images") for side in tables.image_keys}
        for key, sides in sorted(tables.sequences.items()):
            taken = _taken(sides, least)
            if taken:
                unit_id = _unit_id(city.folder, key)
                clips = tuple(_clip(source, city, unit_id, index, side, sizes[side.side]) for index, side in taken)
                yield Unit(unit_id, unit_id, str(clips[0].folder), clips, _extra(tables, places, key, taken))


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file of an image folder, by name."""
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if not is_hidden(entry.name)}


def _clip(
    source: Path, city: _City, unit_id: str, index: int, sequence: ImageSequence, sizes: Mapping[str, int]
) -> FoundClip:
    at = Path(city.group) / city.folder / sequence.side / "images"
    frames, faults = [], []
    for number, key in sequence.images:
        name = f"{key}.jpg"
        if name in sizes:
            frames.append(FoundFrame(source / at / name, sizes[name], number))
        else:
            what = f"is missing; the sequence {sequence.key} has it as frame {number}"
            faults.append(Fault(str(at / name), what))
    return FoundClip(f"{unit_id}_{index:05d}", index, city.place, source / at, tuple(frames), tuple(faults))


def _extra(
    tables: CityTables,
    places: Mapping[str, tuple[str, str, str]],
    key: str,
    taken: Sequence[tuple[int, ImageSequence]],
) -> dict[str, str]:
    """Further columns of the videos table: what tells the sequence in Mapillary's words, when and where it was taken.

    `lat` and `lon` are means over its images, 6 decimals; `captured_at` that of its first image.
    """
    known = [places[image] for _, side in taken for _, image in side.images if image in places]
    at = [(float(lat), float(lon)) for lat, lon, _ in known if _is_degrees(lat, 90) and _is_degrees(lon, 180)]
    lat, lon = (f"{math.fsum(axis) / len(at):.6f}" for axis in zip(*at, strict=True)) if at else ("", "")
    return {
        "msls_sequence": key,
        "msls_group": tables.group,
        "msls_side": " | ".join(side.side for _, side in taken),
        "captured_at": known[0][2] if known else "",
        "lat": lat,
        "lon": lon,
    }


def _is_degrees(text: str, limit: float) -> bool:
    try:
        return abs(float(text)) <= limit
    except ValueError:
        return False
