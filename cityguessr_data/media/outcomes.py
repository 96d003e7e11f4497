"""What a site's answer means for the run: yt-dlp's messages and HTTP statuses become one of our error classes.

yt-dlp raises one type of error for nearly everything and passes on the site's own words, so the words are what there
is to go by. The first rule that fits decides; the order is from the narrow to the wide ("removed because of a copyright
claim" is copyright).
"""

from __future__ import annotations

import re
import unicodedata

from cityguessr_data.core.errors import ErrorClass
from cityguessr_data.media.pace import YOUTUBE

_RULES: tuple[tuple[ErrorClass, str], ...] = (
    (
        ErrorClass.BOT_CHECK,
        r"not a (ro)?bot|captcha|rate-limited by youtube|unusual traffic|cloudflare anti-bot|automated quer",
    ),
    (ErrorClass.COPYRIGHT, r"copyright"),
    (
        ErrorClass.GEO,
        r"geo.?(restrict|block|lock)|(in|from) your (country|region|location)|not available in this (country|region)"
        r"|only available in|outside (of )?the (country|uk|us)",
    ),
    (
        ErrorClass.AGE,
        r"(confirm|verify) your age|age.?(restrict|verif|gate|limit)|inappropriate for some users|adults? only",
    ),
    (
        ErrorClass.PRIVATE,
        r"private video|video is private|members[- ]only|join this channel|requires? (payment|purchase|subscription)"
        r"|(protected (by|with) (a )?password|password[- ]protected|video.?password)"
        r"|only (available|works) for registered|log ?in (is )?required|requires? (a )?(log ?in|authentication)"
        r"|sign in if you've been granted|must be logged in|available to (premium|subscribers)",
    ),
    # Not there yet: it is asked for again in the next run
    (
        ErrorClass.NETWORK,
        r"live event will begin|premieres? (in|will begin)|not currently live|is offline|will be available (in|on|at)"
        r"|is (still )?(being )?process(ed|ing)|try again later",
    ),
    (
        ErrorClass.REMOVED,
        r"(has|have) been (removed|deleted|taken down|terminated|closed|suspended)|(was|is) (removed|deleted)"
        r"|no longer available|does(n't| not) exist|video unavailable|(video|recording|content) is(n't| not) available"
        r"|video (is )?unavailable|account associated with this video",
    ),
    (
        ErrorClass.BAD_MEDIA,
        r"unsupported url|is not a valid url|no video formats|drm.protected|no media found|no video could be found"
        r"|there('s| is) no video|downloaded file is empty|did not get any data blocks|unusual and will be skipped"
        r"|only images are available|no suitable extractor|m3u8 download detected",
    ),
    (
        ErrorClass.NETWORK,
        r"timed? ?out|connection (refused|reset|aborted|broken)|remote end closed|name or service not known"
        r"|temporary failure in name resolution|nodename nor servname|no address associated|getaddrinfo"
        r"|network is unreachable|no route to host|more expected|expected \d+ bytes|incomplete ?read"
        r"|content too short|\bssl\b|certificate|tunnel connection failed|proxy|bad status line|redirect loop"
        r"|fragment \d+ not found",
    ),
)
_COMPILED = tuple((error_class, re.compile(pattern, re.IGNORECASE)) for error_class, pattern in _RULES)

_BY_STATUS = {
    400: ErrorClass.BAD_MEDIA,
    401: ErrorClass.PRIVATE,
    402: ErrorClass.PRIVATE,
    403: ErrorClass.PRIVATE,
    404: ErrorClass.REMOVED,
    410: ErrorClass.REMOVED,
    451: ErrorClass.GEO,  # "for legal reasons": nearly always those of the visitor's country
}

