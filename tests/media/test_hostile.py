"""What a hostile or broken server can do to one download: how it ends, in how many requests, at what cost.

The rule that the numbers of requests are written down from (docs/reliability.md): a video is looked up by one request
and downloaded by one; each is made again up to `retries` times after a failure of the network, and never after a
permanent answer; where the rest of a file is asked for and another part comes, the whole is asked for once.
"""

from __future__ import annotations

import errno
import gzip
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cityguessr_data.core.errors import ErrorClass, MediaError, StopError, VideoError
from cityguessr_data.core.types import Dropped, LocalVideo
from cityguessr_data.media.download import Downloader, SiteBlocked
from cityguessr_data.media.download_config import DownloadConfig, Limits
from cityguessr_data.media.failures import PauseAskedError, typed
from cityguessr_data.media.pace import Pace
from tests.support_hostile import (
    answer,
    drip,
    flood,
    gzip_of_zeros,
    gzipped,
    head,
    one_vast_header,
    reset_after_headers,
    silence,
    silent_body,
    vast_headers,
)
from tests.support_hostile_site import register, told
from tests.support_server import Act, Behaviour, Content, Redirect, Server, Status, links_page, video_page

RETRIES = 2
TRIES = 1 + RETRIES
BODY = b"\0\0\0\x18ftypmp42" + random.Random(7).randbytes(60_000)
PATH = "/a.mp4"
HLS, DASH, FEED = "application/x-mpegurl", "application/dash+xml", "application/rss+xml"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    web = tmp_path / "web"
    web.mkdir()
    (web / "a.mp4").write_bytes(BODY)
    with Server(web) as running:
        yield running


Make = Callable[..., Downloader]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(limits: Limits | None = None, **settings: Any) -> Downloader:
        quick = {"rate_per_hour": 1e9, "allow_private_hosts": True, "backoff_s": 0.01, "timeout_s": 0.5}
        chosen = {"cache": tmp_path / "cache", "retries": RETRIES, "limits": limits or Limits(slow_s=0.4), **quick}
        return Downloader(DownloadConfig(**{**chosen, **settings}))

    return build


@pytest.fixture
def site(server: Server) -> Server:
    """The server with its site known to yt-dlp."""
    register()
    return server


def end(downloader: Downloader, server: Server, path: str = PATH) -> VideoError | LocalVideo | Dropped:
    try:
        return downloader.fetch("x", server.url(path))
    except VideoError as exc:
        assert "\n" not in str(exc) and "\x1b" not in str(exc) and len(str(exc)) < 2000
        return exc


def files_in(cache: Path) -> set[str]:
    """What lies in a cache, but for the locks of who downloads what."""
    names = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(".turns/")}


# --- answers that break off, stall, lie about themselves or never end


def broken_then(after: Callable[[Any], None]) -> Act:
    """The first download breaks off in the middle; `after` answers whoever asks for the rest."""

    def act(handler: Any) -> None:
        if handler.headers.get("Range"):
            after(handler)
        elif handler.owner.count(PATH) == 2:
            head(handler, 200, "video/mp4", len(BODY))
            handler.wfile.write(BODY[:40_000])
            handler.wfile.flush()
            time.sleep(0.05)
            handler._reset()
        else:
            answer(200, BODY)(handler)

    return Act(act)


def rest_from(first_byte: int, says: str = "bytes {first}-{last}/{size}", **headers: str) -> Callable[[Any], None]:
    """A 206 with the bytes from there on, whatever was asked for."""
    said = says.format(first=first_byte, last=len(BODY) - 1, size=len(BODY))
    return answer(206, BODY[first_byte:], Content_Range=said, **headers)


def rest_of_a_newer_file(handler: Any) -> None:
    first = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    other = bytes(len(BODY) - first)
    says = f"bytes {first}-{len(BODY) - 1}/{len(BODY)}"
    answer(206, other, Content_Range=says, Last_Modified="Fri, 01 Jan 2100 00:00:00 GMT")(handler)


