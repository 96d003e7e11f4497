"""The sources table: which videos to fetch, which span of each, and where it was filmed (contract 3).

The table is checked whole before anything is downloaded. Every fault is told with its line, at once.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .errors import InputError, TableError
from .links import checked_url
from .tables import Fault, number, read_table
from .taxonomy import Taxonomy
from .taxonomy_checks import coordinates
from .types import Place, SourceRow, VideoTask

REQUIRED = ("url", "city")
OPTIONAL = ("video_id", "state", "country", "continent", "lat", "lon", "start_s", "end_s", "license", "clip_index")
OWN_COLUMNS = frozenset(
    {"title", "channel", "upload_date", "sha256", "status", "reason"}
    | {"duration_s", "fps", "width", "height", "n_frames", "n_clips"}
)
"""Columns that the videos table fills itself: a source column of that name passes through as `source_<name>`."""

_MAX_ID = 120
_MAX_INDEX = 99_999
"""A clip id has five digits for it."""


def read_sources(table: str | Path, taxonomy: Taxonomy, *, allow_private_hosts: bool = False) -> tuple[SourceRow, ...]:
    """Read and check a sources table.

    Args:
        table: a local CSV (UTF-8) or Parquet file. Relative paths in it start at its folder.
        taxonomy: the places that are known; cities are stored in its spelling.
        allow_private_hosts: take links to this machine and to private addresses.
    Returns:
        The rows in the order of the file.
    Raises:
        InputError: the table is not a local file, or there is none.
        TableError: every fault with its line.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(table)):
        raise InputError(f"the sources table must be a local file, not {table}", "Download it first and name the file")
    path = Path(table)
    text = read_table(path, REQUIRED, OPTIONAL, parquet=True)
    renamed = {column: f"source_{column}" for column in text.columns if column.lower() in OWN_COLUMNS}
    for new in renamed.values():
        if new in text.columns:
            raise TableError(str(table), [(1, f"columns {new!r} and {new[7:]!r} would both pass through as {new!r}")])
    faults = list(text.faults)
    folder = path.resolve().parent
    places = _Places(taxonomy)
    rows = []
    for line, cells in text.rows:
        named = {renamed.get(column, column): cell for column, cell in cells.items()}
        row = _row(line, named, folder, places, allow_private_hosts, faults)
        if row:
            rows.append(row)
    faults += _conflicts(rows)
    if faults:
        raise TableError(str(table), sorted(faults))
    return tuple(rows)


def safe_id(text: str) -> str:
    """A video id that may name a file: [A-Za-z0-9_-], no leading `-`, 1 to 120 characters.

    A text that is so already is kept. Otherwise each other character becomes `_`, the result is cut, and the first ten
    hex digits of the text's SHA-256 are appended, so that two texts do not become one id.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    if safe.startswith("-"):
        safe = "_" + safe[1:]
    if safe == text and 0 < len(safe) <= _MAX_ID:
        return safe
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{safe[: _MAX_ID - 11] or 'video'}_{digest}"


def group_tasks(rows_with_ids: Iterable[tuple[str, str, SourceRow]]) -> tuple[VideoTask, ...]:
    """Units of work from (video_id, url, row): the rows of one video together, ordered by the start of their spans.

    Videos come in the order of their first row; a row that names one video twice (a playlist may) counts once.

    Raises:
        InputError: one row names several videos under one id, or two rows claim the same seconds or clip number of one
            video, which a table cannot show before its playlists are expanded.
    """
    groups: dict[str, list[SourceRow]] = {}
    urls: dict[tuple[str, int], str] = {}
    for video_id, url, row in rows_with_ids:
        if urls.setdefault((video_id, row.line), url) != url:
            raise InputError(
                f"line {row.line} names several videos, all with the video_id {video_id}",
                "Leave video_id empty where the link is a playlist",
            )
        rows = groups.setdefault(video_id, [])
        if row not in rows:
            rows.append(row)
    for video_id, rows in groups.items():
        rows.sort(key=lambda row: (_span(row), row.line))
        for line, other in _overlaps(rows):
            raise InputError(
                f"lines {other} and {line} both name the same seconds of {video_id}",
                "Give each row a start_s and end_s of its own, or remove one",
            )
        for line, fault in _misnumbered(rows):
            raise InputError(f"line {line}: {fault}", "Give each row of the video a clip_index of its own, or none")
    # The url is that of the earliest span: the order of the table is not part of what is asked
    return tuple(VideoTask(video_id, urls[video_id, rows[0].line], tuple(rows)) for video_id, rows in groups.items())


class _Places:
    """Places by the cells that name them: large tables repeat few places, and looking up a wrong name is slow."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._known: dict[tuple[str, ...], Place | str] = {}

    def find(self, city: str, state: str, country: str, continent: str) -> Place | str:
        """The place, or in words why there is none."""
        key = (city, state, country, continent)
        if key not in self._known:
            try:
                self._known[key] = self._taxonomy.resolve(*key)
            except InputError as exc:
                self._known[key] = str(exc)
        return self._known[key]


