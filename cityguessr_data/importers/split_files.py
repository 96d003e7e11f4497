"""Writes the splits that an imported data set brings: by its folders, by the published list, and that of the paper.

`released`: the folders train and test (and val) of CityGuessr68k. `published`: the clips of a test list are test, all
others train. `by-clip`: of the paper's 21 MSLS cities, 80:20, as `cgtool split OUT --by clip` makes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.fingerprint import file_sha256
from ..core.words import n_of
from ..splits.config import SplitConfig
from ..splits.make import split
from ..splits.write import read_split_file, settings_of, split_path, write_split_file
from .found import Fault
from .lists import read_clip_list

_RULE = "cgtool.split_rule"


@dataclass(frozen=True)
class PublishedTest:
    """The published test list, read and compared with the clips of the tree."""

    path: Path
    clip_ids: frozenset[str]
    """Those that are in the tree."""
    unknown: tuple[Fault, ...]
    """Lines that name a clip which is not."""


def read_published(path: Path, known: Mapping[str, str]) -> PublishedTest:
    """Read a test list.

    Args:
        known: clips of the tree.
    Raises:
        InputError: it cannot be read, or names no clip of the tree.
    """
    listed = read_clip_list(path)
    unknown = [
        Fault(f"{path}:{clip.line}", f"test clip {clip.clip_id} is not there")
        for clip in listed
        if clip.clip_id not in known
    ]
    if len(unknown) == len(listed):
        raise InputError(
            f"{path}: none of its {len(listed)} clips is in the source folder: it names them like "
            f"{listed[0].clip_id}, the folder like {min(known, default='nothing')}",
            "Leave out --test-list, or name the list of this release",
        )
    return PublishedTest(path, frozenset(clip.clip_id for clip in listed if clip.clip_id in known), tuple(unknown))


def write_released(out: Path, clip_ids: list[str], part_of: Mapping[str, str]) -> Mapping[str, int]:
    """The split of the source's folders, of the clips that are committed; their number by part."""
    parts = {clip_id: part_of[clip_id] for clip_id in clip_ids if clip_id in part_of}
    return _write(out, "released", parts, {_RULE: "released"})


def write_published(out: Path, clip_ids: list[str], test: PublishedTest) -> Mapping[str, int]:
    """The published split, of the clips that are committed; their number by part."""
    parts = {clip_id: "test" if clip_id in test.clip_ids else "train" for clip_id in clip_ids}
    settings = {_RULE: "published", "cgtool.split_list": test.path.name}
    settings["cgtool.split_list_sha256"] = file_sha256(test.path)
    return _write(out, "published", parts, settings)


def outdated_published(out: Path, clip_ids: list[str]) -> str | None:
    """What to say of a published split that an earlier run wrote and that does not know all clips of now."""
    earlier = read_split_file(split_path(out, "published"))
    if earlier is None or earlier.settings.get(_RULE) != "published":
        return None
    n_new = len(set(clip_ids) - set(earlier.part_of))
    return f"the split published lacks {n_of(n_new, 'clip')}: give --test-list again" if n_new else None


def make_by_clip(out: Path) -> tuple[Mapping[str, int], str]:
    """The 80:20 split by clip; clips that had a part keep it. Its parts, and why there is none where there is none."""
    config = SplitConfig(by="clip", replace=True)
    earlier = read_split_file(split_path(out, config.base_name))
    if earlier is not None and earlier.settings != settings_of(config):
        return {}, f"the split {config.base_name} was made with other settings and is left as it is"
    try:
        made = split(out, config).splits[0]
    except InputError as exc:
        return {}, f"no split was made: {exc.message}"
    return {part: size.n_clips for part, size in made.parts.items()}, ""


def _write(out: Path, name: str, parts: Mapping[str, str], settings: Mapping[str, str]) -> Mapping[str, int]:
    """Write a split, unless it is there already; clips by part."""
    path = split_path(out, name)
    earlier = read_split_file(path)
    if earlier is None or earlier.part_of != parts or earlier.settings != settings:
        write_split_file(path, parts, settings)
    return dict(sorted(Counter(parts.values()).items(), reverse=True))
