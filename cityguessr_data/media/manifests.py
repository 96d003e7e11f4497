"""Counts what a manifest describes, before yt-dlp writes out a list of it.

A manifest of a kilobyte can stand for billions of segments: a duration of years in segments of a millisecond, one that
is repeated a billion times, a list that a thousand qualities share. A megabyte of empty elements, of lines of a letter
or of elements that all have a long value by default takes gigabytes once it is taken apart.

A page is decoded, parsed and searched as yt-dlp does it, so that both see the same: it asks neither how the root is
called nor where in the page it begins.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import int_or_none, parse_duration

from cityguessr_data.core.errors import MediaError

MOST_SEGMENTS = 500_000
"""Of all qualities together; ten hours in ten qualities of segments of a second are 360,000. Lines of a list of HLS."""
MOST_QUALITIES = 20_000
"""Of all periods together: yt-dlp keeps a kilobyte of each. Lines of a list of lists of HLS."""
MOST_ELEMENTS = 500_000
"""Of an XML page: 20,000 entries of a feed with 25 each."""
MOST_CHARACTERS = 40 << 20
"""Of its texts and attributes: more than a page may hold, as entities and attributes by default may make of it."""
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What str.splitlines, by which yt-dlp reads HLS, takes for the end of a line."""


def check_manifest(page: bytes, content_type: str = "", in_pieces: bool = False) -> None:
    """See that what yt-dlp makes of a page is bearable.

    Args:
        content_type: the header, which may name an encoding.
        in_pieces: it is read while segments are downloaded: a list of HLS, whatever it begins with.
    Raises:
        MediaError: it describes too many segments or qualities (DASH, Smooth Streaming, HLS), or is XML of too much.
    """
    text = _decoded(page, content_type)
    if in_pieces or page.startswith(b"#EXTM3U"):
        is_list_of_segments = in_pieces or "#EXT-X-TARGETDURATION" in text
        n_lines = sum(map(text.count, _LINE_ENDS))
        _refuse_over(MOST_SEGMENTS if is_list_of_segments else MOST_QUALITIES, n_lines, "describes", "lines")
    root = _parsed(text)
    if root is not None:
        _refuse_over(MOST_QUALITIES, n_qualities(root), "describes", "qualities")
        _refuse_over(MOST_SEGMENTS, n_segments(root), "describes", "segments")


def n_qualities(root: ET.Element) -> int:
    """How many a page would be as DASH or as Smooth Streaming."""
    ns = _namespace(root)
    dash = sum(
        len(adaptation.findall(f"{ns}Representation"))
        for period in root.findall(f"{ns}Period")
        for adaptation in period.findall(f"{ns}AdaptationSet")
    )
    return dash + sum(len(stream.findall("QualityLevel")) for stream in root.findall("StreamIndex"))


def n_segments(root: ET.Element) -> float:
    """How many a page would be as DASH or as Smooth Streaming: at least as many as yt-dlp writes out. May be NaN."""
    smooth = sum(
        len(stream.findall("QualityLevel")) * sum(max(1.0, _repeats(c.get("r"))) for c in stream.findall("c"))
        for stream in root.findall("StreamIndex")
    )
    return _n_of_dash(root) + smooth


def _n_of_dash(root: ET.Element) -> float:
    ns, total = _namespace(root), 0.0
    whole_s = _duration_s(root.get("mediaPresentationDuration"))
    for period in root.findall(f"{ns}Period"):
        of_period = _segments(period, ns, _Segments())
        qualities = []
        for adaptation in period.findall(f"{ns}AdaptationSet"):
            of_set = _segments(adaptation, ns, of_period)
            qualities += [_segments(one, ns, of_set) for one in adaptation.findall(f"{ns}Representation")]
        # Where none is given, yt-dlp takes what the first quality adds up to for the others
        period_s = _duration_s(period.get("duration")) or whole_s or max((q.length_s() for q in qualities), default=0.0)
        total += sum(quality.most(period_s) for quality in qualities)
    return total


