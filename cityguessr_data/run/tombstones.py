"""What was taken out of a data set and must never come back: one row a removal, on the disk before anything goes.

A video is known again by its id, its link under another id, the bytes of its file, and its channel; a clip by the
frames of its source, since a changed table gives the same frames to clips of other numbers. Rows are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa

from ..core.atomic import write_table
from ..core.schemas import TOMBSTONES
from ..core.sources import safe_id
from ..media.ids import is_local, offline_id
from ..media.pace import YOUTUBE, site_of
from .store import Store, read_part

Span = tuple[int, int]
"""Frames of a source video, the last one exclusive."""


@dataclass(frozen=True)
class Tombstone:
    """One row of the tombstones table (manifests/SCHEMA.md)."""

    kind: Literal["video", "channel", "clip"]
    id: str
    removed_at: datetime
    reason: str
    version: str
    """Of the data set, from which on it is gone."""
    video_id: str | None = None
    """Of a clip: its video."""
    url: str | None = None
    """The link of a video, or of a clip's video. None where several videos have the link (a page)."""
    sha256: str | None = None
    """Of the source file."""
    start_frame: int | None = None
    """Of a clip; None where an import does not know it: the clip is then known by its id."""
    end_frame: int | None = None
    """Exclusive."""

    @property
    def span(self) -> Span | None:
        """The frames that a removed clip had, where they are known."""
        return None if self.start_frame is None or self.end_frame is None else (self.start_frame, self.end_frame)


@dataclass(frozen=True)
class Tombstones:
    """All tombstones of a data set, to be asked by what is known of a video or a clip."""

    rows: tuple[Tombstone, ...] = ()
    _videos: Mapping[tuple[str, str], Tombstone] = field(default_factory=dict, repr=False)
    """(id, link, sha256 or channel; its value) -> the first tombstone of it."""
    _spans: Mapping[tuple[str, str], tuple[Span, ...]] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def of_video(
        self, video_id: str | None, url: str | None = None, sha256: str | None = None, channel: str | None = None
    ) -> Tombstone | None:
        """The tombstone that keeps a video out; None where it may be there."""
        return next((self._videos[key] for key in _keys(video_id, url, sha256, channel) if key in self._videos), None)

    def spans(self, video_id: str | None, url: str | None = None, sha256: str | None = None) -> tuple[Span, ...]:
        """The frames of a video that no clip may hold, in order."""
        found = (self._spans.get(key, ()) for key in _keys(video_id, url, sha256, None))
        return tuple(sorted({span for spans in found for span in spans}))

    def id_of_link(self, url: str) -> str | None:
        """The id of the removed video that a link stands for."""
        found = self.of_video(None, url)
        return None if found is None else found.id

    @property
    def clips(self) -> frozenset[str]:
        """Ids of all removed clips. A later clip of that number may hold other frames: `is_gone` tells."""
        return frozenset(one.id for one in self.rows if one.kind == "clip")

    @property
    def channels(self) -> frozenset[str]:
        """Names of all removed channels."""
        return frozenset(one.id for one in self.rows if one.kind == "channel")

    def is_gone(self, clip_id: str, span: Span | None, spans: Iterable[Span]) -> bool:
        """Whether a clip must go.

        Args:
            span: the frames it holds; None where nobody knows them.
            spans: of its video (`spans`).
        """
        if span is not None and any(start < span[1] and span[0] < end for start, end in spans):
            return True
        return clip_id in self._by_id_alone if span is not None else clip_id in self.clips

    @property
    def _by_id_alone(self) -> frozenset[str]:
        return frozenset(one.id for one in self.rows if one.kind == "clip" and one.span is None)


NO_TOMBSTONES = Tombstones()


def bury(store: Store, tombstones: Sequence[Tombstone]) -> tuple[Tombstone, ...]:
    """Add tombstones; they are on the disk when it returns. Call it before anything of them is deleted.

    Returns:
        Those that were not there yet: one of the same kind, id, file and frames is left as it is, with its date.
    Raises:
        DiskFullError: no space left; those before it were added.
    """
    new = []
    for one in tombstones:
        path = _part(store, one)
        earlier = [Tombstone(**row) for row in read_part(path).to_pylist()] if path.exists() else []
        if any(_same(one, other) for other in earlier):
            continue
        write_table(path, _table([*earlier, one]))
        new.append(one)
    return tuple(new)


def read_tombstones(store: Store) -> Tombstones:
    """All of them, by time."""
    rows = [Tombstone(**row) for path in store.parts("tombstones") for row in read_part(path).to_pylist()]
    return tombstones_of(rows)


def tombstones_of(rows: Iterable[Tombstone]) -> Tombstones:
    """Rows of the table, ready to be asked."""
    ordered = tuple(sorted(rows, key=lambda one: (one.removed_at, one.kind, one.id)))
    videos: dict[tuple[str, str], Tombstone] = {}
    spans: dict[tuple[str, str], tuple[Span, ...]] = {}
    for one in ordered:
        if one.kind == "clip":
            for key in _keys(one.video_id, one.url, one.sha256, None) if one.span else ():
                spans[key] = (*spans.get(key, ()), *([one.span] if one.span else []))
        elif one.kind == "channel":
            videos.setdefault(("channel", one.id), one)
        else:
            for key in _keys(one.id, one.url, one.sha256, None):
                videos.setdefault(key, one)
    return Tombstones(ordered, videos, spans)


def assemble_tombstones(store: Store) -> int:
    """Write OUT/manifests/tombstones.parquet where it lacks a row. Returns the rows; none writes nothing."""
    table = _table(list(read_tombstones(store).rows))
    path = store.out / "manifests" / "tombstones.parquet"
    if table.num_rows and not (path.exists() and read_part(path).equals(table)):
        write_table(path, table)
    return int(table.num_rows)


def same_link(url: str) -> str:
    """What tells one link from another: YouTube's spellings of one video are one, and so are http and https."""
    if is_local(url):
        return url
    if site_of(url) == YOUTUBE:
        return offline_id(url) or url
    parts = urlsplit(url)
    return urlunsplit(("https", parts.netloc.lower(), parts.path or "/", parts.query, ""))


def _keys(video_id: str | None, url: str | None, sha256: str | None, channel: str | None) -> Iterable[tuple[str, str]]:
    if video_id:
        yield "id", video_id
    if url:
        yield "link", same_link(url)
    if sha256:
        yield "sha256", sha256
    if channel:
        yield "channel", channel


def _same(one: Tombstone, other: Tombstone) -> bool:
    same = (one.kind, one.id, one.span) == (other.kind, other.id, other.span)
    return same and one.sha256 in (None, other.sha256) and one.url in (None, other.url)


def _part(store: Store, one: Tombstone) -> Path:
    return store.part("tombstones", f"{one.kind}_{safe_id(one.id)}")


def _table(rows: Sequence[Tombstone]) -> pa.Table:
    values: list[dict[str, Any]] = [asdict(one) for one in rows]
    return pa.Table.from_pylist(values, TOMBSTONES)
