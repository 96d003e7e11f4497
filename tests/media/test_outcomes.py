"""Golden table: what sites and yt-dlp say, word for word, and the class a person would give it."""

from __future__ import annotations

import pytest

from cityguessr_data.core.errors import ErrorClass
from cityguessr_data.media.failures import typed
from cityguessr_data.media.outcomes import classify, hint, plain, tidy, without_login

YT = "youtube.com"
LOGIN = (
    "Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ"
    "#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies"
)
WEB = "ERROR: [generic] Unable to download webpage: "

GOLDEN = [
    # YouTube's own words, as yt-dlp passes them on
    (f"ERROR: [youtube] a: Private video. Sign in if you've been granted access to this video. {LOGIN}", YT, "private"),
    ("ERROR: [youtube] a: Video unavailable. This video has been removed by the uploader", YT, "removed"),
    ("ERROR: [youtube] a: Video unavailable. This video is no longer available because the YouTube account associated"
     " with this video has been terminated.", YT, "removed"),
    ("ERROR: [youtube] a: This video has been removed for violating YouTube's Terms of Service", YT, "removed"),
    ("ERROR: [youtube] a: Video unavailable", YT, "removed"),
    ("ERROR: [youtube] a: Video unavailable. This video is not available", YT, "removed"),
    ("ERROR: [youtube] a: This live stream recording is not available.", YT, "removed"),
    (f"ERROR: [youtube] a: Sign in to confirm your age. This video may be inappropriate for some users. {LOGIN}", YT,
     "age"),
    ("ERROR: [youtube] a: Video unavailable. The uploader has not made this video available in your country\n"
     "You might want to use a VPN or a proxy server (with --proxy) to workaround.", YT, "geo"),
    ("ERROR: [youtube] a: Video unavailable. This video is no longer available due to a copyright claim by X", YT,
     "copyright"),
    ("ERROR: [youtube] a: Video unavailable. This video contains content from SME, who has blocked it on copyright"
     " grounds", YT, "copyright"),
    (f"ERROR: [youtube] a: Sign in to confirm you’re not a bot. {LOGIN}", YT, "bot-check"),
    (f"ERROR: [youtube] a: Sign in to confirm you're not a bot. {LOGIN}", YT, "bot-check"),
    ("ERROR: [youtube] a: Video unavailable. YouTube is requiring a captcha challenge before playback", YT,
     "bot-check"),
    ("ERROR: [youtube] a: Video unavailable. This content isn't available, try again later. The current session has"
     " been rate-limited by YouTube for up to an hour.", YT, "bot-check"),
    ("ERROR: [youtube] a: Join this channel to get access to members-only content like this video, and other perks.",
     YT, "private"),
    ("ERROR: [youtube] a: This video requires payment to watch", YT, "private"),
    ("ERROR: [youtube] a: This live event will begin in 3 days.", YT, "network"),
    ("ERROR: [youtube] a: Premieres in 2 hours", YT, "network"),
    ("ERROR: [youtube] a: This video is DRM protected", YT, "bad-media"),
    ("ERROR: [youtube] a: Requested format is not available. Use --list-formats for a list of available formats", YT,
     "internal"),
    ("ERROR: [youtube] a: Unable to download API page: HTTP Error 429: Too Many Requests", YT, "bot-check"),
    ("ERROR: unable to download video data: HTTP Error 403: Forbidden", YT, "network"),
    # other sites, yt-dlp's own words
    ("ERROR: [vimeo] 1: This video is protected by a password, use the --video-password option", "", "private"),
    ("ERROR: [x] 1: This video is only available for registered users", "", "private"),
    ("ERROR: [x] 1: This video is not available from your location due to geo restriction", "", "geo"),
    ("ERROR: [x] 1: Video is geo restricted.", "", "geo"),
    ("ERROR: [x] 1: This video does not exist", "", "removed"),
    ("ERROR: [twitch:stream] x: The channel is not currently live", "", "network"),
    ("ERROR: [generic] Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with  --extractor-args",
     "", "bot-check"),
    ("ERROR: Unsupported URL: http://h/copyright-not-a-bot-geo-restricted", "", "bad-media"),
    ("ERROR: [generic] private-video: No video formats found!; please report this issue on  https://github.com/", "",
     "bad-media"),
    ("ERROR: [generic] a: Requested format is not available. Use --list-formats for a list", "", "bad-media"),
    (f"{WEB}HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)", "", "removed"),
    (f"{WEB}HTTP Error 410: Gone (caused by <HTTPError 410: Gone>)", "", "removed"),
    (f"{WEB}HTTP Error 401: Unauthorized (caused by <HTTPError 401: Unauthorized>)", "", "private"),
    (f"{WEB}HTTP Error 403: Forbidden (caused by <HTTPError 403: Forbidden>)", "", "private"),
    (f"{WEB}HTTP Error 429: Too Many Requests (caused by <HTTPError 429: Too Many Requests>)", "", "network"),
    (f"{WEB}HTTP Error 451: Unavailable For Legal Reasons", "", "geo"),
    (f"{WEB}HTTP Error 500: Internal Server Error", "", "network"),
    (f"{WEB}HTTP Error 503: Service Unavailable (caused by <HTTPError 503: Service Unavailable>)", "", "network"),
    (f"{WEB}timed out (caused by TransportError('timed out'))", "", "network"),
    (f"{WEB}[Errno 111] Connection refused (caused by TransportError('[Errno 111] Connection refused'))", "",
     "network"),
    (f"{WEB}[Errno -2] Name or service not known", "", "network"),
    ("ERROR: \r[download] Got error: Downloaded 1000 bytes, expected 79793 bytes. Giving up after 5 retries", "",
     "network"),
    ("ERROR: \r[download] Got error: 10 bytes read, 90 more expected. Giving up after 5 retries", "", "network"),
    ("ERROR: [x] 1: Unable to extract player url; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues",
     "", "internal"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "site", "expected"), GOLDEN)