_HINTS = {
    ErrorClass.REMOVED: "It is gone from its site; nothing can be done here",
    ErrorClass.PRIVATE: "If your account may see it, give its cookies with --cookies FILE",
    ErrorClass.AGE: "The site asks for an account of age: --cookies FILE",
    ErrorClass.GEO: "The site shows it in other countries only",
    ErrorClass.COPYRIGHT: "It was blocked for its rights holder; nothing can be done here",
    ErrorClass.BOT_CHECK: "This run asks the site no more. Wait some hours, lower --rate, or give --cookies FILE",
    ErrorClass.NETWORK: "Run the same command again with --retry-failed",
    ErrorClass.BAD_MEDIA: "The link gives no video that can be used; check it in a browser",
    ErrorClass.INTERNAL: "Bring yt-dlp up to date (cgtool doctor shows how), then run again with --retry-failed",
}


def classify(message: str, http_status: int | None = None, site: str = "") -> ErrorClass:
    """The class of a failed lookup or download.

    Args:
        message: yt-dlp's, as it came.
        http_status: the status of the answer where one is known; else it is read from `HTTP Error 404` in the message.
        site: as `pace.site_of` gives it. YouTube answers 403 and 429 to a session it has had enough of, and offers no
            format where its challenge was not solved, which says nothing about the video.
    """
    if (said := in_words(message)) is not None:
        return said
    text = _bare(message)
    status = http_status
    if status is None:
        found = re.search(r"HTTP Error (\d{3})", text)
        status = int(found.group(1)) if found else None
    if status is not None:
        return _of_status(status, site)
    if "requested format is not available" in text.lower():
        return ErrorClass.INTERNAL if site == YOUTUBE else ErrorClass.BAD_MEDIA
    return ErrorClass.INTERNAL


def in_words(message: str) -> ErrorClass | None:
    """The class that the words of a message give; None where only its status tells, as in a bare `HTTP Error 403`."""
    text = _bare(message)
    return next((error_class for error_class, pattern in _COMPILED if pattern.search(text)), None)


def _bare(message: str) -> str:
    """A message without urls, extractor and id: a word inside these says nothing about the outcome."""
    text = re.sub(r"https?://\S+", " ", message.replace("’", "'"))  # sites write typographic apostrophes
    return re.sub(r"^(ERROR:\s*)?(\[[\w:.+-]+\]\s+(\S+:\s+)?)?", "", text)


def _of_status(status: int, site: str) -> ErrorClass:
    if site == YOUTUBE and status == 429:
        return ErrorClass.BOT_CHECK
    if site == YOUTUBE and status == 403:
        return ErrorClass.NETWORK
    if 300 <= status < 400:
        return ErrorClass.BAD_MEDIA  # a redirect that leads to no http url
    return _BY_STATUS.get(status, ErrorClass.NETWORK)


def hint(error_class: ErrorClass) -> str:
    """What a person can do about a video of this class."""
    return _HINTS.get(error_class, "")


def tidy(message: str) -> str:
    """yt-dlp's message as one plain line: without colours, its own advice, the extractor's tag, the causes."""
    text = plain(re.sub(r"\x1b\[[0-9;]*m", "", message))
    text = re.sub(r"^ERROR:\s*", "", text)
    text = re.sub(r"^\[[\w:.+-]+\]\s+(\S+:\s+)?", "", text)
    text = re.split(
        r"\s*\(caused by |;? ?please report this issue|\. Use --|;? see +https://github\.com/yt-dlp"
        r"|\s*Confirm you are on the latest",
        text,
    )[0]
    # "Unsupported URL: <url>" is what a page without a video gets
    text = re.sub(r"^Unsupported URL: \S+", "there is no video in what the link gives", text)
    # what it says where it would hand over to ffmpeg, which it is never given
    text = re.sub(r"^m3u8 download detected but .*", "it is a stream with an encryption that is not supported", text)
    return text.strip(" .;") or "no reason given"


def without_login(text: str) -> str:
    """A message without the names and passwords of urls in it, such as a proxy's."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def plain(text: str) -> str:
    """A title or message without control characters and half surrogates; a run of white space becomes one space.

    Also without what turns the direction of writing, by which a name can be made to look like another.
    """
    kept = (
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in text
        if unicodedata.category(c) != "Cs" and c not in _TURNING
    )
    return re.sub(r"\s+", " ", "".join(kept)).strip()
