"""From the rows of a sources table to units of work: which videos a link stands for, and which rows name each.

Most links tell their video without asking anybody. Playlists and pages are looked up once and remembered in OUT, so
that running a command again needs no network.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .core.errors import InputError, VideoError
from .core.remote.place import told_place
from .core.sources import group_tasks
from .core.types import SourceRow, VideoTask
from .media.download import Downloader, SiteBlocked
from .media.ids import is_local, offline_id
from .run.asked_rows import keep_rows
from .run.compute import Failed
from .run.executor import Postponed, WorkItem
from .run.ledger import LastFailure, last_failure, record_attempt
from .run.refusing import refusal
from .run.stage import Step
from .run.store import Store, read_part
from .run.take_out_unit import remove_unit
from .run.telling_links import shared_links
from .run.tombstones import NO_TOMBSTONES, Tombstone, Tombstones
from .run.writer import record_failed_video

FingerprintOf = Callable[[VideoTask], str]

Links = dict[str, list[list[str]]]
"""A link that had to be looked up -> [[video_id, url], ...]."""


@dataclass(frozen=True)
class Plan:
    """What a table asks for."""

    items: tuple[WorkItem, ...]
    """Its videos, each with the fingerprint that its result will carry."""
    failed: tuple[Failed, ...]
    """Links that could not be looked up now; they are in the attempts and videos tables."""
    left: tuple[LastFailure, ...]
    """Links whose look-up failed earlier and was not repeated."""
    postponed: tuple[Postponed, ...]
    """Links that were not looked up, because their site has stopped answering in this run."""
    removed: tuple[str, ...] = ()
    """Ids of videos that were taken out for good, by their tombstones."""


def read_plan(store: Store) -> dict[str, Any]:
    """What the last run left in OUT/.cgtool/plan.json; empty before the first.

    out: OUT when the plan was written, absolute, or its url. A copied or moved data set is known by it.
    cache: the cache folder of the last run, absolute, or its url.
    links: link that had to be looked up -> [[video_id, url], ...].
    videos: [{video_id, url, fingerprint}, ...], all that the last run was asked for.
    cached: {folders, fetched, videos}: every cache folder used since the last `cache drop`, the ids of the videos that
        came over the network, and the ids of all.

    Raises:
        InputError: the file is damaged.
    """
    try:
        return store.plan()
    except (ValueError, TypeError) as exc:
        raise InputError(
            f"{store.work / 'plan.json'} is damaged ({exc})",
            "Delete it and run the build again, which writes it anew; what is committed stays",
        ) from exc


def is_elsewhere(store: Store, plan: dict[str, Any]) -> bool:
    """Whether OUT was copied or moved since the plan was written: what the cache holds may be another data set's."""
    return bool(plan.get("out") != store.place)


def link_id(url: str) -> str:
    """Stands in for the video id of a link that could not be looked up."""
    return f"link_{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def known_videos(row: SourceRow, links: Links) -> list[tuple[str, str]] | None:
    """(video_id, url) of every video of a row where no request is needed to know them; else None."""
    if row.video_id is not None:
        return [(row.video_id, row.url)]
    if row.url in links:
        return [(video_id, url) for video_id, url in links[row.url]]
    video_id = offline_id(row.url)
    return None if video_id is None else [(video_id, row.url)]


def plan_tasks(
    store: Store,
    rows: Sequence[SourceRow],
    downloader: Downloader,
    fingerprint_of: FingerprintOf,
    *,
    retry_failed: bool,
    tombstones: Tombstones = NO_TOMBSTONES,
) -> Plan:
    """Look up what must be looked up, put the rows of each video together, and remember both in OUT.

    Videos that were taken out for good get their row in the videos table, and nobody is asked about them.

    A link whose look-up failed is treated like a video that failed: it is looked up again only where that may help.

    Raises:
        InputError: two rows claim one video in ways that contradict each other.
        StopError: the network is stopped for this run.
    """
    plan = read_plan(store)
    links: Links = dict(plan.get("links", {}))
    failed: dict[str, Failed | Postponed] = {}
    unknown: dict[str, dict[str, str]] = {}
    left: list[LastFailure] = []
    found: list[tuple[str, str, SourceRow]] = []
    for row in rows:
        videos = known_videos(row, links)
        if videos is None and (removed := tombstones.id_of_link(row.url)) is not None:
            videos = [(removed, row.url)]
        if videos is None and row.url not in unknown:
            stand_in = VideoTask(link_id(row.url), row.url, (row,))
            earlier = last_failure(store, stand_in.video_id, None)
            if earlier is None or (retry_failed and not earlier.error_class.permanent):
                fingerprint = fingerprint_of(stand_in)
                links |= _look_up(store, stand_in, downloader, fingerprint, failed)
            else:
                fingerprint = earlier.fingerprint  # a failed look-up counts whatever else its row says
                left.append(earlier)
            videos = known_videos(row, links)
            if videos is None:
                unknown[row.url] = _wanted(stand_in, fingerprint)
        found += [(video_id, url, row) for video_id, url in videos or ()]
    check_ids(found)
    wanted = [WorkItem(task, fingerprint_of(task)) for task in group_tasks(found)]
    asked = [_wanted(item.task, item.fingerprint) for item in wanted] + list(unknown.values())
    refused = _refused(tombstones, [item.task for item in wanted], links)
    keep_rows(store, [item.task for item in wanted if item.task.video_id not in refused])
    cache = told_place(downloader.config.cache)
    cached = {} if is_elsewhere(store, plan) else plan.get("cached", {})
    store.write_plan(
        {
            "out": store.place,
            "cache": cache,
            "links": links,
            "videos": asked,
            "cached": _with_this_run(cached, cache, asked),
        }
    )
    for task in (item.task for item in wanted if item.task.video_id in refused):
        _leave_removed_row(store, task, refused[task.video_id])
    ended = tuple(failed.values())
    return Plan(
        tuple(item for item in wanted if item.task.video_id not in refused),
        tuple(f for f in ended if isinstance(f, Failed)),
        tuple(left),
        tuple(f for f in ended if isinstance(f, Postponed)),
        tuple(refused),
    )


