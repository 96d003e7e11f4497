"""Keeps removed videos out of a build where only their file or their site tells that they were removed.

The id and the link of a video are looked at before anybody is asked (planning.py). Its bytes and its channel are known
once it is fetched; it then ends here, and what was downloaded of it goes at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from ..core.types import Dropped
from ..media.ids import is_local
from .compute import Failed
from .executor import Fetch, Fetched, Postponed, WorkItem
from .tombstones import Tombstone, Tombstones


def refusing(
    fetch: Fetch, tombstones: Tombstones, forget: Callable[[str], None], shared_links: Collection[str] = ()
) -> Fetch:
    """`fetch`, but a removed video comes as Dropped, and one with removed clips with the frames that these had.

    Args:
        forget: deletes what the cache holds of a video, by its id.
        shared_links: links that stand for several videos and therefore tell none.
    """
    if not tombstones:
        return fetch

    def get(item: WorkItem, stop: threading.Event) -> Fetched | Failed | Postponed:
        got = fetch(item, stop)
        if not isinstance(got, Fetched) or isinstance(got.source, Dropped):
            return got
        task, source = item.task, got.source
        why = tombstones.of_video(task.video_id, None, source.sha256, source.channel)
        if why is not None:
            if not is_local(task.url):
                forget(task.video_id)
            dropped = Dropped("removed", refusal(why))
            step = replace(got.step, status="dropped", error_class=dropped.reason, message=dropped.message)
            return replace(got, source=dropped, step=step)
        url = None if task.url in shared_links else task.url
        spans = tombstones.spans(task.video_id, url, source.sha256)
        return replace(got, item=replace(item, task=replace(task, removed=spans))) if spans else got

    return get


def refusal(why: Tombstone) -> str:
    """Why a video is not taken in, as its row in the videos table says it."""
    what = "its channel was removed" if why.kind == "channel" else "removed"
    return f"{what} on {why.removed_at:%Y-%m-%d}: {why.reason}"
