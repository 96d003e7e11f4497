"""Finds what tombstones name and what is there all the same: of a removal under way, or brought back by a kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.spans import Span
from .linked_frames import linked_frames
from .store import Store, read_part
from .telling_links import TellingLinks, links_to_ask
from .tombstones import Tombstone, Tombstones

_VIDEO_COLUMNS = ["video_id", "url", "sha256", "channel", "status"]
_CLIP_COLUMNS = ["clip_id", "video_id", "start_frame", "end_frame", "start_s", "end_s", "n_sampled"]


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
    outside: tuple[Path, ...] = ()
    """Of these frames, those that lie behind a symbolic link, outside OUT: where they really are. They stay."""


def find_doomed(store: Store, tombstones: Tombstones) -> list[Doomed]:
    """The units of which something must go, by name, from the parts alone; nothing is read without tombstones."""
    if not tombstones:
        return []
    links, found = links_to_ask(store), []
    for path in store.parts("videos"):
        one = _doomed(store, path.stem, read_part(path, _VIDEO_COLUMNS).to_pylist()[0], tombstones, links)
        if one is not None:
            found.append(one)
    return found


def span_of(clip: Mapping[str, Any]) -> Span | None:
    """Where a clip lies in its source, by its row in the clips table; None where nobody knows."""
    if clip["start_frame"] is None or clip["end_frame"] is None:
        return None
    return Span(clip["start_frame"], clip["end_frame"], clip["start_s"], clip["end_s"])


def _doomed(
    store: Store, unit: str, row: Mapping[str, Any], tombstones: Tombstones, links: TellingLinks
) -> Doomed | None:
    part, url = store.part("clips", unit), links.of(row["url"])
    whole = tombstones.of_video(unit, url, row["sha256"], row["channel"])
    # A unit of a build is one video, and where its clips lie is known: most need not be read
    if whole is None and not (links.none or tombstones.by_id_alone or tombstones.spans(unit, url, row["sha256"])):
        return None
    clips = read_part(part, _CLIP_COLUMNS).to_pylist() if part.exists() else []
    if whole is None:
        clips = [clip for clip in clips if _must_go(clip, unit, url, row["sha256"], tombstones)]
    elif row["status"] == "removed" and part.exists() and not clips and not _has_frames(store, unit):
        return None  # done before
    if whole is None and not clips:
        return None
    ids = {clip["clip_id"] for clip in clips}
    n_outside, outside = 0, tuple[Path, ...]()
    if ids:
        frames = read_part(store.part("frames", unit), ["clip_id", "path"]).to_pylist()
        n_outside = sum(frame["clip_id"] in ids and Path(frame["path"]).is_absolute() for frame in frames)
        gone = {frame["path"] for frame in frames if frame["clip_id"] in ids}
        outside = linked_frames(store, unit, gone, {frame["path"] for frame in frames} - gone).outside
    n_frames = sum(clip["n_sampled"] for clip in clips)
    return Doomed(unit, row["url"], row["sha256"], whole, tuple(sorted(ids)), n_frames, n_outside, outside)


def _has_frames(store: Store, unit: str) -> bool:
    return (store.out / "clips" / unit).exists() or store.tar(unit).exists()


def _must_go(clip: Mapping[str, Any], unit: str, url: str | None, sha256: str | None, tombstones: Tombstones) -> bool:
    """Whether a clip must go though its unit stays: it was removed, or its video was, which is not the unit."""
    if clip["video_id"] != unit and tombstones.of_video(clip["video_id"]) is not None:
        return True
    return tombstones.is_gone(clip["clip_id"], span_of(clip), tombstones.spans(clip["video_id"], url, sha256))
