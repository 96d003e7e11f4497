"""Looks into folders of any size: names sorted, what is hidden set aside, and nothing followed by text order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.errors import InputError
from .found import Fault, FoundFrame

_FRAME = re.compile(r"0*([0-9]+)\.jpe?g", re.ASCII | re.IGNORECASE)
_LINK_DEPTH = 3  # <split>/<city>/<clip>, train_val/<city>/<side>: one deeper lie the frames, which are millions
_SYSTEM = ("Thumbs.db", "desktop.ini", "__MACOSX")


def source_folder(source: Path, out: Path) -> Path:
    """The source as an absolute path.

    Raises:
        InputError: there is no such folder, its name is no text, or it and `out` lie in each other, also by a link
            that stands in the source folder for a split, a city, a side or a clip.
    """
    folder = Path(os.path.abspath(source))  # noqa: PTH100 - a link stays a link: it is the name that the user knows
    if not folder.is_dir():
        raise InputError(f"there is no folder {source}", "Name the folder that the data set was unpacked in")
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise InputError(f"the path {folder!r} is not UTF-8", "Rename the folder: tables hold text") from None
    real, target = folder.resolve(), out.resolve()
    if real == target or real in target.parents or target in real.parents:
        raise InputError(f"{out} and {source} lie in each other", "Choose an --out outside of the source folder")
    for link in _links(folder, _LINK_DEPTH):
        real = link.resolve()
        if real == target or real in target.parents or target in real.parents:
            raise InputError(f"{out} and {link}, a link to {real}, lie in each other", "Choose another --out")
    return folder


def _links(folder: Path, depth: int) -> Iterator[Path]:
    """Links to folders in `folder`, and down to `depth` below it; what cannot be listed is the survey's to tell."""
    try:
        with os.scandir(folder) as entries:
            folders = [(Path(entry.path), entry.is_symlink()) for entry in entries if entry.is_dir()]
    except OSError:
        return
    for path, is_link in folders:
        if is_link:
            yield path
        if depth > 1:
            yield from _links(path, depth - 1)


def is_hidden(name: str) -> bool:
    """Whether a file belongs to an operating system and not to a data set."""
    return name.startswith(".") or name in _SYSTEM


def subfolders(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders in `folder`, and of its files; both sorted, without hidden ones.

    A link to nothing counts as a folder: it may stand for one that is not there now, and listing it then says so.

    Raises:
        InputError: it cannot be listed.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name):
                    is_folder = entry.is_dir() or (entry.is_symlink() and not Path(entry.path).exists())
                    (folders if is_folder else files).append(entry.name)
    except OSError as exc:
        raise InputError(f"cannot list {folder}: {exc.strerror}", "Check who may read it") from exc
    return sorted(folders), sorted(files)


def numbered_frames(folder: Path, shown: str) -> tuple[tuple[FoundFrame, ...], tuple[Fault, ...], list[str]]:
    """The frames of a clip folder `1.jpg .. n.jpg` in the order of their numbers, which is not that of their names.

    Args:
        shown: the folder as faults name it.
    Returns:
        the frames; why they are no whole clip (empty, a gap, a number twice); names of other files.
    """
    by_number: dict[int, tuple[str, int]] = {}
    faults: list[Fault] = []
    others: list[str] = []
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _size_bytes(entry)) for entry in entries if not is_hidden(entry.name))
    except OSError as exc:
        return (), (Fault(shown, f"cannot be listed: {exc.strerror}"),), []
    for name, size in found:
        match = _FRAME.fullmatch(name)
        if match is None:
            others.append(name)
        elif (number := int(match[1])) in by_number:
            faults.append(Fault(f"{shown}/{name}", f"frame {number} is there twice, also as {by_number[number][0]}"))
        else:
            by_number[number] = (name, size)
    if not by_number:
        faults.append(Fault(shown, "the clip folder has no frame"))
    elif gaps := missing_numbers(sorted(by_number)):
        faults.append(Fault(shown, f"frames are missing: {gaps}"))
    frames = (FoundFrame(folder / name, size) for _, (name, size) in sorted(by_number.items()))
    return tuple(frames), tuple(faults), others


def _size_bytes(entry: os.DirEntry[str]) -> int:
    """Of the file; -1 for a link to nothing, which is told when the frame is read."""
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return -1


def missing_numbers(numbers: Sequence[int]) -> str:
    """What lacks between 1 and the highest of `numbers`, which are sorted, as in `2, 5 to 7`; empty: nothing."""
    gaps: list[str] = []
    before = 0
    for number in numbers:
        if number > before + 1:
            gaps.append(f"{before + 1}" if number == before + 2 else f"{before + 1} to {number - 1}")
        before = number
    return ", ".join(gaps)