def _row(
    line: int, cells: Mapping[str, str], folder: Path, places: _Places, allow_private_hosts: bool, faults: list[Fault]
) -> SourceRow | None:
    """One row checked by itself; None where its link or span is not known well enough to compare it with others."""
    lat, lon = coordinates(line, cells, faults)
    place: Place | str = "city is empty"
    if cells["city"]:
        place = places.find(cells["city"], *(cells.get(level, "") for level in ("state", "country", "continent")))
    if isinstance(place, str):
        faults.append((line, place))
        place = Place(cells["city"], "", "", "")  # never handed out: the table has a fault
    if lat is not None:
        place = replace(place, lat=lat, lon=lon)
    before = len(faults)
    clip_index = _clip_index(line, cells, faults)
    start_s = _seconds(line, "start_s", cells, faults)
    end_s = _seconds(line, "end_s", cells, faults)
    if end_s is not None and end_s <= (start_s or 0.0):
        faults.append((line, f"end_s: expected more than start_s ({start_s or 0:g}), got {end_s:g}"))
    url = ""
    try:
        if not cells["url"]:
            raise ValueError("the cell is empty")
        url = checked_url(cells["url"], folder, allow_private_hosts)
    except ValueError as exc:
        faults.append((line, f"url: {exc}"))
    if len(faults) > before:
        return None
    return SourceRow(
        line=line,
        url=url,
        place=place,
        video_id=safe_id(cells["video_id"]) if cells.get("video_id") else None,
        start_s=start_s,
        end_s=end_s,
        license=cells.get("license") or None,
        extra={column: cell for column, cell in cells.items() if column not in (*REQUIRED, *OPTIONAL)},
        clip_index=clip_index,
    )


def _seconds(line: int, column: str, cells: Mapping[str, str], faults: list[Fault]) -> float | None:
    if not cells.get(column):
        return None
    try:
        return number(cells[column], 0.0, math.inf)
    except ValueError as exc:
        faults.append((line, f"{column}: {exc}"))
        return None


def _clip_index(line: int, cells: Mapping[str, str], faults: list[Fault]) -> int | None:
    if not cells.get("clip_index"):
        return None
    try:
        index = number(cells["clip_index"], 0, _MAX_INDEX)
        if index != int(index):
            raise ValueError(f"expected a whole number, got {cells['clip_index']!r}")
    except ValueError as exc:
        faults.append((line, f"clip_index: {exc}"))
        return None
    return int(index)


def _conflicts(rows: list[SourceRow]) -> list[Fault]:
    """What is wrong between rows: one id for two links, a link with an id and without, a span or clip number twice.

    A link with several ids is a page of several videos, which its rows tell apart: a video is its id where it has one.
    """
    faults: list[Fault] = []
    first_by_id: dict[str, SourceRow] = {}
    first_by_url: dict[str, SourceRow] = {}
    by_video: dict[tuple[str, str], list[SourceRow]] = {}
    for row in rows:
        if row.video_id is not None:
            first = first_by_id.setdefault(row.video_id, row)
            if first.url != row.url:
                faults.append(
                    (row.line, f"video_id {row.video_id} is another video's (another url) on line {first.line}")
                )
        first = first_by_url.setdefault(row.url, row)
        if (first.video_id is None) != (row.video_id is None):
            said, other = (row.video_id or "empty"), (first.video_id or "empty")
            faults.append((row.line, f"video_id is {said} here and {other} for the same url on line {first.line}"))
        by_video.setdefault((row.url, row.video_id or ""), []).append(row)
    for group in by_video.values():
        group.sort(key=lambda row: (_span(row), row.line))
        for line, other_line in _overlaps(group):
            faults.append(
                (line, f"the same video and seconds as line {other_line}: spans of one video must not overlap")
            )
        faults += _misnumbered(group)
    return faults


def _misnumbered(rows: Sequence[SourceRow]) -> list[Fault]:
    """What is wrong with the clip numbers of one video's rows: all have one, each its own, or none has."""
    numbered = [row for row in rows if row.clip_index is not None]
    if not numbered:
        return []
    faults = [
        (
            row.line,
            f"clip_index is empty here and {numbered[0].clip_index} for the same video on line {numbered[0].line}",
        )
        for row in rows
        if row.clip_index is None
    ]
    first: dict[int | None, int] = {}
    for row in sorted(numbered, key=lambda row: row.line):
        other = first.setdefault(row.clip_index, row.line)
        if other != row.line:
            faults.append((row.line, f"clip_index {row.clip_index} stands on line {other} too, of the same video"))
    return faults


def _span(row: SourceRow) -> tuple[float, float]:
    return (row.start_s or 0.0, math.inf if row.end_s is None else row.end_s)


def _overlaps(rows: list[SourceRow]) -> list[tuple[int, int]]:
    """(line, line before it that claims the same seconds) among rows of one video, sorted by span."""
    found = []
    widest = rows[0]
    for row in rows[1:]:
        if _span(row)[0] < _span(widest)[1]:
            found.append((max(row.line, widest.line), min(row.line, widest.line)))
        if _span(row)[1] > _span(widest)[1]:
            widest = row
    return found
