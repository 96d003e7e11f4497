"""Surveys the released CityGuessr68k: `<split>/<City>/<clip_id>/<n>.jpg`, n from 1, not zero-padded.

A clip id is `<City>_<source>_<clip>` as in the published list, or `<City>_<number>` where the source is lost. Then the
clips of a city are one unit without a source video: a split by video or channel is refused for them, which is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..core.errors import InputError
from ..core.sources import safe_id
from ..core.taxonomy import Taxonomy
from ..core.types import Place
from ..core.words import n_of
from .folders import numbered_frames, subfolders
from .found import Fault, FoundClip, SourceError, Survey, Unit
from .lists import city_faults, clip_faults, find_lists, is_city_table, nearest, read_clip_list

KIND = "cityguessr68k"
_SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_WITH_SOURCE = re.compile(r"(.+)_([0-9]+)_([0-9]{1,9})", re.ASCII)
_WITHOUT_SOURCE = re.compile(r"(.+)_([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True)
class _Folder:
    """One clip folder, known by its name."""

    clip_id: str
    index: int
    unit_id: str
    video_id: str | None
    place: Place
    shown: str
    """Relative to the source folder."""
    part: str


def survey(source: Path, labels: Sequence[Path] = ()) -> Survey:
    """Look at every folder of the tree, and at no frame.

    Args:
        source: absolute; the folder that holds `train` and its like, or whose `videos` does.
        labels: lists of labels to compare with; those that lie in the source folder where none is given.
    Raises:
        InputError: it is not this data set.
        SourceError: unknown cities, ids that are none or that are there twice, labels that contradict the folders.
    """
    taxonomy = Taxonomy.named("cityguessr166")
    root = source if _splits(source) or not (source / "videos").is_dir() else source / "videos"
    splits = _splits(root)
    other = (root / "train_val").is_dir() or any(any(root.glob(f"test/*/{side}")) for side in ("database", "query"))
    if other:
        raise InputError(f"{source} is no CityGuessr68k", "It looks like Mapillary SLS: cgtool import msls")
    if not splits:
        raise InputError(
            f"{source} is no CityGuessr68k: it has none of the folders train, val, test",
            "Name the folder that holds them",
        )
    part_of_folder = {name: _SPLITS[name] for name in splits}
    notes: list[str] = []
    if "test" not in part_of_folder.values() and "val" in part_of_folder.values():
        part_of_folder = {name: "test" if part == "val" else part for name, part in part_of_folder.items()}
        notes.append("there is no folder test: what lies in val is the test part, as the paper has two parts")
    faults: list[Fault] = []
    left: list[Fault] = []
    folders: list[_Folder] = []
    for name in splits:
        found, stray = _folders(source, root / name, part_of_folder[name], taxonomy, faults, left)
        folders += found
        if stray:
            notes.append(f"{n_of(stray, 'file')} beside the folders of {name} passed over")
    faults += _twice(folders)
    place_of = {folder.clip_id: folder.place for folder in folders}
    faults += _labels(labels or find_lists(source), place_of, taxonomy, left, notes)
    if faults:
        raise SourceError(source, faults)
    if not folders:
        raise InputError(f"{source} is no CityGuessr68k: no clip folder lies in {', '.join(splits)}", "Check the path")
    if lost := sum(folder.video_id is None for folder in folders):
        notes.append(f"the source video of {n_of(lost, 'clip')} is unknown: only a split by clip is possible")
    return Survey(
        kind=KIND,
        source=source,
        settings={},
        part_of={folder.clip_id: folder.part for folder in folders},
        unit_ids=frozenset(folder.unit_id for folder in folders),
        n_clips=len(folders),
        units=lambda: _units(source, folders),
        left=tuple(left),
        notes=tuple(notes),
    )


def clip_number(clip_id: str) -> tuple[str, str | None, int] | None:
    """(city, source or None where it is lost, number of the clip) by a clip id; None for another text.

    `Abu_Dhabi_6_00084` -> ("Abu_Dhabi", "6", 84); `Abu_Dhabi_0000` -> ("Abu_Dhabi", None, 0).
    """
    if match := _WITH_SOURCE.fullmatch(clip_id):
        return match[1], match[2], int(match[3])
    if match := _WITHOUT_SOURCE.fullmatch(clip_id):
        return match[1], None, int(match[2])
    return None


def _splits(root: Path) -> list[str]:
    there = subfolders(root)[0]
    return [name for name in _SPLITS if name in there]


def _folders(
    source: Path, split: Path, part: str, taxonomy: Taxonomy, faults: list[Fault], left: list[Fault]
) -> tuple[list[_Folder], int]:
    """The clip folders of one split, and how many stray files lie beside them."""
    found: list[_Folder] = []
    cities, strays = subfolders(split)
    n_strays = len(strays)
    for city in cities:
        at = str((split / city).relative_to(source))
        label = taxonomy.label("city", city)
        if label is None:
            faults.append(Fault(at, f"unknown city {city!r}; {nearest(taxonomy, city)}"))
            continue
        clips, strays = subfolders(split / city)
        n_strays += len(strays)
        if not clips:
            left.append(Fault(at, "the city has no clip folder"))
        for clip_id in clips:
            parsed = clip_number(clip_id)
            if parsed is None or taxonomy.label("city", parsed[0]) != label:
                wanted = f"{city}_<source>_<clip> or {city}_<number>"
                faults.append(Fault(f"{at}/{clip_id}", f"expected a clip id {wanted}"))
                continue
            name, video, number = parsed
            video_id = None if video is None else safe_id(f"{name}_{video}")
            unit_id = video_id or safe_id(f"{taxonomy.names('city')[label]}_sources_unknown")
            place = taxonomy.cities[label]
            found.append(_Folder(clip_id, number, unit_id, video_id, place, f"{at}/{clip_id}", part))
    return found, n_strays


def _twice(folders: Sequence[_Folder]) -> list[Fault]:
    """Clips that are there twice: one id in two splits, or two spellings of one number of one source."""
    first: dict[tuple[str, int], _Folder] = {}
    faults = []
    for folder in folders:
        other = first.setdefault((folder.unit_id, folder.index), folder)
        if other is not folder:
            faults.append(Fault(folder.shown, f"the same clip is also {other.shown}"))
    return faults


def _labels(
    lists: Sequence[Path], place_of: dict[str, Place], taxonomy: Taxonomy, left: list[Fault], notes: list[str]
) -> list[Fault]:
    """Compare the folders with the lists; what contradicts them. What lacks goes to `left`, the rest to `notes`."""
    faults: list[Fault] = []
    named: set[str] = set()
    for path in lists:
        if is_city_table(path):
            wrong, n_unknown = city_faults(path, taxonomy)
            faults += wrong
            if n_unknown:
                notes.append(f"{path.name}: {n_of(n_unknown, 'name')} of countries or continents spelt in another way")
            continue
        listed = read_clip_list(path)
        faults += clip_faults(path, listed, place_of, taxonomy)
        named |= {clip.clip_id for clip in listed}
        absent = [clip for clip in listed if clip.clip_id not in place_of]
        left += [Fault(f"{path}:{clip.line}", f"clip {clip.clip_id} is listed and not there") for clip in absent]
    if named and (unlisted := place_of.keys() - named):
        notes.append(f"{n_of(len(unlisted), 'clip')} in no labels list, e.g. {min(unlisted)}")
    return faults


def _units(source: Path, folders: Sequence[_Folder]) -> Iterator[Unit]:
    by_unit = defaultdict(list)
    for folder in folders:
        by_unit[folder.unit_id].append(folder)
    for unit_id, of_unit in sorted(by_unit.items()):
        of_unit.sort(key=lambda folder: folder.index)
        places = [key for key, _ in groupby(sorted(str(Path(folder.shown).parent) for folder in of_unit))]
        ending = "" if of_unit[0].video_id is None else f"/{of_unit[0].clip_id.rpartition('_')[0]}_*"
        clips = tuple(_clip(source, folder) for folder in of_unit)
        url = " ".join(f"{source}/{place}{ending}" for place in places)
        yield Unit(unit_id, of_unit[0].video_id, url, clips)


def _clip(source: Path, folder: _Folder) -> FoundClip:
    path = source / folder.shown
    frames, faults, others = numbered_frames(path, folder.shown)
    return FoundClip(folder.clip_id, folder.index, folder.place, path, frames, faults, tuple(others))
