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
from ..run.telling_links import TellingLinks, links_to_bury
from ..run.tombstones import Tombstone, Tombstones, read_tombstones

_NEAR = 3
_LONGEST = 120
"""Characters of a name in a message: as many as an id may have."""
_OWN = "source_channel"
"""What a column `channel` of a sources table is called in the videos table."""
_PLACE = ["video_id", "start_frame", "end_frame", "start_s", "end_s"]
"""Columns of the clips table that the tombstone of a clip has too."""
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


def video_fields(links: TellingLinks, video_id: str, row: Mapping[str, Any]) -> Fields:
    """Of the tombstone of a video with this row in the videos table.

    Args:
        links: as `links_to_bury` gives them.
    """
    return {"kind": "video", "id": video_id, "url": links.of(row["url"]), "sha256": row.get("sha256")}


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
        return Wanted((video_fields(links_to_bury(store), video_id, rows[video_id]),))
    asked = {video["video_id"]: video["url"] for video in store.plan().get("videos", ())}
    if video_id in asked:  # asked for, and never built
        return Wanted((video_fields(links_to_bury(store), video_id, {"url": asked[video_id]}),))
    in_clips = {clip["video_id"] for _, clip in _clips(store) if clip["video_id"]} if _imported(store) else set()
    if video_id in in_clips:  # an import may put clips of several videos together
        return Wanted(({"kind": "video", "id": video_id},))
    raise _unknown(store, "video", video_id, sorted({*rows, *asked, *in_clips}))


def _channel(store: Store, channel: str, tombstones: Tombstones) -> Wanted:
    rows = list(_video_rows(store))
    videos = [(video_id, row) for video_id, row in rows if row["channel"] == channel]
    if videos:
        links = links_to_bury(store)
        fields = [video_fields(links, video_id, row) for video_id, row in videos]
        return Wanted(({"kind": "channel", "id": channel}, *fields))
    earlier = next((one for one in tombstones.rows if (one.kind, one.id) == ("channel", channel)), None)
    if earlier is not None:
        return Wanted(already=earlier)
    known = sorted({row["channel"] for _, row in rows if row["channel"]})
    own = [video_id for video_id, row in rows if channel in (row[name] for name in row if name.lower() == _OWN)]
    if own:
        videos_of = f"{', '.join(map(_cut, own[:_NEAR]))}{f' and {len(own) - _NEAR:,} more' if own[_NEAR:] else ''}"
        hint = f"Channels are those that sites tell; your own column is {_OWN}: remove its videos by --video"
        raise InputError(f"{store.out} has no channel {_shown(channel)}", f"{hint} ({videos_of})")
    raise _unknown(store, "channel", channel, known)


def _clip(store: Store, clip_id: str, tombstones: Tombstones) -> Wanted:
    for unit, clip in _clips(store, clip_id.rpartition("_")[0]):
        if clip["clip_id"] == clip_id:
            row = read_part(store.part("videos", unit)).to_pylist()[0]
            of_video = video_fields(links_to_bury(store), unit, row)
            known = {"url": of_video["url"], "sha256": of_video["sha256"]}
            return Wanted(({"kind": "clip", "id": clip_id, **{name: clip[name] for name in _PLACE}, **known},))
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
        for row in read_part(path, ["clip_id", *_PLACE]).to_pylist():
            yield path.stem, row


def _imported(store: Store) -> bool:
    return "imported" in (store.dataset() or {})


def _unknown(store: Store, kind: str, wanted: str, known: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(wanted[:_LONGEST], known, _NEAR)
    if near:
        hint = f"Did you mean {' or '.join(map(_cut, near))}?"
    elif known:
        hint = f"It has {len(known):,} of them, such as {_cut(known[0])}"
    else:
        hint = "It has none"
    return InputError(f"{store.out} has no {kind} {_shown(wanted)}", hint)


def _cut(name: str) -> str:
    """A name for a message: one that is very long is cut."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _shown(name: str) -> str:
    return repr(_cut(name))
