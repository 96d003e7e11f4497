"""What was taken out of a data set and must never come back: one row a removal, on the disk before anything goes.

A video is known again by its id, its link under another id, the bytes of its file, and its channel; a clip by the
frames of its source, since a changed table gives the same frames to clips of other numbers, and by its time where the
source is another file: the site may give the video at another frame rate. Rows are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa

from ..core.atomic import write_table
from ..core.errors import InputError
from ..core.schemas import TOMBSTONES
from ..core.sources import safe_id
from ..core.spans import Span
from ..media.ids import is_local, offline_id
from ..media.outcomes import plain
from ..media.pace import YOUTUBE, site_of
from .store import Store, read_part


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
    start_s: float | None = None
    """Of a clip, from the video's first frame; None where it is not known."""
    end_s: float | None = None

    @property
    def span(self) -> Span | None:
        """Where a removed clip lay, if that is known."""
        if self.start_frame is None or self.end_frame is None:
            return None
        return Span(self.start_frame, self.end_frame, self.start_s, self.end_s)

    def span_in(self, sha256: str | None) -> Span | None:
        """`span` as a clip of the file with this digest must be compared with it: by frames alone in the same file."""
        is_same_file = sha256 is not None and sha256 == self.sha256
        return replace(self.span, start_s=None, end_s=None) if self.span and is_same_file else self.span


@dataclass(frozen=True)
class Tombstones:
    """All tombstones of a data set, to be asked by what is known of a video or a clip."""

    rows: tuple[Tombstone, ...] = ()
    _videos: Mapping[tuple[str, str], Tombstone] = field(default_factory=dict, repr=False)
    """(id, link, sha256 or channel; its value) -> the first tombstone of it."""
    _clips: Mapping[tuple[str, str], tuple[Tombstone, ...]] = field(default_factory=dict, repr=False)
    """(id, link or sha256 of a video; its value) -> its removed clips that lay where one knows."""
    clips: frozenset[str] = frozenset()
    """Ids of all removed clips. A later clip of that number may hold other frames: `is_gone` tells."""
    by_id_alone: frozenset[str] = frozenset()
    """Of these, the ones of which nobody knows where they lay."""
    channels: frozenset[str] = frozenset()
    """Names of all removed channels."""

    def __bool__(self) -> bool:
        return bool(self.rows)

    def of_video(
        self, video_id: str | None, url: str | None = None, sha256: str | None = None, channel: str | None = None
    ) -> Tombstone | None:
        """The tombstone that keeps a video out; None where it may be there."""
        if not self._videos:
            return None  # to read a link of YouTube is to load yt-dlp
        return next((self._videos[key] for key in _keys(video_id, url, sha256, channel) if key in self._videos), None)

    def spans(self, video_id: str | None, url: str | None = None, sha256: str | None = None) -> tuple[Span, ...]:
        """What no clip of a video, whose file has this digest, may hold any part of; in order."""
        if not self._clips:
            return ()
        stones = (one for key in _keys(video_id, url, sha256, None) for one in self._clips.get(key, ()))
        found = {span for one in stones if (span := one.span_in(sha256))}
        return tuple(sorted(found, key=lambda span: (span.start_frame, span.end_frame, span.start_s or 0.0)))

    def id_of_link(self, url: str) -> str | None:
        """The id of the removed video that a link stands for."""
        found = self.of_video(None, url)
        return None if found is None else found.id

    def is_gone(self, clip_id: str, span: Span | None, spans: Iterable[Span]) -> bool:
        """Whether a clip must go.

        Args:
            span: where it lies; None where nobody knows.
            spans: of its video (`spans`).
        """
        if span is None:
            return clip_id in self.clips
        return clip_id in self.by_id_alone or any(span.meets(one) for one in spans)


NO_TOMBSTONES = Tombstones()


def bury(store: Store, tombstones: Sequence[Tombstone]) -> tuple[Tombstone, ...]:
    """Add tombstones; they are on the disk when it returns. Call it before anything of them is deleted.

    Returns:
        Those that were not there yet: one of the same kind, id, file and place in it is left as it is, with its date.
    Raises:
        DiskFullError: no space left; those before it were added.
    """
    new = []
    for one in tombstones:
        path = _part(store, one)
        earlier = _rows(path) if path.exists() else []
        if any(_same(one, other) for other in earlier):
            continue
        write_table(path, _table([*earlier, one]))
        new.append(one)
    return tuple(new)


def read_tombstones(store: Store) -> Tombstones:
    """All of them, by time.

    Raises:
        InputError: a part of the table is damaged. Nothing may go on without it: what was removed would come back.
    """
    return tombstones_of(one for path in store.parts("tombstones") for one in _rows(path))


def tombstones_of(rows: Iterable[Tombstone]) -> Tombstones:
    """Rows of the table, ready to be asked."""
    ordered = tuple(sorted(rows, key=lambda one: (one.removed_at, one.kind, one.id)))
    videos: dict[tuple[str, str], Tombstone] = {}
    clips: dict[tuple[str, str], tuple[Tombstone, ...]] = {}
    for one in ordered:
        if one.kind == "clip":
            for key in _keys(one.video_id, one.url, one.sha256, None) if one.span else ():
                clips[key] = (*clips.get(key, ()), one)
        elif one.kind == "channel":
            videos.setdefault(("channel", one.id), one)
        else:
            for key in _keys(one.id, one.url, one.sha256, None):
                videos.setdefault(key, one)
    return Tombstones(
        ordered,
        videos,
        clips,
        frozenset(one.id for one in ordered if one.kind == "clip"),
        frozenset(one.id for one in ordered if one.kind == "clip" and one.span is None),
        frozenset(one.id for one in ordered if one.kind == "channel"),
    )


def assemble_tombstones(store: Store) -> int:
    """Write OUT/manifests/tombstones.parquet where it lacks a row. Returns the rows; none writes nothing."""
    table = _table(list(read_tombstones(store).rows))
    path = store.out / "manifests" / "tombstones.parquet"
    if table.num_rows and not _says(path, table):
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


def _rows(path: Path) -> list[Tombstone]:
    try:
        rows = [Tombstone(**row) for row in read_part(path).to_pylist()]
        if not all(isinstance(one.id, str) and isinstance(one.removed_at, datetime) for one in rows):
            raise ValueError("its columns hold something else")
        return rows
    except (OSError, ValueError, TypeError, pa.ArrowException) as exc:
        raise InputError(
            f"{path}, which says what was removed, is damaged or cannot be read ({plain(str(exc))[:100]})",
            "Restore it from a copy: without it, what was removed would come back",
        ) from exc


def _says(path: Path, table: pa.Table) -> bool:
    """Whether a manifest holds this table. A damaged one does not: it is written anew from the parts."""
    try:
        return path.exists() and bool(read_part(path).equals(table))
    except (OSError, ValueError, pa.ArrowException):
        return False


def _part(store: Store, one: Tombstone) -> Path:
    return store.part("tombstones", f"{one.kind}_{safe_id(one.id)}")


def _table(rows: Sequence[Tombstone]) -> pa.Table:
    values: list[dict[str, Any]] = [asdict(one) for one in rows]
    return pa.Table.from_pylist(values, TOMBSTONES)
