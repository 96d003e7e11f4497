"""Clips that reviewers dropped: buried, then taken out as `cgtool remove` does it, so that they never come back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from ..publish.ledger import forget_clips
from ..run.changelog import next_version, version_of
from ..run.store import Store, read_part
from ..run.take_out import enforce, settle
from ..run.telling_links import links_to_bury
from ..run.tombstones import Tombstone, bury
from .go import finish


def take_out(store: Store, dropped: Mapping[str, Collection[str]]) -> list[str]:
    """Take out clips. Killed after the tombstones, the next run or build goes on from there.

    Args:
        dropped: unit -> ids of the clips that reviewers dropped.
    Returns:
        The ids of the clips that went.
    Raises:
        DiskFullError: no space left; calling it again goes on.
    """
    bury(store, list(_tombstones(store, dropped)))
    taken = enforce(store, partial(forget_clips, store))
    if taken.clip_ids:
        finish(store)  # the version is raised when nothing shows them any more
    settle(store)
    return sorted(taken.clip_ids)


def _tombstones(store: Store, dropped: Mapping[str, Collection[str]]) -> Iterator[Tombstone]:
    links = links_to_bury(store)
    make = partial(
        Tombstone, kind="clip", removed_at=datetime.now(UTC), reason="review", version=next_version(version_of(store))
    )
    for name, clip_ids in dropped.items():
        videos = {row["video_id"]: row for row in read_part(store.part("videos", name)).to_pylist()}
        for row in read_part(store.part("clips", name)).to_pylist():
            if row["clip_id"] in clip_ids:
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
