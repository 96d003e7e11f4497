"""Counts the segments that a DASH manifest describes, before yt-dlp writes out a list of them.

A manifest of a kilobyte can stand for billions of segments: a duration of years in segments of a millisecond, or one
that is repeated a billion times.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

from yt_dlp.utils import int_or_none, parse_duration

from cityguessr_data.core.errors import MediaError

MOST_SEGMENTS = 500_000
"""Of all qualities together; ten hours in ten qualities of segments of a second are 360,000."""


class _Segments(NamedTuple):
    """What an element says of its segments; what it leaves out is its parent's."""

    timescale: float = 1.0
    duration: float | None = None
    listed: int | None = None


def check_manifest(page: bytes) -> None:
    """Raises MediaError for a DASH manifest of over MOST_SEGMENTS segments; takes everything else."""
    if b"<MPD" not in page[:4096]:
        return
    try:
        root = ET.fromstring(page)
    except ET.ParseError:
        return  # yt-dlp says so itself
    length_s = parse_duration(root.get("mediaPresentationDuration")) or 0.0
    total = 0.0
    for period in _children(root, "Period"):
        of_period = _segments(period, _Segments())
        period_s = parse_duration(period.get("duration")) or length_s
        for adaptation in _children(period, "AdaptationSet"):
            of_set = _segments(adaptation, of_period)
            for quality in _children(adaptation, "Representation"):
                total += _count(_segments(quality, of_set), period_s)
    if not total <= MOST_SEGMENTS:
        raise MediaError(f"its manifest describes over {MOST_SEGMENTS:,} segments", "Check the link in a browser")


def _count(segments: _Segments, length_s: float) -> float:
    if segments.listed is not None:
        return segments.listed
    return length_s * segments.timescale / segments.duration if segments.duration else 0.0


def _segments(element: ET.Element, parent: _Segments) -> _Segments:
    own = parent
    for child in element:
        if _name(child) not in ("SegmentTemplate", "SegmentList", "SegmentBase"):
            continue
        for timeline in _children(child, "SegmentTimeline"):
            repeats = (int_or_none(s.get("r"), default=0) for s in _children(timeline, "S"))
            own = own._replace(listed=sum(1 + max(0, r) for r in repeats))
        timescale, duration = (_number(child.get(name)) for name in ("timescale", "duration"))
        own = own._replace(
            timescale=own.timescale if timescale is None else timescale,
            duration=own.duration if duration is None else duration,
        )
    return own


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else abs(float(text))
    except ValueError:
        return None


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element if _name(child) == name]


def _name(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]
