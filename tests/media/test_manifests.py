"""A short manifest that stands for a long list is refused, however it is written; yt-dlp itself is the judge."""

from __future__ import annotations

import gzip
import re
import resource
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yt_dlp import YoutubeDL
from yt_dlp.compat import compat_etree_fromstring

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media.manifests import MOST_QUALITIES, MOST_SEGMENTS, check_manifest, n_qualities, n_segments

NS = 'xmlns="urn:mpeg:dash:schema:mpd:2011"'
YEARS = '<SegmentTemplate timescale="1000" duration="3" media="$Number$.m4s"/>'
REPEATED = (
    '<SegmentTemplate media="$Number$.m4s"><SegmentTimeline><S d="1" r="2000000"/></SegmentTimeline></SegmentTemplate>'
)
SMOOTH = (
    '<SmoothStreamingMedia Duration="9"><StreamIndex Type="video" Url="q"><QualityLevel FourCC="H264" Bitrate="9"/>'
    '<c r="2000000" d="1" t="0"/></StreamIndex></SmoothStreamingMedia>'
)


def mpd(in_set: str = REPEATED, in_period: str = "", attrs: str = NS, p: str = "", root: str = "MPD") -> str:
    """`in_set` in the AdaptationSet, `in_period` in the Period, every tag with the prefix `p`."""
    body = (
        f"<Period>{in_period}<AdaptationSet mimeType='video/mp4'>{in_set}<Representation id='1'/></AdaptationSet>"
        "</Period>"
    )
    return re.sub("(</?)", rf"\1{p}", f"<{root} mediaPresentationDuration='PT1000H' {attrs}>{body}</{root}>")


LISTED = "<SegmentList>" + '<SegmentURL media="a"/>' * 2000 + "</SegmentList>"
DEFAULT = f'<!DOCTYPE x [<!ATTLIST a b CDATA "{"x" * 1_000_000}">]>'
FORMS: dict[str, bytes | tuple[bytes, str]] = {
    "as it is": mpd().encode(),
    "behind a comment": f"<!--{'.' * 5000}-->{mpd()}".encode(),
    "with a prefix": mpd(p="d:", attrs='xmlns:d="urn:mpeg:dash:schema:mpd:2011"').encode(),
    "of no namespace": mpd(attrs="").encode(),
    "in small letters": mpd(root="mpd").encode(),
    "of any namespace": mpd(attrs='xmlns="*"').encode(),
    "of another name": mpd(root="x", attrs="").encode(),
    "UTF-16": mpd().encode("utf-16"),
    "UTF-7": (mpd().encode("utf-7").replace(b"<", b"+ADw-"), "text/xml; charset=utf-7"),
    "Smooth Streaming": SMOOTH.encode(),
    "length": mpd(YEARS).encode(),
    "length of the first quality": mpd(
        '<Representation id="0"><SegmentTemplate media="a"><SegmentTimeline><S d="9999999"/></SegmentTimeline>'
        '</SegmentTemplate></Representation><SegmentTemplate duration="1" media="$Number$"/>'
    ).replace("mediaPresentationDuration='PT1000H' ", "").encode(),
    "a base after the template": mpd(YEARS + '<SegmentBase duration="9999999999"/>').encode(),
    "a second template": mpd(YEARS + '<SegmentTemplate duration="9999999999"/>').encode(),
    "a template of elsewhere": mpd(f'<SegmentTemplate xmlns="x" duration="9999999999"/>{YEARS}').encode(),
    "a second timeline": mpd(
        REPEATED.replace("</SegmentTemplate>", '<SegmentTimeline><S d="1"/></SegmentTimeline></SegmentTemplate>')
    ).encode(),
    "an empty timeline": mpd(YEARS.replace("/>", "><SegmentTimeline/></SegmentTemplate>")).encode(),
    "an attribute by default": f'<!DOCTYPE x [<!ATTLIST S r CDATA "2000000">]>{mpd(REPEATED.replace(" r=", " x="))}'
    .encode(),
    "one list for many": mpd("<Representation id='1'/>" * 300, LISTED).encode(),
    "a division by almost nothing": mpd('<SegmentTemplate duration="1e-300" media="$Number$"/>').encode(),
    "no number": mpd('<SegmentTemplate duration="nan" media="$Number$"/>').encode(),
    "a number beyond floats": mpd(REPEATED.replace("2000000", "9" * 400)).encode(),
    "many qualities": mpd("<Representation/>" * (MOST_QUALITIES + 1)).encode(),
    "many elements": b"<a>" + b"<b/>" * 2_000_000 + b"</a>",
    "long by default": f"{DEFAULT}<x>{'<a/>' * 1000}</x>".encode(),
    "long by entities": b'<!DOCTYPE x [<!ENTITY e "%s">]><x>%s</x>' % (b"x" * 1_000_000, b"&e;" * 90),
    "HLS, segments": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + b"a\n" * (MOST_SEGMENTS + 1),
    "HLS, qualities": b"#EXTM3U\n" + b"a\n" * (MOST_QUALITIES + 1),
    "HLS, lines of another kind": b"#EXTM3U\n" + b"a\x1c" * (MOST_QUALITIES + 1),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_short_manifest_that_stands_for_a_long_list_is_refused(form: str) -> None:
    made = FORMS[form]
    page, content_type = made if isinstance(made, tuple) else (made, "")
    assert len(gzip.compress(page)) < 20_000, "a few kilobytes on the way"
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    with pytest.raises(MediaError, match=r"its manifest (describes|has) over [0-9,]+ (segm|qual|lines|elem|char)"):
        check_manifest(page, content_type)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - before_mib < 250


def test_the_list_of_segments_that_is_downloaded_is_judged_without_its_head() -> None:
    """yt-dlp asks for it once more, and does not look then how it begins."""
    page = b"a\n" * (MOST_SEGMENTS + 1)
    check_manifest(page)
    with pytest.raises(MediaError, match="over 500,000 lines"):
        check_manifest(page, in_pieces=True)


def test_honest_lists_pass() -> None:
    """Ten hours in ten qualities, of segments of a second: listed, counted by a timeline, by their length; a feed."""
    qualities = "".join(f"<Representation id='{n}'/>" for n in range(9))
    hours = "mediaPresentationDuration='PT10H' "
    for source in (
        '<SegmentTemplate duration="1" media="$Number$"/>',
        '<SegmentTemplate media="$Time$"><SegmentTimeline><S d="1" r="35999"/></SegmentTimeline></SegmentTemplate>',
        "<SegmentList>" + '<SegmentURL media="a"/>' * 36_000 + "</SegmentList>",
    ):
        check_manifest(mpd(qualities, source).replace("mediaPresentationDuration='PT1000H' ", hours).encode())
    check_manifest(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + b"#EXTINF:1,\nsegment.ts\n" * 36_000)
    check_manifest(b"<rss><channel>" + b"<item><title>x</title><link>y</link></item>" * 20_000 + b"</channel></rss>")
    for page in (b"", b"<!doctype html><p>x<br>y", b'{"a": [1]}', b"\xff\xfe\x00", b"<a", b"\0" * 100):
        check_manifest(page)
    check_manifest(b"<a/>", "text/xml; charset=no-such-one")
    check_manifest(b"+2AA-", "text/xml; charset=utf-7")  # half a character
    check_manifest(mpd("", attrs="").replace("PT1000H", "1.2.3 hours").encode())


# --- yt-dlp itself is the judge

numbers = st.sampled_from(["0", "1", "2", "7", "-1", "40"])


@st.composite
def sources(draw: st.DrawFn) -> str:
    """What an element may say of its segments, or of those that yt-dlp does not look at."""
    found = ""
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["SegmentTemplate", "SegmentTemplate", "SegmentList", "SegmentBase"]))
        attrs = "".join(
            f' {name}="{draw(st.sampled_from(["1", "2", "7"]))}"'
            for name in ("timescale", "duration", "startNumber")
            if draw(st.booleans())
        )
        attrs += draw(
            st.sampled_from(["", "", ' initialization="i"', ' media="$Number$"', ' media="$Time$"', ' xmlns="x"'])
        )
        inside = ""
        for _ in range(draw(st.integers(0, 2))):
            entries = [f'<S d="{draw(numbers)}" r="{draw(numbers)}"/>' for _ in range(draw(st.integers(0, 3)))]
            inside += f"<SegmentTimeline>{''.join(entries)}</SegmentTimeline>"
        inside += '<SegmentURL media="a"/>' * draw(st.sampled_from([0, 0, 3, 50])) if kind == "SegmentList" else ""
        found += f"<{kind}{attrs}>{inside}</{kind}>"
    return found


