"""Parts that are of another video than their name says: a second copy that may go, or a unit that lost its own part."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from ..core.schemas import UNIT_TABLES
from ..run.store import Store, read_part
from .findings import Fault
from .unit import UnitTables, read_checked, read_unit


def other_video(store: Store, name: str, unit: UnitTables | None) -> str | None:
    """The video that the clips part of a unit is of, where that is not the unit: of a build, where a unit is its video.

    None too where it has no clips, or cannot be read.
    """
    clips = unit.tables["clips"] if unit else read_checked(store.part("clips", name), "clips")[0]
    videos = set[str | None]() if clips is None else set(clips["video_id"].to_pylist())
    of = videos.pop() if len(videos) == 1 else None
    return of if of != name else None


def tell_other(store: Store, name: str, of: str, asked: Collection[str]) -> Fault:
    """What is wrong with such a unit, and what mends it.

    Args:
        asked: units that can be done again.
    """
    where = f"parts/clips/{name}.parquet"
    if name not in asked and _is_copy(store, name, of):
        return Fault("rows", where, f"is a second copy of the parts of {of}", "delete", name)
    hint = "" if name in asked else "Restore it from a copy, or delete this unit's parts and run the build command"
    return Fault("rows", where, f"is of the video {of}", "redo" if name in asked else "person", name, hint)


def _is_copy(store: Store, name: str, of: str) -> bool:
    """Whether all that is there under a name says the same as the parts of another unit, which is whole."""
    other, faults = read_unit(store, of)
    frames = (store.out / "clips" / name, store.tar(name), store.part("decisions", name), store.originals(name))
    if other is None or faults or any(path.exists() or path.is_symlink() for path in frames):
        return False
    return all(_is_same(store, table, name, of) for table in (*UNIT_TABLES, "attempts"))


def _is_same(store: Store, table: str, name: str, of: str) -> bool:
    path = store.part(table, name)
    if path.is_symlink():
        return False
    try:
        return not path.exists() or bool(read_part(path).equals(read_part(store.part(table, of))))
    except (OSError, ValueError, pa.ArrowException):
        return False
