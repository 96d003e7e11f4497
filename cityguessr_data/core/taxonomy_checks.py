"""The checks a taxonomy table must pass, and how spellings of one name are told to be the same.

Each check adds what is wrong to `faults` with its line, and returns its part of the taxonomy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from .tables import Fault, TextTable, number
from .types import LEVELS, Level, Place

# Letters that Unicode does not take apart into a plain letter and a mark.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def spelling_key(name: str) -> str:
    """What all spellings of a name share: its letters and digits, without case and accents ("São Paulo", sao-paulo)."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold().translate(_LETTERS))
    return "".join(c for c in letters if c.isalnum())


def check_labels(level: Level, table: TextTable, faults: list[Fault]) -> dict[int, tuple[str, int]]:
    """Label -> (name, line where it first stands); checks that ids and names agree and that no id is left out."""
    found: dict[int, tuple[str, int]] = {}
    for line, row in table.rows:
        name, text = row[level], row[f"{level}_id"]
        if not spelling_key(name):
            faults.append((line, f"{level} {name!r} is no name"))
        elif not re.fullmatch(r"[0-9]{1,9}", text):
            faults.append((line, f"{level}_id: expected a whole number from 0, got {text!r}"))
        elif int(text) not in found:
            found[int(text)] = (name, line)
        elif level == "city" or found[int(text)][0] != name:
            other, first = found[int(text)]
            faults.append((line, f"{level}_id {text} is {name} here and {other} on line {first}"))
    for label, (name, line) in found.items():
        if label >= len(found):
            faults.append(
                (line, f"{level}_id {label} ({name}): {len(found)} ids must be 0 to {len(found) - 1} without a gap")
            )
    return found


def check_index(
    level: Level, labels: Mapping[int, tuple[str, int]], table: TextTable, faults: list[Fault]
) -> dict[str, int]:
    """Spelling key -> label; checks that no name or alias means two places."""
    index: dict[str, int] = {}

    def add(line: int, name: str, label: int) -> None:
        other = index.setdefault(spelling_key(name), label)
        if other != label:
            faults.append((line, f"{level} {name!r} means both {labels[other][0]} and {labels[label][0]}"))

    for label, (name, line) in labels.items():
        add(line, name, label)
    for line, row in table.rows:
        for alias in filter(None, (text.strip() for text in row.get("aliases", "").split(";"))):
            prefix, _, name = alias.rpartition("=")
            prefix = prefix.strip() or "city"
            if prefix not in LEVELS or not spelling_key(name):
                if level == "city":  # said once, not for every level
                    faults.append(
                        (line, f"alias {alias!r}: expected a name, or level=name with one of {', '.join(LEVELS)}")
                    )
            elif prefix == level:
                add(line, name.strip(), int(row[f"{level}_id"]))
    return index


def check_parents(level: Level, above: Level, table: TextTable, faults: list[Fault]) -> tuple[int, ...]:
    """Label one level up, by label; checks that each place has one."""
    parents: dict[int, tuple[int, str, int]] = {}
    for line, row in table.rows:
        label, up = int(row[f"{level}_id"]), int(row[f"{above}_id"])
        other, name, first = parents.setdefault(label, (up, row[above], line))
        if other != up:
            faults.append((line, f"{level} {row[level]} is in {row[above]} here and in {name} on line {first}"))
    return tuple(parents[label][0] for label in sorted(parents))


def check_city(line: int, row: Mapping[str, str], faults: list[Fault]) -> Place:
    lat, lon = coordinates(line, row, faults)
    city, state, country, continent = (int(row[f"{level}_id"]) for level in LEVELS)
    return Place(row["city"], row["state"], row["country"], row["continent"], lat, lon, city, state, country, continent)


def coordinates(line: int, row: Mapping[str, str], faults: list[Fault]) -> tuple[float | None, float | None]:
    """Latitude and longitude of a row in degrees, both or neither; what is wrong is added to `faults`."""
    values: list[float] = []
    for column, limit in (("lat", 90.0), ("lon", 180.0)):
        if row.get(column):
            try:
                values.append(number(row[column], -limit, limit))
            except ValueError as exc:
                faults.append((line, f"{column}: {exc}"))
    if bool(row.get("lat")) != bool(row.get("lon")):
        faults.append((line, "lat and lon: give both or neither"))
    return (values[0], values[1]) if len(values) == 2 else (None, None)