@st.composite
def manifests(draw: st.DrawFn) -> str:
    periods = ""
    for _ in range(draw(st.integers(1, 2))):
        sets = ""
        for _ in range(draw(st.integers(1, 2))):
            qualities = [
                f'<Representation id="{n}">{draw(sources())}</Representation>' for n in range(draw(st.integers(1, 3)))
            ]
            parts = draw(st.permutations([draw(sources()), *qualities]))
            sets += f'<AdaptationSet mimeType="video/mp4">{"".join(parts)}</AdaptationSet>'
        length = draw(st.sampled_from(["", ' duration="PT9S"']))
        periods += f"<Period{length}>{draw(sources())}{sets}</Period>"
    length = draw(st.sampled_from(["", ' mediaPresentationDuration="PT20S"']))
    root, ns = draw(st.sampled_from([("MPD", NS), ("MPD", ""), ("mPd", 'xmlns="*"'), ("other", "")]))
    return f"<{root} {ns}{length}>{periods}</{root}>"


@cache
def judge() -> Any:
    return YoutubeDL({"quiet": True, "no_warnings": True}).get_info_extractor("Generic")


@given(manifests())
@settings(max_examples=100, deadline=None)
def test_never_fewer_than_yt_dlp_writes_out(text: str) -> None:
    written: list[Any] = []
    try:
        for period in judge()._parse_mpd_periods(compat_etree_fromstring(text), None, "http://a/", "http://a/b"):
            written += period["formats"]
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        pass  # what it was given before that counts
    root = ET.fromstring(text)
    assert n_qualities(root) >= len(written)
    assert n_segments(root) >= sum(len(one.get("fragments", ())) for one in written)
