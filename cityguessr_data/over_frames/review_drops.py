"""Clips that reviewers dropped: buried, then taken out as `cgtool remove` does it, so that they never come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from ..publish.ledger import forget_clips
from ..review.decisions import DecisionLog
from ..review.progress import clips_of
from ..run.changelog import next_version, version_of
from ..run.store import Store, read_part
from ..run.take_out import enforce, settle
from ..run.telling_links import links_to_bury
from ..run.tombstones import Tombstone, bury
from .go import finish


def take_out_dropped(store: Store, log: DecisionLog) -> list[str]:
    """Take out every clip whose drop holds. Killed after the tombstones, the next run or build goes on from there.

    Returns:
        The ids of the clips that went.
    Raises:
        DiskFullError: no space left; calling it again goes on.
    """
    bury(store, list(_tombstones(store, log)))
    taken = enforce(store, partial(forget_clips, store))
    if taken.clip_ids:
        finish(store)  # the version is raised when nothing shows them any more
    settle(store)
    return sorted(taken.clip_ids)


def _tombstones(store: Store, log: DecisionLog) -> Iterator[Tombstone]:
    links = links_to_bury(store)
    make = partial(
        Tombstone, kind="clip", removed_at=datetime.now(UTC), reason="review", version=next_version(version_of(store))
    )
    for name in sorted(set(log.units()) & {path.stem for path in store.parts("clips")}):
        dropped = {clip.clip_id for clip in clips_of(store, name, log.read(name)) if clip.review.dropped}
        if not dropped:
            continue
        videos = {row["video_id"]: row for row in read_part(store.part("videos", name)).to_pylist()}
        for row in read_part(store.part("clips", name)).to_pylist():
            if row["clip_id"] in dropped:
                video = videos.get(row["video_id"], {"url": None, "sha256": None})
                yield make(
                    id=row["clip_id"],
                    video_id=row["video_id"],
                    url=links.of(video["url"]),
                    sha256=video["sha256"],
                    start_frame=row["start_frame"],
                    end_frame=row["end_frame"],
                    start_s=row["start_s"],
                    end_s=row["end_s"],
                )
