"""`cgtool remove`: takes a video, a channel or a clip out of a data set, and sees that no later build brings it back.

The tombstones are on the disk before anything is deleted. Killed after that, the next `remove`, `refresh --remove` or
build carries the removal out; killed before, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from ..core.errors import InputError
from ..over_frames.go import finish
from ..publish.ledger import NotedExport, exports_with, forget_clips
from ..run.changelog import next_version, version_of
from ..run.store import Store
from ..run.take_out import TakenOut, enforce, find_doomed, is_unsettled, settle, unwanted_in_cache
from ..run.take_out_cache import ClearedCache, cached_files
from ..run.tombstones import Tombstone, bury, read_tombstones, tombstones_of
from .find import Wanted, find_wanted

Kind = Literal["video", "channel", "clip"]


@dataclass(frozen=True)
class Removal:
    """What one removal came to, or would come to."""

    version: str
    """Of the data set afterwards."""
    tombstones: tuple[Tombstone, ...] = ()
    """New ones."""
    taken: TakenOut = field(default_factory=TakenOut)
    exports: tuple[NotedExport, ...] = ()
    """Exports that hold clips which were removed: they are other people's copies, and must be made again."""
    already: Tombstone | None = None
    """Set where it was removed before: nothing has changed then."""


def remove(out: Path, kind: Kind, wanted_id: str, reason: str = "", *, dry_run: bool = False) -> Removal:
    """Remove one video, one channel with all its videos, or one clip.

    Args:
        wanted_id: a video_id, the name of a channel as the videos table has it, or a clip_id.
        reason: goes into the tombstone, the videos table and the changelog; empty: `on request`.
        dry_run: change nothing, and tell what would go.
    Raises:
        InputError: `out` is no output directory, or holds nothing of that id; nothing has changed.
        DiskFullError: no space left; the same command goes on.
    """
    store = opened(out)
    if dry_run:
        return _would_go(store, find_wanted(store, kind, wanted_id), reason)
    with store.locked():
        finish_earlier(store)
        wanted = find_wanted(store, kind, wanted_id)
        if wanted.already is not None:
            return Removal(version_of(store), already=wanted.already)
        return carry_out(store, tombstones_for(store, [wanted], reason))


def opened(out: Path) -> Store:
    """The store of an output directory.

    Raises:
        InputError: it is none.
    """
    store = Store(out)
    if store.dataset() is None:
        raise InputError(
            f"{out} is not an output directory (it has no dataset.json)", "Name the --out of a build or an import"
        )
    return store


def finish_earlier(store: Store) -> None:
    """Carry out what an interrupted removal left to do."""
    store.recover()
    if is_unsettled(store):
        _enforce(store)


def tombstones_for(store: Store, wanted: Sequence[Wanted], reason: str) -> list[Tombstone]:
    """One for each video, channel and clip, all of the version that comes next."""
    make = partial(
        Tombstone,
        removed_at=datetime.now(UTC),
        reason=" ".join(reason.split()) or "on request",
        version=next_version(version_of(store)),
    )
    return [make(**fields) for one in wanted for fields in one.fields]


def carry_out(store: Store, tombstones: Sequence[Tombstone]) -> Removal:
    """Bury, take out, and record the new version. `store` is locked."""
    new = bury(store, tombstones)
    taken, exports = _enforce(store)
    return Removal(version_of(store), new, taken, exports)


def _enforce(store: Store) -> tuple[TakenOut, tuple[NotedExport, ...]]:
    outdated: list[NotedExport] = []

    def forget(clip_ids: Collection[str]) -> None:
        outdated.extend(forget_clips(store, clip_ids))

    taken = enforce(store, forget)
    finish(store)
    settle(store)
    return taken, tuple(outdated)


def _would_go(store: Store, wanted: Wanted, reason: str) -> Removal:
    if wanted.already is not None:
        return Removal(version_of(store), already=wanted.already)
    new = tombstones_for(store, [wanted], reason)
    tombstones = tombstones_of([*read_tombstones(store).rows, *new])
    doomed = tuple(find_doomed(store, tombstones))
    files = cached_files(store, unwanted_in_cache(store, tombstones, doomed))
    taken = TakenOut(doomed, ClearedCache(len(files), sum(path.lstat().st_size for path in files)))
    return Removal(new[0].version, tuple(new), taken, tuple(exports_with(store, taken.clip_ids)))
