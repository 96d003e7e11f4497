"""The prefilter gives the same extractor as asking all of them."""

from __future__ import annotations

import re

import pytest

from cityguessr_data.media.site_words import needed_words, prefilter


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"https?://(?:www\.)?abc\.com/video/(?P<id>\d+)", {"://abc.com/video/", "abc.com/video/"}),
        (r"https?://(?:one\.org|TWO\.org)/\d+", {"one.org", "two.org"}),
        (r"https?://[^/]+/\d+", None),
        (r"(?:abc\.com)?\d+", None),
        (r"(?!abc\.com)\d+", None),
    ],
)
def test_words_that_every_match_holds(pattern: str, expected: set[str] | None) -> None:
    words = needed_words(pattern)
    assert words is None if expected is None else words is not None and words <= expected


def test_the_same_extractor_as_when_all_are_asked() -> None:
    from yt_dlp.extractor import gen_extractor_classes, list_extractor_classes

    everything = list(gen_extractor_classes())
    urls = [
        t["url"]
        for ie in list(list_extractor_classes())[::7]
        for t in list(ie.get_testcases(include_onlymatching=True))[:1]
    ]
    urls += [re.sub(r"[?#].*", "", u).rstrip("/") + ".MP4" for u in urls[::6]]
    urls += ["https://example.org/a/tour.mp4", "https://cdn.example.org/a/b/x.m3u8?y=1", "https://www.YOUTUBE.com/a.ts"]
    assert len(urls) > 200
    for url in urls:
        assert prefilter().first_suitable(url) is next((ie for ie in everything if ie.suitable(url)), None), url


def test_few_are_asked_for_a_link_of_no_known_site() -> None:
    found = prefilter()
    assert len(found.always) < len(found.extractors) / 10


def test_a_suitable_method_of_yt_dlp_never_takes_what_its_pattern_refuses() -> None:
    from yt_dlp.extractor import list_extractor_classes
    from yt_dlp.extractor.common import InfoExtractor

    own = [ie for ie in list_extractor_classes() if ie.suitable.__func__ is not InfoExtractor.suitable.__func__]
    urls = [test["url"] for ie in own for test in ie.get_testcases(include_onlymatching=True)][::6]
    urls += ["https://example.org/a/tour.mp4", "https://cdn.example.org/b.m3u8"]
    assert len(own) > 50
    for ie in own:
        assert [u for u in urls if ie.suitable(u) and ie._match_valid_url(u) is None] == [], ie.IE_NAME
