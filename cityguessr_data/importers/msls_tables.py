"""Reads the tables of one city of Mapillary SLS: which image belongs to which sequence, when and where it was taken.

    <train_val|test>/<city>/<query|database>/seq_info.csv    key, sequence_key, frame_number
    <train_val>/<city>/<query|database>/raw.csv              key, lon, lat, ca, captured_at, pano
    <train_val|test>/<city>/<query|database>/images/<key>.jpg

The two tables in test lack raw.csv: its places are not published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .csv_rows import CsvFault, csv_rows
from .folders import subfolders
from .found import Fault

GROUPS = ("train_val", "test")
SIDES = ("database", "query")
_SEQ_INFO = (("key",), ("sequence_key", "sequence_id"), ("frame_number",))
_RAW = (("key",), ("lon",), ("lat",), ("captured_at",))
_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True)
class Sequence:
    """The images of one sequence on one side, in the order of their numbers."""

    key: str
    side: str
    images: tuple[tuple[int, str], ...]
    """(frame number, key of the image)."""


@dataclass
class CityTables:
    """One city as its tables tell it."""

    group: str
    folder: str
    """Its name in the tree."""
    sequences: dict[str, list[Sequence]] = field(default_factory=dict)
    """By key; one a side that has images of it, the database first."""
    faults: list[Fault] = field(default_factory=list)
    image_keys: dict[str, set[str]] = field(default_factory=dict)
    """By side."""


def read_city(source: Path, group: str, city: str) -> CityTables:
    """Read seq_info.csv of both sides; what is wrong with them goes to `faults`."""
    tables = CityTables(group, city)
    seen: dict[str, str] = {}
    for side in SIDES:
        at = Path(group) / city / side
        if not (source / at).is_dir():
            tables.faults.append(Fault(str(at), "the folder is missing"))
            continue
        for name in ("seq_info.csv", *(("raw.csv",) if group == "train_val" else ())):
            if not (source / at / name).is_file():
                tables.faults.append(Fault(str(at / name), "the table is missing"))
        if not (source / at / "images").is_dir():
            tables.faults.append(Fault(str(at / "images"), "the folder is missing"))
        if (source / at / "seq_info.csv").is_file():
            _read_side(source, at, side, tables, seen)
    return tables


def read_places(source: Path, tables: CityTables) -> dict[str, tuple[str, str, str]]:
    """Of every image that raw.csv tells of: (lat, lon, captured_at) as written. Empty for test.

    Raises:
        CsvFault: a table is malformed; `faults_of_places` says it before.
    """
    places: dict[str, tuple[str, str, str]] = {}
    if tables.group == "train_val":
        for side in SIDES:
            for _, (key, lon, lat, captured_at) in csv_rows(_raw(source, tables, side), _RAW):
                places[key] = (lat, lon, captured_at)
    return places


def unlisted(source: Path, tables: CityTables) -> list[str]:
    """Files of the image folders of a city that no seq_info.csv names, relative to the source and sorted by side."""
    found: list[str] = []
    for side, keys in tables.image_keys.items():
        at = Path(tables.group) / tables.folder / side / "images"
        if (source / at).is_dir():
            files = subfolders(source / at)[1]
            found += [str(at / name) for name in files if not (name.endswith(".jpg") and name[:-4] in keys)]
    return found


def faults_of_places(source: Path, tables: CityTables) -> Iterator[Fault]:
    """What is wrong with raw.csv of either side, where it is there."""
    for side in SIDES if tables.group == "train_val" else ():
        path = _raw(source, tables, side)
        if path.is_file():
            try:
                for _ in csv_rows(path, _RAW):
                    pass
            except CsvFault as exc:
                yield Fault(f"{path.relative_to(source)}:{exc.line}", exc.what)


def _raw(source: Path, tables: CityTables, side: str) -> Path:
    return source / tables.group / tables.folder / side / "raw.csv"


def _read_side(source: Path, at: Path, side: str, tables: CityTables, seen: dict[str, str]) -> None:
    """Add the sequences of one side; `seen` holds where each image of the city stood first."""
    by_sequence: dict[str, dict[int, str]] = {}
    faults = tables.faults
    keys = tables.image_keys.setdefault(side, set())
    table = at / "seq_info.csv"
    try:
        for line, (key, sequence, number) in csv_rows(source / table, _SEQ_INFO):
            where = f"{table}:{line}"
            if not _KEY.fullmatch(key) or not sequence:
                faults.append(Fault(where, f"expected the keys of an image and a sequence, got {key!r}, {sequence!r}"))
            elif not number.isdecimal():
                faults.append(Fault(where, f"expected a frame number, got {number!r}"))
            elif (first := seen.setdefault(key, where)) != where:
                faults.append(Fault(where, f"image {key} is there twice, also in {first}"))
            elif (other := by_sequence.setdefault(sequence, {}).setdefault(int(number), key)) != key:
                what = f"frame {number} of the sequence {sequence} is there twice, also as {other}"
                faults.append(Fault(where, what))
            else:
                keys.add(key)
    except CsvFault as exc:
        faults.append(Fault(f"{table}:{exc.line}", exc.what))
    for sequence, images in by_sequence.items():
        tables.sequences.setdefault(sequence, []).append(Sequence(sequence, side, tuple(sorted(images.items()))))
