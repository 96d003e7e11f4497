"""`cgtool remove`: takes a video, a channel or a clip out of a data set, and sees that no later build brings it back.

The tombstones are on the disk before anything is deleted. Killed after that, the next `remove`, `refresh --remove` or
build carries the removal out; killed before, nothing has happened. The same commands take out what came back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from ..core.errors import InputError
from ..media.outcomes import plain
from ..over_frames.go import finish
from ..publish.ledger import NotedExport, exports_with, forget_clips, outdated_exports
from ..run.changelog import next_version, version_of
from ..run.doomed import find_doomed
from ..run.linked_frames import refuse_broken_links
from ..run.store import Store
from ..run.take_out import TakenOut, enforce, is_unsettled, settle, unwanted_in_cache
from ..run.take_out_cache import would_clear
from ..run.tombstones import Tombstone, bury, read_tombstones, tombstones_of
from .find import Wanted, find_wanted

Kind = Literal["video", "channel", "clip"]
_LONGEST_REASON = 500
_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters without a shape that set the direction of writing."""


@dataclass(frozen=True)
class Removal:
    """What one removal came to, or would come to."""

    version: str
    """Of the data set afterwards."""
    tombstones: tuple[Tombstone, ...] = ()
    """New ones."""
    taken: TakenOut = field(default_factory=TakenOut)
    exports: tuple[NotedExport, ...] = ()
    """All exports that hold clips which were removed, now or earlier: they are other people's copies, and must be made
    again."""
    already: Tombstone | None = None
    """Set where it was removed before. `taken` is then what an interruption had left of earlier removals."""
    finished: TakenOut | None = None
    """What was left to do of a removal that was interrupted, and is done now; None where there was none."""

    @property
    def outside(self) -> tuple[Path, ...]:
        """Frames behind symbolic links that lie outside OUT, and stay; also those of `finished`."""
        return tuple(dict.fromkeys([*self.taken.outside, *(self.finished.outside if self.finished else ())]))


def remove(out: Path, kind: Kind, wanted_id: str, reason: str = "", *, dry_run: bool = False) -> Removal:
    """Remove one video, one channel with all its videos, or one clip.

    Args:
        wanted_id: a video_id, the name of a channel as the videos table has it, or a clip_id.
        reason: goes into the tombstone, the videos table and the changelog, as one line of plain text of at most 500
            characters; empty: `on request`.
        dry_run: change nothing, and tell what would go.
    Raises:
        InputError: `out` is no output directory, or holds nothing of that id, or `reason` is too long, or a table of
            what was removed is damaged, or a link under OUT/clips leads nowhere; nothing has changed.
        DiskFullError: no space left; the same command goes on.
    """
    store, reason = opened(out), one_line(reason)
    if not wanted_id.strip():
        raise InputError(f"no {kind} is named", f"Give the {'name' if kind == 'channel' else 'id'} of one")
    if dry_run:
        return _would_go(store, find_wanted(store, kind, wanted_id), reason)
    with store.locked():
        finished = finish_earlier(store)
        wanted = find_wanted(store, kind, wanted_id)
        if wanted.already is not None:
            exports = tuple(outdated_exports(store))
            taken = finished or TakenOut()
            return Removal(version_of(store), (), taken, exports, wanted.already, finished)
        return replace(carry_out(store, tombstones_for(store, [wanted], reason)), finished=finished)


def one_line(reason: str) -> str:
    """A reason as it is kept: one line, and nothing in it that steers a terminal or turns the writing around.

    Raises:
        InputError: it is longer than 500 characters.
    """
    text = plain(re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)", "", reason, flags=re.DOTALL))
    text = "".join(c for c in text if c not in _TURNS)
    if len(text) > _LONGEST_REASON:
        raise InputError(
            f"the reason has {len(text):,} characters",
            f"Give at most {_LONGEST_REASON}: it stands in tables and in the changelog",
        )
    return text


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


def finish_earlier(store: Store) -> TakenOut | None:
    """Carry out what an interrupted removal left to do, or an interrupted import brought back; None: nothing was."""
    store.recover()
    if not is_unsettled(store):
        return None
    refuse_broken_links(store)
    return _enforce(store)


def tombstones_for(store: Store, wanted: Sequence[Wanted], reason: str) -> list[Tombstone]:
    """One for each video, channel and clip, all of the version that comes next."""
    make = partial(
        Tombstone,
        removed_at=datetime.now(UTC),
        reason=one_line(reason) or "on request",
        version=next_version(version_of(store)),
    )
    return [make(**fields) for one in wanted for fields in one.fields]


def carry_out(store: Store, tombstones: Sequence[Tombstone]) -> Removal:
    """Bury, take out, and record the new version. `store` is locked.

    Raises:
        InputError: a link under OUT/clips leads nowhere; nothing has changed.
    """
    refuse_broken_links(store)
    new = bury(store, tombstones)
    taken = _enforce(store)
    return Removal(version_of(store), new, taken, tuple(outdated_exports(store)))


def _enforce(store: Store) -> TakenOut:
    taken = enforce(store, partial(forget_clips, store))
    finish(store)
    settle(store)
    return taken


def _would_go(store: Store, wanted: Wanted, reason: str) -> Removal:
    if wanted.already is not None:
        left = TakenOut(tuple(find_doomed(store, read_tombstones(store))))
        return Removal(version_of(store), taken=left, exports=tuple(outdated_exports(store)), already=wanted.already)
    new = tombstones_for(store, [wanted], reason)
    tombstones = tombstones_of([*read_tombstones(store).rows, *new])
    doomed = tuple(find_doomed(store, tombstones))
    taken = TakenOut(doomed, would_clear(store, unwanted_in_cache(store, tombstones, doomed)))
    exports = dict.fromkeys([*outdated_exports(store), *exports_with(store, taken.clip_ids)])
    return Removal(new[0].version, tuple(new), taken, tuple(exports))