WHOLE = {
    # lookup, download that breaks off, its rest: not as asked for, so once more from the start
    "206 from elsewhere": (broken_then(rest_from(50_000)), 4),
    "206 without saying from where": (broken_then(rest_from(50_000, "nonsense")), 4),
    "206 of a file changed since": (broken_then(rest_of_a_newer_file), 4),
    "416": (broken_then(answer(416)), 4),
    # the whole in place of the rest is taken as it is
    "200 to a range": (broken_then(answer(200, BODY)), 3),
    "no length": (Act(answer(200, BODY, length=None)), 2),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_file_is_never_put_together_from_parts_that_do_not_fit(server: Server, make: Make, case: str) -> None:
    behaviour, requests = WHOLE[case]
    server.always(PATH, behaviour)
    outcome = end(make(), server)
    assert isinstance(outcome, LocalVideo), outcome
    assert outcome.path.read_bytes() == BODY
    assert server.count() == requests


@pytest.mark.parametrize("extra", [b"", b"of another file"], ids=["whole", "a little longer"])
def test_what_lies_beyond_the_end_is_asked_for_anew(server: Server, make: Make, extra: bytes) -> None:
    """A run was killed between the last byte and the renaming, or what it had was of a file that is shorter now.

    yt-dlp takes a file for whole that differs from the server's by less than 100 bytes.
    """
    server.plan(PATH, None, Act(answer(200, BODY + extra, length=len(BODY) + 20)))
    assert isinstance(end(make(retries=0), server), VideoError)
    assert isinstance(outcome := end(make(retries=0), server), LocalVideo), outcome
    assert outcome.path.read_bytes() == BODY
    asked = [seen.headers.get("Range") for seen in server.requests[-2:]]
    assert asked == [f"bytes={len(BODY + extra)}-", None]


FAILS: dict[str, tuple[Behaviour, ErrorClass, int]] = {
    "never an answer": (Act(silence), ErrorClass.NETWORK, TRIES),
    "silence in the body": (Act(silent_body(BODY[:30_000], len(BODY))), ErrorClass.NETWORK, 1 + TRIES),
    "a byte now and then": (Act(drip(b"ab", 0.05)), ErrorClass.NETWORK, 1 + TRIES),
    "headers a byte at a time": (Act(drip(b"a", 0.05, headers=True)), ErrorClass.NETWORK, TRIES),
    "reset after the headers": (Act(reset_after_headers), ErrorClass.NETWORK, 1 + TRIES),
    "a length below zero": (Act(answer(200, BODY, length="-5")), ErrorClass.NETWORK, TRIES),
    "a length that is no number": (Act(answer(200, BODY, length="many")), ErrorClass.NETWORK, TRIES),
    "a length too long": (Act(answer(200, BODY, length=len(BODY) + 9)), ErrorClass.NETWORK, 1 + TRIES),
    "a megabyte of headers": (Act(vast_headers), ErrorClass.NETWORK, TRIES),
    "a header of a megabyte": (Act(one_vast_header), ErrorClass.NETWORK, TRIES),
    "packed as it was not offered": (Act(answer(200, BODY, Content_Encoding="br")), ErrorClass.NETWORK, TRIES),
    "packed, but it is not": (Act(answer(200, BODY, Content_Encoding="gzip")), ErrorClass.NETWORK, TRIES),
    "a redirect to itself": (Redirect(PATH), ErrorClass.NETWORK, 5),  # urllib follows to one address four times
    "a redirect to ftp": (Redirect("ftp://127.0.0.1/a.mp4"), ErrorClass.BAD_MEDIA, 1),
    "a redirect to data": (Redirect("data:video/mp4;base64,AAAA"), ErrorClass.BAD_MEDIA, 1),
    "an ffconcat list": (Content(b"ffconcat version 1.0\nfile /etc/passwd\n", "video/mp4"), ErrorClass.BAD_MEDIA, 2),
}


@pytest.mark.parametrize("case", FAILS)
def test_every_failure_has_its_class_and_its_number_of_requests(server: Server, make: Make, case: str) -> None:
    behaviour, error_class, requests = FAILS[case]
    server.always(PATH, behaviour)
    outcome = end(make(), server)
    assert isinstance(outcome, VideoError), outcome
    assert (outcome.error_class, server.count()) == (error_class, requests), outcome
    assert outcome.hint and not list((make().config.cache / "sources").glob("*"))


def test_an_endless_way_of_redirects_is_left_after_ten(server: Server, make: Make) -> None:
    for n in range(30):
        server.always(f"/r{n}.mp4", Redirect(server.url(f"/r{n + 1}.mp4")))
    outcome = end(make(), server, "/r0.mp4")
    assert isinstance(outcome, VideoError) and outcome.error_class is ErrorClass.NETWORK
    assert server.count() == 11


def test_a_download_that_would_take_for_ever_is_given_up_and_gone_on_with(server: Server, make: Make) -> None:
    """Fast enough to count as alive, but not done within the time: the next run has what came so far."""
    pieces = (BODY[n : n + 2000] for n in range(0, len(BODY), 2000))
    server.plan(PATH, None, Act(drip(pieces, 0.1)))
    outcome = end(make(Limits(give_up_s=1.0, slow_s=0.5)), server)
    assert isinstance(outcome, VideoError) and outcome.error_class is ErrorClass.NETWORK, outcome
    assert "not whole after" in str(outcome) and server.count() == 2
    (part,) = (make().config.cache / "partial" / "x").iterdir()
    assert 2000 <= part.stat().st_size < len(BODY)
    assert isinstance(outcome := end(make(), server), LocalVideo) and outcome.path.read_bytes() == BODY
    assert int(server.requests[-1].headers["Range"].removeprefix("bytes=").rstrip("-")) >= 2000


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_without_end_is_cut_at_the_limit_and_not_kept(server: Server, make: Make, chunked: bool) -> None:
    server.always(PATH, Act(flood(BODY[:4096] * 16, "video/mp4", chunked, 64 << 20)))
    outcome = end(make(Limits(most_bytes=2 << 20)), server)
    assert isinstance(outcome, VideoError) and outcome.error_class is ErrorClass.BAD_MEDIA, outcome
    assert "larger than 2 MiB" in str(outcome) and server.count() == 2
    assert not (make().config.cache / "partial" / "x").exists(), "nothing of it fills the disk"


def test_a_file_that_says_it_is_too_large_is_not_begun(server: Server, make: Make) -> None:
    server.always(PATH, Act(silent_body(BODY, 5 << 30)))
    outcome = end(make(Limits(most_bytes=4 << 30)), server)
    assert isinstance(outcome, VideoError) and outcome.error_class is ErrorClass.BAD_MEDIA
    assert "larger than 4 GiB" in str(outcome) and server.count() == 1


REPEATED = (
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT9S"><Period><AdaptationSet '
    'mimeType="video/mp4"><SegmentTemplate media="$Number$.m4s"><SegmentTimeline><S t="0" d="1" r="2000000"/>'
    '</SegmentTimeline></SegmentTemplate><Representation id="1"/></AdaptationSet></Period></MPD>'
)
SMOOTH = (
    b'<SmoothStreamingMedia Duration="9"><StreamIndex Type="video" Url="q"><QualityLevel FourCC="H264" Bitrate="9"/>'
    b'<c r="2000000" d="1" t="0"/></StreamIndex></SmoothStreamingMedia>'
)
DISGUISES: dict[str, Callable[[str], bytes]] = {
    "behind a comment": lambda text: f"<!--{'.' * 5000}-->{text}".encode(),
    "with a prefix": lambda text: re.sub("(</?)", r"\1d:", text).replace("xmlns=", "xmlns:d=").encode(),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "as Smooth Streaming": lambda _: SMOOTH,
}
BOMBS: dict[str, Behaviour] = {
    "gzip, a page": Act(answer(200, gzip_of_zeros(300 << 20), "text/html", Content_Encoding="gzip")),
    "gzip, a video": Act(answer(200, gzip_of_zeros(300 << 20), Content_Encoding="gzip")),
    "gzip in gzip": Act(answer(200, gzip_of_zeros(300 << 20), "text/html", Content_Encoding="gzip, gzip")),
    "a long page": Act(flood(b"<html>" + b"a" * 65_530, "text/html", False, 300 << 20)),
    "a long playlist": Act(flood(b"#EXTM3U\n" + b"#" * 65_528, HLS, True, 300 << 20)),
    "a manifest of a billion segments": Content(
        b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT1000H"><Period><AdaptationSet '
        b'mimeType="video/mp4"><SegmentTemplate timescale="1000" duration="3" media="$Number$.m4s"/>'
        b'<Representation id="1"/></AdaptationSet></Period></MPD>',
        DASH,
    ),
    "a manifest that repeats a billion times": Content(
        b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT9S"><Period><AdaptationSet '
        b'mimeType="video/mp4"><SegmentTemplate media="$Number$.m4s"><SegmentTimeline><S t="0" d="1" r="999999999"/>'
        b'</SegmentTimeline></SegmentTemplate><Representation id="1"/></AdaptationSet></Period></MPD>',
        DASH,
    ),
    **{f"the same {form}": Content(of(REPEATED), DASH) for form, of in DISGUISES.items()},
    "a playlist of millions of qualities": Act(
        answer(200, gzip.compress(b"#EXTM3U\n" + b"a\n" * 3_000_000), HLS, Content_Encoding="gzip")
    ),
    "entities in entities": Content(
        b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a0 "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
        + b'<!ENTITY x "x">]><rss version="2.0"><channel><title>&a9;</title></channel></rss>',
        FEED,
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_what_unpacks_or_goes_on_without_end_is_refused_in_bounded_memory(
    server: Server, make: Make, case: str
) -> None:
    server.always(PATH, BOMBS[case])
    # yt-dlp's process, which needs 450 MiB of addresses to begin with, is refused more than 250 MiB on top
    outcome = end(make(Limits(slow_s=0.4, most_memory_bytes=700 << 20)), server)
    assert isinstance(outcome, VideoError), outcome
    assert outcome.error_class is ErrorClass.BAD_MEDIA, outcome
    assert server.count() == (2 if "playlist" in case else 1)  # a playlist is looked at, and then read
    assert "too much memory" not in str(outcome)


def test_an_honest_page_may_be_packed(server: Server, make: Make) -> None:
    server.always("/walk", Act(answer(200, gzipped(video_page("a.mp4")), "text/html", Content_Encoding="gzip")))
    (video,) = make().resolve(server.url("/walk"))
    fetched = make().fetch(video.video_id, video.url)
    assert isinstance(fetched, LocalVideo) and fetched.path.read_bytes() == BODY


def test_a_page_that_breaks_off_is_not_half_read(server: Server, make: Make) -> None:
    page = links_page(*(server.url(f"/{n}.mp4") for n in range(50))).encode()
    server.always("/list", Act(answer(200, page[:-20], FEED, length=len(page))))
    with pytest.raises(VideoError) as failure:
        make().resolve(server.url("/list"))
    assert failure.value.error_class is ErrorClass.NETWORK and server.count() == TRIES


# --- what a server asks to wait


@pytest.mark.parametrize(
    ("retry_after", "requests"),
    [
        ("315360000", 1),  # ten years
        ("9" * 400, 1),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1),
        ("Fri, 01 Jan 2100 00:00:00", 1),  # a date without a zone is one of Greenwich
        # what says nothing is as if it were not there
        ("-5", TRIES),
        ("soon", TRIES),
        ("\u00b2", TRIES),
        ("", TRIES),
        ("Fri, 01 Jan 99999 00:00:00 GMT", TRIES),
        ("Sun, 06 Nov 1994 08:49:37 GMT", TRIES),  # it is over
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_a_pause_asked_for_in_any_form(server: Server, make: Make, retry_after: str, requests: int, code: int) -> None:
    server.always(PATH, Status(code, {"Retry-After": retry_after}))
    outcome = end(make(), server)
    assert isinstance(outcome, VideoError) and outcome.error_class is ErrorClass.NETWORK
    assert server.count() == requests
    assert isinstance(outcome, PauseAskedError) == (requests == 1)
    if requests == 1:
        assert "asks for a pause of" in str(outcome)


def test_a_long_pause_asked_for_in_the_middle_of_a_download_is_kept_too(server: Server, make: Make) -> None:
    server.plan(PATH, None, Status(503, {"Retry-After": "3600"}))
    outcome = end(make(), server)
    assert isinstance(outcome, PauseAskedError) and server.count() == 2
    assert isinstance(end(make(), server), LocalVideo)


def test_a_short_pause_in_the_middle_of_a_download_is_waited_for(server: Server, make: Make) -> None:
    server.plan(PATH, None, Status(503, {"Retry-After": "1"}))
    assert isinstance(end(make(), server), LocalVideo)
    assert server.requests[2].at_s - server.requests[1].at_s >= 0.99


def test_a_site_that_has_had_enough_is_not_asked_for_the_next_video(server: Server, make: Make) -> None:
    server.always(PATH, Status(429, {"Retry-After": "3600"}))
    server.always("/busy.mp4", Status(503, {"Retry-After": "3600"}))
    downloader = make()
    with pytest.raises(PauseAskedError):
        downloader.fetch("busy", server.url("/busy.mp4"))
    with pytest.raises(PauseAskedError):  # 503 is of one file
        downloader.fetch("x", server.url(PATH))
    with pytest.raises(SiteBlocked, match="pause of 60 minutes"):
        downloader.fetch("y", server.url("/b.mp4"))
    assert server.count() == 2


# --- redirects over hosts


def test_cookies_do_not_follow_a_redirect_to_another_host(server: Server, make: Make, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tsession\tsecret\n")
    with Server(server.folder, "127.0.0.2") as other:
        server.always(PATH, Redirect(other.url("/b.mp4")))
        other.always("/b.mp4", Redirect(server.url("/c.mp4")))
        server.always("/c.mp4", Act(answer(200, BODY)))
        assert isinstance(end(make(cookies=cookies), server), LocalVideo)
        assert all(seen.headers.get("Cookie") == "session=secret" for seen in server.requests)
        assert other.count() > 0 and not any("secret" in str(dict(seen.headers)) for seen in other.requests)


# --- playlists


def test_a_list_of_ten_thousand_is_one_request(server: Server, make: Make) -> None:
    url = server.page("/list", links_page(*(server.url(f"/v{n}.mp4") for n in range(10_000))), FEED)
    found = make().resolve(url)
    assert len(found) == 10_000 and server.count() == 1
    assert [v.video_id for v in found[:2]] == ["generic_v0", "generic_v1"]


def test_a_list_beyond_the_limit_is_refused_and_not_cut(server: Server, make: Make) -> None:
    for n, fits in ((100, True), (101, False)):
        url = server.page("/list", links_page(*(server.url(f"/v{i}.mp4") for i in range(n))), FEED)
        if fits:
            assert len(make(Limits(most_entries=100)).resolve(url)) == n
            continue
        with pytest.raises(MediaError, match="over 100 videos") as failure:
            make(Limits(most_entries=100)).resolve(url)
        assert failure.value.error_class is ErrorClass.BAD_MEDIA


def test_a_list_of_pages_without_end_is_left_after_a_number_of_requests(site: Server, make: Make) -> None:
    class Endless(Server):
        def take(self, seen: Any) -> Behaviour:
            super().take(seen)
            n = self.count()
            said = (
                told(pages=0)
                if n == 1
                else told(entries=[{"_type": "url", "id": str(n), "url": self.url(f"/{n}.mp4")}])
            )
            return Content(said.encode(), "application/json")

    with Endless(site.folder) as endless:
        with pytest.raises(MediaError, match="over 30 requests"):
            make(Limits(most_requests=30), rate_per_hour=1e9).resolve(endless.url("/site/list"))
        assert endless.count() == 30


def test_lists_of_lists_of_themselves_are_asked_for_once_each(server: Server, make: Make) -> None:
    links = [server.url("/list"), server.url("/list"), server.url("/other"), server.url("/v.mp4")]
    url = server.page("/list", links_page(*links), FEED)
    server.page("/other", links_page(*links, server.url("/w.mp4")), FEED)
    found = make().resolve(url)
    # two levels down a link that tells nothing is a video of its own, which its download will judge
    assert {"generic_v", "generic_w"} <= {v.video_id for v in found} and len(found) == len({v.video_id for v in found})
    assert server.count("/list") <= 3 and server.count("/other") <= 2


def test_the_pages_of_a_list_are_asked_for_at_the_rate_of_videos(server: Server, make: Make) -> None:
    class Turns(Pace):
        taken: ClassVar[list[str]] = []

        def wait(self, site: str, stop: threading.Event | None = None) -> bool:
            self.taken.append(site)
            return super().wait(site, stop)

    url = server.page("/list", links_page(*(server.url(f"/p{n}") for n in range(3)), server.url("/v.mp4")), FEED)
    for n in range(3):
        server.page(f"/p{n}", video_page(f"v{n}.mp4"))
    downloader = Downloader(make().config, pace=Turns(1e9))
    assert len(downloader.resolve(url)) == 4
    assert Turns.taken == ["127.0.0.1"] * 4 and server.count() == 4, "a turn a request: the list and three pages"


# --- a site that says whatever it likes

NONSENSE: dict[str, str] = {
    "RecursionError": told(raises="RecursionError"),
    "KeyError": told(raises="KeyError"),
    "MemoryError": told(raises="MemoryError"),
    "a list": told(returns=[1, 2]),
    "a number": told(returns=7),
    "no formats": told(title="x"),
    "formats that are none": told(formats=[None, 7, "x"]),
    "a format without a url": told(formats=[{"format_id": "1"}]),
    "a url that is none": told(formats=[{"url": {"a": 1}, "format_id": "1"}]),
    "an ending that is a path": told(formats=[{"url": "http://127.0.0.1:1/a", "format_id": "1", "ext": "../../sh"}]),
    "a date that is none": told(upload_date="../../..", url="/v"),
    "a duration in words": told(duration="ages", url="/v"),
    "an unknown kind": told(_type="nonsense"),
    "a list of nonsense": told(_type="playlist", entries=[1, "x", [2]]),
    "entries that are none": told(_type="playlist", entries=7),
    "a pointer to nowhere": told(_type="url"),
    "a pointer to a file": told(_type="url", url="file:///etc/passwd"),
    "a file of this machine": told(formats=[{"url": "file:///etc/passwd", "format_id": "1", "ext": "mp4"}]),
    "a path of this machine": told(formats=[{"url": "/etc/passwd", "format_id": "1", "ext": "mp4"}]),
    "data": told(formats=[{"url": "data:video/mp4;base64,AAAA", "format_id": "1", "ext": "mp4"}]),
    "ftp": told(formats=[{"url": "ftp://127.0.0.1/a.mp4", "format_id": "1", "ext": "mp4"}]),
    "rtmp": told(formats=[{"url": "rtmp://127.0.0.1/a", "format_id": "1", "ext": "flv"}]),
    "a websocket": told(formats=[{"url": "ws://127.0.0.1/a", "format_id": "1", "ext": "mp4"}]),
    "ffmpeg's protocols": told(formats=[{"url": "concat:/etc/passwd", "protocol": "m3u8", "format_id": "1"}]),
    "a storyboard": told(formats=[{"url": "http://127.0.0.1:1/a", "protocol": "mhtml", "format_id": "1"}]),
    "pieces of this machine": told(
        formats=[
            {
                "url": "http://127.0.0.1:1/m.mpd",
                "protocol": "http_dash_segments",
                "format_id": "1",
                "ext": "mp4",
                "fragments": [{"url": "file:///etc/passwd"}],
            }
        ]
    ),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_from_an_extractor_is_a_typed_failure(site: Server, make: Make, case: str, tmp_path: Path) -> None:
    site.page("/site/x", NONSENSE[case], "application/json")
    outcome = end(make(min_duration_s=1, min_height_px=1), site, "/site/x")
    assert isinstance(outcome, VideoError), outcome
    assert outcome.error_class in (ErrorClass.BAD_MEDIA, ErrorClass.INTERNAL, ErrorClass.NETWORK), outcome
    assert site.count() <= 2 and b"root:" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    asked = site.count()
    try:
        videos = make().resolve(site.url("/site/x"))
    except VideoError as exc:
        assert "\n" not in str(exc) and "\x1b" not in str(exc)
    else:
        assert all(video.video_id.replace("-", "").replace("_", "").isalnum() for video in videos)
    assert site.count() - asked <= 2


@pytest.mark.parametrize(
    ("words", "error_class"),
    [
        ("Sign in to confirm you\u2019re not a bot", ErrorClass.BOT_CHECK),
        ("This video is private", ErrorClass.PRIVATE),
        ("This video has been removed by the uploader", ErrorClass.REMOVED),
        ("The uploader has not made this video available in your country", ErrorClass.GEO),
        ("Sign in to confirm your age", ErrorClass.AGE),
    ],
)
def test_what_a_site_says_of_a_video_is_asked_once(
    site: Server, make: Make, words: str, error_class: ErrorClass
) -> None:
    site.page("/site/x", told(says=words), "application/json")
    outcome = end(make(), site, "/site/x")
    assert isinstance(outcome, VideoError) and (outcome.error_class, site.count()) == (error_class, 1), outcome


def test_names_and_titles_from_a_site_are_tame(site: Server, make: Make, tmp_path: Path) -> None:
    evil = {
        "formats": [{"url": site.url(PATH), "format_id": "../../../../evil", "ext": "mp4", "height": 720}],
        "title": "\x1b]0;owned\x07 \u202egnp.exe\u2066 " + "a" * 1_000_000,
        "channel": "<script>\r\n\x00\u0085x",
        "license": "=cmd|'/c calc'!A0",
    }
    site.page("/site/x", told(**evil), "application/json")
    outcome = end(make(), site, "/site/x")
    assert isinstance(outcome, LocalVideo), outcome
    assert files_in(tmp_path / "cache") == {"sources/x.mp4", "sources/x.json"}
    assert outcome.title is not None and len(outcome.title) <= 1000
    for text in (outcome.title, outcome.channel, outcome.license):
        assert text is not None and not set(text) & set("\x1b\x07\r\n\x00\u0085\u202e\u2066")
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("name", ["../../evil.sh", "evil\r\nX: y.mp4", "a" * 5000 + ".mp4", "/etc/cron.d/x"])
def test_a_name_that_a_server_proposes_is_not_used(server: Server, make: Make, name: str, tmp_path: Path) -> None:
    said = name.replace("\r\n", " ")
    server.always("/walk", Act(answer(200, BODY, Content_Disposition=f'attachment; filename="{said}"')))
    outcome = end(make(), server, "/walk")
    files = files_in(tmp_path / "cache")
    if isinstance(outcome, VideoError):  # an ending that no video has is not taken at all
        assert outcome.error_class is ErrorClass.BAD_MEDIA and name.endswith(".sh") and not files
    else:
        assert files == {"sources/x.json", "sources/x.mp4"}


@pytest.mark.parametrize("kind", ["master", "dash"])
def test_a_live_list_ends(server: Server, make: Make, kind: str) -> None:
    """A list that grows as fast as it is read: what is there is taken or it is left out, but it is not followed."""
    segments = "".join(f"#EXTINF:1,\n/s{n}.ts\n" for n in range(3))
    server.always("/live.m3u8", Content(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{segments}".encode(), HLS))
    server.always("/in.m3u8", Content(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n/live.m3u8\n", HLS))
    dynamic = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="2020-01-01T00:00:00Z" '
        'minimumUpdatePeriod="PT1S"><Period start="PT0S"><AdaptationSet mimeType="video/mp4"><SegmentTemplate '
        'timescale="1" duration="1" media="/s$Number$.ts" startNumber="1"/><Representation id="1" bandwidth="1"/>'
        "</AdaptationSet></Period></MPD>"
    )
    server.always("/in.mpd", Content(dynamic.encode(), DASH))
    for n in range(3):
        server.always(f"/s{n}.ts", Content(b"\x47" + bytes(187), "video/mp2t"))
    end(make(), server, "/in.m3u8" if kind == "master" else "/in.mpd")
    assert server.count() <= 8


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_disk_that_is_full_stops_the_run_and_not_the_video(number: int) -> None:
    """However deep yt-dlp wraps it, and whatever a connection says before."""
    try:
        try:
            raise OSError(number, "said by the disk")
        except OSError as exc:
            raise RuntimeError("unable to write data") from exc
    except RuntimeError as wrapped:
        stop = typed(wrapped, "https://example.org/a.mp4", "example.org")
    assert isinstance(stop, StopError) and stop.exit_code == 3 and stop.hint
    lost = typed(ConnectionResetError(errno.ECONNRESET, "reset"), "https://example.org/a.mp4", "example.org")
    assert isinstance(lost, VideoError) and lost.error_class is ErrorClass.NETWORK


def test_limits_are_those_that_the_document_names() -> None:
    limits = Limits()
    assert (limits.give_up_s, limits.most_bytes, limits.most_page_bytes) == (12 * 3600, 32 << 30, 32 << 20)
    assert (limits.most_requests, limits.most_entries, limits.least_bytes_per_s) == (1000, 20_000, 1024)
    assert replace(limits, slow_s=1).slow_s == 1
