"""Carries out tombstones: whatever they say must go and is still under OUT or in a cache goes now.

Every step can be done again, and the parts of a unit are the last that change: a process killed at any moment leaves
enough for the next command to find the rest. The version is recorded after all of it (`settle`), so as long as a
tombstone is newer than the data set, its removal is not finished.

Attempts and decisions stay: they say what was done and when, and hold no picture and no title.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..media.ids import is_local
from .changelog import next_version, numbers, record_change, version_of
from .refusing import refusal
from .store import Store, read_part
from .take_out_cache import ClearedCache, Unwanted, clear_caches
from .take_out_unit import drop_rows, faces_as_built, remove_clips, remove_unit
from .tombstones import Tombstone, Tombstones, assemble_tombstones, bury, read_tombstones

BY_REVIEW = "review"
"""Reason of a clip that a reviewer dropped: its source stays in the cache, for the other clips of the video."""
_LISTED = 10
_CLIP_COLUMNS = ["clip_id", "video_id", "start_frame", "end_frame", "n_sampled"]


@dataclass(frozen=True)
class Doomed:
    """A unit of which something must go."""

    unit: str
    url: str
    sha256: str | None
    whole: Tombstone | None
    """Why all of it must go; None: only `clip_ids`."""
    clip_ids: tuple[str, ...]
    """Clips that are still there and must go."""
    n_frames: int = 0
    """Of these clips."""
    n_outside: int = 0
    """Of these frames, those that lie where they were imported from: they are never touched."""


@dataclass(frozen=True)
class TakenOut:
    """What one run took out."""

    doomed: tuple[Doomed, ...] = ()
    cache: ClearedCache = ClearedCache()
    splits: tuple[str, ...] = ()
    """Names of the splits that lost rows."""

    @property
    def clip_ids(self) -> frozenset[str]:
        """Of all clips that went."""
        return frozenset(clip_id for one in self.doomed for clip_id in one.clip_ids)

    @property
    def own_files(self) -> tuple[str, ...]:
        """Sources that are the user's own files: they stay."""
        return tuple(sorted({one.url for one in self.doomed if is_local(one.url) and Path(one.url).is_file()}))


def enforce(store: Store, forget: Callable[[Collection[str]], object]) -> TakenOut:
    """Take out what must go. The caller then writes manifests, counts and preview anew, and calls `settle`.

    Args:
        store: locked, and recovered.
        forget: is told the ids of the clips before they go; after a kill it may be told again.
    Raises:
        DiskFullError: no space left; calling it again goes on.
    """
    tombstones = read_tombstones(store)
    if not tombstones:
        return TakenOut()
    _clear_half_written(store)
    doomed = find_doomed(store, tombstones)
    bury(store, [_also(store, one.whole, one) for one in doomed if one.whole and one.whole.id != one.unit])
    taken = TakenOut(tuple(doomed))
    if taken.clip_ids or _unsettled(store, tombstones):
        for name in ("preview.html", "preview.jpg"):  # they show frames, or were half made when a removal was killed
            (store.out / name).unlink(missing_ok=True)
    if taken.clip_ids:
        taken = replace(taken, splits=prune_splits(store, taken.clip_ids))
        forget(taken.clip_ids)
    taken = replace(taken, cache=clear_caches(store, unwanted_in_cache(store, tombstones, doomed)))
    for one in doomed:
        if one.whole is not None:
            remove_unit(store, one.unit, one.url, refusal(one.whole))
        else:
            remove_clips(store, one.unit, one.url, one.clip_ids)
    assemble_tombstones(store)
    return taken


def settle(store: Store) -> str:
    """Record the version of every removal that is carried out and not recorded yet. Returns the version now."""
    unsettled: dict[str, list[Tombstone]] = {}
    for one in _unsettled(store, read_tombstones(store)):
        unsettled.setdefault(one.version, []).append(one)
    for version in sorted(unsettled, key=numbers):
        record_change(store, version, change_lines(unsettled[version]))
    return version_of(store)


def is_unsettled(store: Store) -> bool:
    """Whether a removal was begun and not finished."""
    return bool(_unsettled(store, read_tombstones(store)))


def change_lines(rows: Collection[Tombstone]) -> list[str]:
    """What the changelog says of the tombstones of one version; the same however often the removal was begun."""
    lines = []
    for kind in ("channel", "video", "clip"):
        by_reason: dict[str, list[str]] = {}
        for one in (one for one in rows if one.kind == kind):
            by_reason.setdefault(one.reason, []).append(f"`{one.id}`")
        for reason, names in by_reason.items():
            what = f"the {kind}" if len(names) == 1 else f"{len(names):,} {kind}s:"
            more = f" and {len(names) - _LISTED:,} more (manifests/tombstones.parquet)" if len(names) > _LISTED else ""
            lines.append(f"Removed {what} {', '.join(names[:_LISTED])}{more}. Reason: {reason}.")
    return lines


