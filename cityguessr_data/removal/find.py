"""Finds what a person names by an id: a video, a channel or a clip of a data set; or says what comes near.

No path is ever made of what was typed: ids are compared with those that are there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from ..run.store import Store, read_part
from ..run.take_out import shared_links
from ..run.tombstones import Tombstone, Tombstones, read_tombstones

_NEAR = 3
_CLIP_COLUMNS = ["clip_id", "video_id", "start_frame", "end_frame"]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is to be removed: fields of its tombstones, but for time, reason and version."""

    fields: tuple[Fields, ...] = ()
    already: Tombstone | None = None
    """Set where it was removed before and nothing of it has come since."""


def find_wanted(store: Store, kind: str, wanted_id: str) -> Wanted:
    """What an id stands for.

    Raises:
        InputError: the data set has nothing of that id, and never had.
    """
    tombstones = read_tombstones(store)
    find = {"video": _video, "channel": _channel, "clip": _clip}[kind]
    return find(store, wanted_id, tombstones)


def video_fields(store: Store, video_id: str, row: Mapping[str, Any]) -> Fields:
    """Of the tombstone of a video with this row in the videos table."""
    shared = shared_links(store.plan().get("links", {}))
    url = None if row["url"] in shared else row["url"]
    return {"kind": "video", "id": video_id, "url": url, "sha256": row.get("sha256")}


def _video(store: Store, video_id: str, tombstones: Tombstones) -> Wanted:
    earlier = next((one for one in tombstones.rows if (one.kind, one.id) == ("video", video_id)), None)
    if earlier is not None:
        return Wanted(already=earlier)
    rows = dict(_video_rows(store))
    if video_id in rows and rows[video_id]["status"] == "removed":  # it came under another id, and was refused
        earlier = tombstones.of_video(video_id, rows[video_id]["url"])
        if earlier is not None:
            return Wanted(already=earlier)
    if video_id in rows:
        return Wanted((video_fields(store, video_id, rows[video_id]),))
    asked = {video["video_id"]: video["url"] for video in store.plan().get("videos", ())}
    if video_id in asked:  # asked for, and never built
        return Wanted((video_fields(store, video_id, {"url": asked[video_id]}),))
    in_clips = {clip["video_id"] for _, clip in _clips(store) if clip["video_id"]} if _imported(store) else set()
    if video_id in in_clips:  # an import may put clips of several videos together
        return Wanted(({"kind": "video", "id": video_id},))
    raise _unknown(store, "video", video_id, sorted({*rows, *asked, *in_clips}))


def _channel(store: Store, channel: str, tombstones: Tombstones) -> Wanted:
    rows = list(_video_rows(store))
    videos = tuple(video_fields(store, video_id, row) for video_id, row in rows if row["channel"] == channel)
    if videos:
        return Wanted(({"kind": "channel", "id": channel}, *videos))
    earlier = next((one for one in tombstones.rows if (one.kind, one.id) == ("channel", channel)), None)
    if earlier is not None:
        return Wanted(already=earlier)
    raise _unknown(store, "channel", channel, sorted({row["channel"] for _, row in rows if row["channel"]}))


def _clip(store: Store, clip_id: str, tombstones: Tombstones) -> Wanted:
    for unit, clip in _clips(store, clip_id.rpartition("_")[0]):
        if clip["clip_id"] == clip_id:
            row = read_part(store.part("videos", unit)).to_pylist()[0]
            of_video = video_fields(store, unit, row)
            span = {name: clip[name] for name in ("video_id", "start_frame", "end_frame")}
            known = {"url": of_video["url"], "sha256": of_video["sha256"]}
            return Wanted(({"kind": "clip", "id": clip_id, **span, **known},))
    video_id = clip_id.rpartition("_")[0]
    earlier = next(
        (one for one in tombstones.rows if (one.kind, one.id) in (("clip", clip_id), ("video", video_id))), None
    )
    if earlier is not None:
        return Wanted(already=earlier)
    raise _unknown(store, "clip", clip_id, [clip["clip_id"] for _, clip in _clips(store)])


def _video_rows(store: Store) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in store.parts("videos"):
        yield path.stem, read_part(path).to_pylist()[0]


def _clips(store: Store, first: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every clip with its unit; those of the unit `first` before the others."""
    for path in sorted(store.parts("clips"), key=lambda path: path.stem != first):
        for row in read_part(path, _CLIP_COLUMNS).to_pylist():
            yield path.stem, row


def _imported(store: Store) -> bool:
    return "imported" in (store.dataset() or {})


def _unknown(store: Store, kind: str, wanted: str, known: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(wanted, known, _NEAR)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif known:
        hint = f"It has {len(known):,} of them, such as {known[0]}"
    else:
        hint = "It has none"
    return InputError(f"{store.out} has no {kind} {wanted!r}", hint)