class _Segments(NamedTuple):
    """What an element says of its segments; what it leaves out is its parent's."""

    timescale: float = 1.0
    duration: float | None = None
    timeline: float | None = None
    """How many a timeline lists, and in `timeline_ticks` how long they are."""
    timeline_ticks: float = 0.0
    addresses: int = 0
    """How many are listed by their addresses."""

    def most(self, period_s: float) -> float:
        """The most that may be made of it, with the one that begins it."""
        by_length = 1.0 + period_s * self.timescale / self.duration if self.duration else 0.0
        return 1.0 + max(self.addresses, by_length if self.timeline is None else self.timeline, key=_nan_first)

    def length_s(self) -> float:
        """How long those are together that are listed."""
        listed = max(self.timeline_ticks, self.addresses * (self.duration or 0.0), key=_nan_first)
        return listed / self.timescale if self.timescale else 0.0


def _segments(element: ET.Element, ns: str, parent: _Segments) -> _Segments:
    """As yt-dlp has it: the first list, or else the first template, and of it the first timeline that has entries."""
    source = element.find(f"{ns}SegmentList")
    if source is None:
        source = element.find(f"{ns}SegmentTemplate")
    if source is None:
        return parent
    timescale, duration = _number(source.get("timescale")), _number(source.get("duration"))
    own = parent._replace(
        timescale=parent.timescale if timescale is None else timescale,
        duration=parent.duration if duration is None else duration,
        addresses=len(source.findall(f"{ns}SegmentURL")) or parent.addresses,
    )
    timeline = source.find(f"{ns}SegmentTimeline")
    entries = [] if timeline is None else timeline.findall(f"{ns}S")
    if not entries:
        return own
    repeats = [1.0 + max(0.0, _repeats(s.get("r"))) for s in entries]
    ticks = sum(n * (_number(s.get("d")) or 0.0) for n, s in zip(repeats, entries, strict=True))
    return own._replace(timeline=sum(repeats), timeline_ticks=ticks)


def _decoded(page: bytes, content_type: str) -> str:
    """As yt-dlp decodes a page."""
    try:
        return page.decode(InfoExtractor._guess_encoding_from_content(content_type, page), "replace")
    except (LookupError, ValueError):
        return page.decode("utf-8", "replace")


def _parsed(text: str) -> ET.Element | None:
    """As yt-dlp parses a page: as text, or else as bytes, whose encoding the page itself may declare."""
    for encode in (str, str.encode):
        try:
            return ET.fromstring(encode(text), parser=ET.XMLParser(target=_Bounded()))
        except (ET.ParseError, ValueError, LookupError):
            continue  # yt-dlp says so itself
    return None


class _Bounded(ET.TreeBuilder):
    """Raises MediaError where a page has too many elements, or too much is in them."""

    n_elements = 0
    n_characters = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self.n_elements += 1
        _refuse_over(MOST_ELEMENTS, self.n_elements, "has", "elements")
        if attrs:
            self._count(sum(map(len, attrs.values())))
        return super().start(tag, attrs)

    def data(self, data: str, /) -> None:
        self._count(len(data))
        super().data(data)

    def _count(self, n_characters: int) -> None:
        self.n_characters += n_characters
        _refuse_over(MOST_CHARACTERS, self.n_characters, "has", "characters")


def _refuse_over(most: int, found: float, has: str, what: str) -> None:
    if not found <= most:
        raise MediaError(f"its manifest {has} over {most:,} {what}", "Check the link in a browser")


def _namespace(root: ET.Element) -> str:
    """What stands before the tags that yt-dlp looks for: a namespace counts only where the root is an MPD."""
    tag = str(root.tag)
    return tag[: -len("MPD")] if tag.upper().endswith("}MPD") else ""


def _duration_s(text: str | None) -> float:
    try:
        return float(parse_duration(text) or 0.0)
    except ValueError:
        return 0.0


def _number(text: str | None) -> float | None:
    try:
        return None if not text else abs(float(text))
    except ValueError:
        return None


def _repeats(text: str | None) -> float:
    return float(min(int_or_none(text, default=0), 1 << 60))


def _nan_first(number: float) -> float:
    return number if number == number else float("inf")