def test_golden(message: str, site: str, expected: str) -> None:
    assert classify(message, site=site) == expected
    assert hint(ErrorClass(expected)), "every class tells the person what to do"


def test_the_status_of_the_answer_wins_over_none_in_the_message() -> None:
    assert classify("failed", 404) is ErrorClass.REMOVED
    assert classify("failed", 503) is ErrorClass.NETWORK
    assert classify("failed") is ErrorClass.INTERNAL


def test_only_what_will_not_change_is_permanent() -> None:
    """A retry must stay possible wherever the next hour may answer differently."""
    retryable = {expected for _, _, expected in GOLDEN if not ErrorClass(expected).permanent}
    assert retryable == {"network", "bot-check", "internal"}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (GOLDEN[0][0], "Private video. Sign in if you've been granted access to this video"),
        (f"{WEB}HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
         "Unable to download webpage: HTTP Error 404: Not Found"),
        ("\x1b[0;31mERROR:\x1b[0m [youtube] abc: Video unavailable\nmore", "Video unavailable more"),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_tidy(message: str, line: str) -> None:
    assert tidy(message) == line


def test_plain_keeps_letters_of_all_scripts_and_drops_controls() -> None:
    assert plain("Ein\tSpaziergang\r\n\x00durch 東京 👩‍👩‍👧 \ud800<b>") == "Ein Spaziergang durch 東京 👩‍👩‍👧 <b>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no way to http://me:secret@proxy:3128/ (refused)", "no way to http://proxy:3128/ (refused)"),
        ("no way to http://me:p@secret@proxy:3128", "no way to http://proxy:3128"),
        ("socks5://me@h and https://a:b@c", "socks5://h and https://c"),
        ("https://a/b@c says 4@5", "https://a/b@c says 4@5"),
    ],
)
def test_no_login_is_in_a_message(text: str, shown: str) -> None:
    assert without_login(text) == shown
    assert "secret" not in str(typed(OSError(text), "https://example.org/a.mp4", "example.org"))