def _refused(tombstones: Tombstones, tasks: Sequence[VideoTask], links: Links) -> dict[str, Tombstone]:
    """By video id, why a video is not taken in."""
    if not tombstones:
        return {}
    shared = shared_links(links)
    found = {
        task.video_id: tombstones.of_video(task.video_id, None if task.url in shared else task.url) for task in tasks
    }
    return {video_id: why for video_id, why in found.items() if why is not None}


def _leave_removed_row(store: Store, task: VideoTask, why: Tombstone) -> None:
    """Give a removed video its row in the videos table where it has none: it may come under a new id."""
    part = store.part("videos", task.video_id)
    if not part.exists() or read_part(part, ["status"])["status"].to_pylist() != ["removed"]:
        remove_unit(store, task.video_id, task.url, refusal(why))


def _wanted(task: VideoTask, fingerprint: str) -> dict[str, str]:
    return {"video_id": task.video_id, "url": task.url, "fingerprint": fingerprint}


def _with_this_run(cached: dict[str, list[str]], cache: str, asked: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """What earlier runs may have left in caches, and what this one may: no run's sources are forgotten."""
    new = {
        "folders": [cache],
        "fetched": [video["video_id"] for video in asked if not is_local(video["url"])],
        "videos": [video["video_id"] for video in asked],
    }
    return {name: sorted({*cached.get(name, ()), *values}) for name, values in new.items()}


def note_cached(store: Store, cache: Path, tasks: Sequence[VideoTask]) -> None:
    """Remember, before anything is fetched, that a cache may come to hold the sources of these videos.

    `cache drop` and `remove` know by it what is this data set's.
    """
    plan, told = read_plan(store), told_place(cache)
    asked = [{"video_id": task.video_id, "url": task.url} for task in tasks]
    base: dict[str, Any] = {"links": {}, "videos": [], "cache": told, **plan, "out": store.place}
    if is_elsewhere(store, plan):  # what was noted elsewhere may be another data set's
        base |= {"cache": told, "cached": {}}
    store.write_plan({**base, "cached": _with_this_run(base.get("cached", {}), told, asked)})


def _look_up(
    store: Store, stand_in: VideoTask, downloader: Downloader, fingerprint: str, failed: dict[str, Failed | Postponed]
) -> Links:
    """The link's videos; nothing where that failed, which is then kept in `failed` and in the tables."""
    started_at, start = datetime.now(UTC), time.monotonic()
    try:
        videos = downloader.resolve(stand_in.url)
    except SiteBlocked as exc:
        failed[stand_in.url] = Postponed(stand_in.video_id, str(exc))
        return {}
    except VideoError as exc:
        step = Step("download", "failed", started_at, time.monotonic() - start, exc.error_class, str(exc))
        outcome = Failed(stand_in.video_id, fingerprint, exc.error_class, str(exc), (step,))
    else:
        store.part("videos", stand_in.video_id).unlink(missing_ok=True)  # the row of an earlier failure
        return {stand_in.url: [[video.video_id, video.url] for video in videos]}
    failed[stand_in.url] = outcome
    record_attempt(store, outcome.video_id, outcome.fingerprint, outcome.steps)
    record_failed_video(store.part, stand_in, outcome.error_class, outcome.message)
    return {}


def check_ids(found: Sequence[tuple[str, str, SourceRow]]) -> None:
    """See that one id is one video and one video has one id, as far as links tell.

    Names of files are no identity: two links that end in the same name must be told apart by the table. A page may hold
    several videos, so its rows may give several ids; the link of a video may not, or its seconds would come twice.

    Raises:
        InputError: an id for two files, or two ids for one video.
    """
    first: dict[str, tuple[str, SourceRow]] = {}
    given: dict[str, SourceRow] = {}
    for video_id, url, row in found:
        other_url, other = first.setdefault(video_id, (url, row))
        named_by_file = video_id.startswith(("generic_", "local_")) or is_local(url) or is_local(other_url)
        if other_url != url and named_by_file:
            raise InputError(
                f"lines {other.line} and {row.line} name two files that would both get the id {video_id}",
                "Give them a video_id each",
            )
        if row.video_id is not None:
            other = given.setdefault(url, row)
            if other.video_id != row.video_id and offline_id(url) is not None:
                raise InputError(
                    f"lines {other.line} and {row.line} give one video two ids, {other.video_id} and {row.video_id}",
                    "Give the rows of a video one video_id, or none",
                )
