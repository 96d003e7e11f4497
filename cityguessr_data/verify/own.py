"""What cgtool itself could have made under OUT, by its exact name; nothing else is ever deleted, nor through a link."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from ..core.sources import safe_id

_FRAME = re.compile(r"\d{3,}\.jpg")
_MEMBER = re.compile(r"(.+)\.(\d{3,}\.jpg)")
_PARTIAL = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.partial")
_PROBE = re.compile(r"probe\.[0-9a-f]{8}")


def is_own_frame(told: str, unit: str, clips: Collection[str]) -> bool:
    """Whether a path relative to OUT is that of a frame of this unit in a folder.

    Args:
        clips: ids that its tables know, beside those that a build gives.
    """
    parts = PurePosixPath(told).parts
    return (
        len(parts) == 4
        and parts[:2] == ("clips", unit)
        and _is_own_clip(parts[2], unit, clips)
        and _FRAME.fullmatch(parts[3]) is not None
    )


def are_own_members(names: Iterable[str], unit: str, clips: Collection[str]) -> bool:
    """Whether all that is in a tar has the names of frames of this unit."""
    keys = {safe_id(clip_id) for clip_id in clips}
    for name in names:
        found = _MEMBER.fullmatch(name)
        if found is None:
            return False
        is_built = found[1] == safe_id(f"{unit}_{found[1][-5:]}") and found[1][-5:].isdecimal()
        if not is_built and found[1] not in keys:
            return False
    return True


def is_own_partial(name: str) -> bool:
    """Whether a file has the name of one that was half written (core/atomic.py)."""
    return _PARTIAL.fullmatch(name) is not None


def is_own_probe(name: str) -> bool:
    """Whether a file has the name of a look whether OUT can be written (run/store.py)."""
    return _PROBE.fullmatch(name) is not None


def is_linked(out: Path, told: str) -> bool:
    """Whether a path relative to OUT is a link, leads through one, or leads upwards."""
    path = out
    for name in PurePosixPath(told).parts:
        path = path / name
        if name == ".." or path.is_symlink():
            return True
    return False


def rows_of_folder(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, by name; none where it is not there."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_own_clip(name: str, unit: str, clips: Collection[str]) -> bool:
    return name in clips or (name.startswith(f"{unit}_") and re.fullmatch(r"\d{5}", name[len(unit) + 1 :]) is not None)
