"""Text lists that travel with CityGuessr68k: the labels of its cities, the labels of its clips, the test clips.

The released code reads lines of `path,city,state,country,continent,...` where the four are label ids, and what follows
(a text embedding, scene scores in an order that is not published) is not used here. A line may be the id alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.taxonomy import Taxonomy
from ..core.types import LEVELS, Level, Place
from .found import Fault

_HEADS = ("clip_id", "clip", "video_id", "video", "id", "path", "file", "file_path", "name")
_CHECKED: dict[Level, int] = {"country": 2, "continent": 3}
"""Levels whose names are the published ones (those of states are the taxonomy's own), and their usual column."""


@dataclass(frozen=True)
class ListedClip:
    """One line of a list of clips."""

    line: int
    clip_id: str
    labels: tuple[str, ...]
    """Up to four, as written: label ids by level, or the name of the city; empty: the list only names clips."""


def find_lists(source: Path) -> tuple[Path, ...]:
    """The lists that were unpacked beside the frames: in the source folder or in its `meta`."""
    patterns = ("labels_list.csv", "*_labels*.txt")
    found = {path for folder in (source, source / "meta") for pattern in patterns for path in folder.glob(pattern)}
    return tuple(sorted(path for path in found if path.is_file() and not path.name.startswith(".")))


def is_city_table(path: Path) -> bool:
    """Whether a list tells the labels of cities (`city,state,country,continent` under a head), and not those of clips.

    Raises:
        InputError: it cannot be read.
    """
    with _reading(path) as lines:
        return next(lines, (0, ""))[1].partition(",")[0].strip().lower().startswith("city")


def read_clip_list(path: Path) -> list[ListedClip]:
    """Every line of a list of clips; a path counts by its last folder, and a head is passed over.

    Raises:
        InputError: it cannot be read, names no clip, or one twice.
    """
    listed: list[ListedClip] = []
    with _reading(path) as lines:
        for line, text in lines:
            cells = text.split(",", len(LEVELS) + 1)
            clip_id = cells[0].strip().strip('"').rstrip("/\\").replace("\\", "/").rpartition("/")[2]
            if clip_id and not (not listed and clip_id.lower() in _HEADS):
                labels = tuple(cell.strip() for cell in cells[1 : len(LEVELS) + 1])
                listed.append(ListedClip(line, clip_id, labels))
    if not listed:
        raise InputError(f"{path} names no clip", "Name a list with a clip a line")
    first: dict[str, int] = {}
    for clip in listed:
        if first.setdefault(clip.clip_id, clip.line) != clip.line:
            raise InputError(
                f"{path}: clip {clip.clip_id} stands on the lines {first[clip.clip_id]} and {clip.line}",
                "Name a list that has each clip once",
            )
    return listed


def clip_faults(path: Path, listed: list[ListedClip], place_of: dict[str, Place], taxonomy: Taxonomy) -> list[Fault]:
    """Lines whose labels contradict the folder that the clip lies in; clips without a folder are passed over."""
    faults = []
    for clip in listed:
        place = place_of.get(clip.clip_id)
        if place is None or not clip.labels:
            continue
        if not clip.labels[0].isdecimal():
            if taxonomy.label("city", clip.labels[0]) != place.city_label:
                what = f"clip {clip.clip_id} is of {clip.labels[0]!r} here, and lies in the folder of {place.city}"
                faults.append(Fault(f"{path}:{clip.line}", what))
            continue
        for level, text in zip(LEVELS, clip.labels, strict=False):
            if text != str(label := getattr(place, f"{level}_label")):
                what = f"clip {clip.clip_id} has the {level} label {text} here, and {label} by its folder, {place.city}"
                faults.append(Fault(f"{path}:{clip.line}", what))
                break
    return faults


def city_faults(path: Path, taxonomy: Taxonomy) -> tuple[list[Fault], int]:
    """Lines of a table of cities that contradict the taxonomy, and how many names of it the taxonomy does not know.

    Raises:
        InputError: it cannot be read.
    """
    faults: list[Fault] = []
    n_unknown = 0
    with _reading(path) as lines:
        head = [cell.strip().lower() for cell in next(lines)[1].split(",")]
        at = {level: _column(head, level, place) for level, place in _CHECKED.items()}
        for line, text in lines:
            cells = [cell.strip() for cell in text.split(",")]
            if not any(cells):
                continue
            city = taxonomy.label("city", cells[0])
            if city is None:
                faults.append(Fault(f"{path}:{line}", f"unknown city {cells[0]!r}; {nearest(taxonomy, cells[0])}"))
                continue
            for level, column in at.items():
                name = cells[column] if column < len(cells) else ""
                label = taxonomy.label(level, name) if name else None
                n_unknown += bool(name) and label is None
                if label is not None and label != getattr(taxonomy.cities[city], f"{level}_label"):
                    known = getattr(taxonomy.cities[city], level)
                    faults.append(Fault(f"{path}:{line}", f"{cells[0]} is in {name} here, and in {known} by its label"))
    return faults, n_unknown


def _column(head: list[str], level: str, otherwise: int) -> int:
    """Where a level stands: by the head, else where the released list has it."""
    return next((i for i, cell in enumerate(head) if cell.startswith(level)), otherwise)


def nearest(taxonomy: Taxonomy, name: str) -> str:
    """The known cities that are spelt most like `name`, as a part of a sentence."""
    return f"the nearest known are {', '.join(taxonomy.nearest(name))}"


@contextmanager
def _reading(path: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """Lines of a text with their numbers; what cannot be read is an InputError."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield ((line, text.rstrip("\r\n")) for line, text in enumerate(file, 1))
    except OSError as exc:
        raise InputError(f"cannot read the list {path}: {exc.strerror}", "Check the path") from exc
    except UnicodeDecodeError:
        raise InputError(f"the list {path} is not UTF-8 text", "Name a text file") from None
