"""Carries out tombstones: whatever they say must go and is still under OUT or in a cache goes now.

Every step can be done again, and the parts of a unit are the last that change: a process killed at any moment leaves
enough for the next command to find the rest. The version is recorded after all of it (`settle`), so as long as a
tombstone is newer than the data set, its removal is not finished.

Attempts and decisions stay: they say what was done and when, and hold no picture and no title.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..media.ids import is_local
from .asked_rows import forget_rows
from .changelog import in_code, literal, next_version, numbers, record_change, version_of
from .doomed import Doomed, find_doomed
from .refusing import refusal
from .store import Store, read_part
from .take_out_cache import ClearedCache, Unwanted, clear_caches
from .take_out_unit import drop_rows, remove_clips, remove_unit, side_tables
from .telling_links import TellingLinks, links_to_bury
from .tombstones import Tombstone, Tombstones, assemble_tombstones, bury, read_tombstones

BY_REVIEW = "review"
"""Reason of a clip that a reviewer dropped: its source stays in the cache, for the other clips of the video."""
_LISTED = 10


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
    def outside(self) -> tuple[Path, ...]:
        """Frames of these clips that lie behind symbolic links, outside OUT: they stay."""
        return tuple(sorted({path for one in self.doomed for path in one.outside}))

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
    if found_by_others := [(one.whole, one) for one in doomed if one.whole and one.whole.id != one.unit]:
        links = links_to_bury(store)
        bury(store, [_also(store, why, one, links) for why, one in found_by_others])
    taken = TakenOut(tuple(doomed))
    if taken.clip_ids or _unsettled(store, tombstones):
        for name in ("preview.html", "preview.jpg"):  # they show frames, or were half made when a removal was killed
            (store.out / name).unlink(missing_ok=True)
    if taken.clip_ids:
        taken = replace(taken, splits=prune_splits(store, taken.clip_ids))
        forget(taken.clip_ids)
    taken = replace(taken, cache=clear_caches(store, unwanted_in_cache(store, tombstones, doomed)))
    forget_rows(store, {one.unit for one in doomed if one.whole is not None})
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
    """Whether a removal was begun and not finished, or what was removed is there again: `enforce` is to be called."""
    tombstones = read_tombstones(store)
    return bool(_unsettled(store, tombstones) or find_doomed(store, tombstones))


def change_lines(rows: Collection[Tombstone]) -> list[str]:
    """What the changelog says of the tombstones of one version; the same however often the removal was begun."""
    lines = []
    for kind in ("channel", "video", "clip"):
        by_reason: dict[str, list[str]] = {}
        for one in (one for one in rows if one.kind == kind):
            by_reason.setdefault(one.reason, []).append(in_code(one.id))
        for reason, names in by_reason.items():
            what = f"the {kind}" if len(names) == 1 else f"{len(names):,} {kind}s:"
            more = f" and {len(names) - _LISTED:,} more (manifests/tombstones.parquet)" if len(names) > _LISTED else ""
            lines.append(f"Removed {what} {', '.join(names[:_LISTED])}{more}. Reason: {literal(reason)}.")
    return lines


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
    return Unwanted(_links_of(store, tombstones, videos | shown), frozenset(videos), frozenset(clips))


def _links_of(store: Store, tombstones: Tombstones, video_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """By video id, every link that this data set had for it: a cache may be shared with others."""
    found: dict[str, set[str]] = {video_id: set() for video_id in video_ids}
    for video in store.plan().get("videos", ()):
        found.get(video["video_id"], set()).add(video["url"])
    for one in tombstones.rows:
        if one.url:
            found.get(one.id if one.kind == "video" else str(one.video_id), set()).add(one.url)
    for video_id, links in found.items():
        part = store.part("videos", video_id)
        if part.exists():
            links.update(read_part(part, ["url"])["url"].to_pylist())
    return {video_id: frozenset(links) for video_id, links in found.items()}


def _clear_half_written(store: Store) -> None:
    """What a killed removal was writing; `Store.recover` looks after the folders that builds write to."""
    tables = (store.part("tombstones", "x"), *side_tables(store, "x"))
    for folder in (store.out / "splits", *(table.parent for table in tables)):
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()


def _unsettled(store: Store, tombstones: Tombstones) -> list[Tombstone]:
    now = numbers(version_of(store))
    return [one for one in tombstones.rows if numbers(one.version) > now]


def _also(store: Store, why: Tombstone, one: Doomed, links: TellingLinks) -> Tombstone:
    """The tombstone of a video that is another one's file, link or channel mate: it is then known without asking."""
    version = why.version if numbers(why.version) > numbers(version_of(store)) else next_version(version_of(store))
    now, url = datetime.now(UTC), links.of(one.url)
    return Tombstone("video", one.unit, now, why.reason, version, url=url, sha256=one.sha256)