def find_doomed(store: Store, tombstones: Tombstones) -> list[Doomed]:
    """The units of which something must go, by name, from the parts alone."""
    shared = _shared(store)
    found = []
    for path in store.parts("videos"):
        one = _doomed(store, path.stem, read_part(path).to_pylist()[0], tombstones, shared)
        if one is not None:
            found.append(one)
    return found


def shared_links(links: Mapping[str, Sequence[Sequence[str]]]) -> frozenset[str]:
    """Links that stand for several videos, such as a page: they tell no video from another.

    Args:
        links: link that was looked up -> [[video_id, url], ...], as the plan has it.
    """
    return frozenset(url for videos in links.values() for url, n in Counter(url for _, url in videos).items() if n > 1)


def prune_splits(store: Store, clip_ids: Collection[str]) -> tuple[str, ...]:
    """Take clips out of every file of OUT/splits, whose metadata stay. Returns the names of those that had one."""
    changed = []
    for path in sorted((store.out / "splits").glob("[!.]*.parquet")):
        if "clip_id" in pq.read_schema(path).names and (less := drop_rows(read_part(path), clip_ids)) is not None:
            write_table(path, less)
            changed.append(path.stem)
    return tuple(changed)


def unwanted_in_cache(store: Store, tombstones: Tombstones, doomed: Collection[Doomed]) -> Unwanted:
    """What must not stay in the caches.

    The source of a removed clip holds its pictures, so it goes too. A later build may need it again, for the clips that
    stayed: so that is asked of removals under way, and not for ever.
    """
    under_way = _unsettled(store, tombstones)
    videos = {one.id for one in under_way if one.kind == "video"} | {one.unit for one in doomed if one.whole}
    shown = {one.video_id for one in under_way if one.kind == "clip" and one.video_id and one.reason != BY_REVIEW}
    clips = {one.id for one in under_way if one.kind == "clip"} | {c for one in doomed for c in one.clip_ids}
    return Unwanted(frozenset(videos | shown), frozenset(videos), frozenset(clips))


def _clear_half_written(store: Store) -> None:
    """What a killed removal was writing; `Store.recover` looks after the folders that builds write to."""
    tables = (store.part("tombstones", "x"), store.originals("x"), faces_as_built(store, "x"))
    for folder in (store.out / "splits", *(table.parent for table in tables)):
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()


def _shared(store: Store) -> frozenset[str]:
    return shared_links(store.plan().get("links", {}))


def _unsettled(store: Store, tombstones: Tombstones) -> list[Tombstone]:
    now = numbers(version_of(store))
    return [one for one in tombstones.rows if numbers(one.version) > now]


def _also(store: Store, why: Tombstone, one: Doomed) -> Tombstone:
    """The tombstone of a video that is another one's file, link or channel mate: it is then known without asking."""
    version = why.version if numbers(why.version) > numbers(version_of(store)) else next_version(version_of(store))
    url = None if one.url in _shared(store) else one.url
    return Tombstone("video", one.unit, datetime.now(UTC), why.reason, version, url=url, sha256=one.sha256)


def _doomed(
    store: Store, unit: str, row: Mapping[str, Any], tombstones: Tombstones, shared: Collection[str]
) -> Doomed | None:
    part = store.part("clips", unit)
    clips = read_part(part, _CLIP_COLUMNS).to_pylist() if part.exists() else []
    url = None if row["url"] in shared else row["url"]
    whole = tombstones.of_video(unit, url, row["sha256"], row["channel"])
    if whole is None:
        clips = [clip for clip in clips if _must_go(clip, unit, url, row["sha256"], tombstones)]
    elif row["status"] == "removed" and part.exists() and not clips and not (store.out / "clips" / unit).exists():
        return None  # done before
    if whole is None and not clips:
        return None
    ids = {clip["clip_id"] for clip in clips}
    n_outside = 0
    if ids:
        frames = read_part(store.part("frames", unit), ["clip_id", "path"]).to_pylist()
        n_outside = sum(frame["clip_id"] in ids and Path(frame["path"]).is_absolute() for frame in frames)
    n_frames = sum(clip["n_sampled"] for clip in clips)
    return Doomed(unit, row["url"], row["sha256"], whole, tuple(sorted(ids)), n_frames, n_outside)


def _must_go(clip: Mapping[str, Any], unit: str, url: str | None, sha256: str | None, tombstones: Tombstones) -> bool:
    """Whether a clip must go though its unit stays: it was removed, or its video was, which is not the unit."""
    if clip["video_id"] != unit and tombstones.of_video(clip["video_id"]) is not None:
        return True
    span = None if clip["start_frame"] is None else (clip["start_frame"], clip["end_frame"])
    return tombstones.is_gone(clip["clip_id"], span, tombstones.spans(clip["video_id"], url, sha256))
