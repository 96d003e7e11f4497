"""Asks a site's own search for videos, by yt-dlp, and what the site says of one of them. Never downloads.

A search's answer is flat: link, title, length, channel. The licence and the date take a look-up of the video itself.
Host guard, rate, retries and errors are those of a download (download.py).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus, urlsplit

from cityguessr_data.core.errors import InputError, VideoError
from cityguessr_data.core.sources import safe_id
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.media.hosts import HostGuard
from cityguessr_data.media.ids import offline_id
from cityguessr_data.media.outcomes import plain
from cityguessr_data.media.pace import YOUTUBE, Pace, site_of

if TYPE_CHECKING:
    from cityguessr_data.media.session import Session

MOST_RESULTS = 200
"""Of one query; YouTube gives 20 a request."""


@dataclass(frozen=True)
class FoundVideo:
    """What a site says of a video. None or empty where it does not."""

    url: str
    video_id: str
    """As a build names it."""
    title: str = ""
    channel: str = ""
    license: str = ""
    upload_date: str = ""
    """YYYY-MM-DD."""
    duration_s: float | None = None
    form: Literal["video", "live", "short"] = "video"
    """live: on air, or not yet. A stream that is over is a video."""


class Searcher:
    """Searches one site. The rate and a bot check count for all that it asks.

    Args:
        config: its cache and its limits on length and height are not used.
        key: yt-dlp's name of the search, e.g. `ytsearch`.
    Raises:
        InputError: yt-dlp has no such search.
    """

    def __init__(
        self, config: DownloadConfig, key: str, *, guard: HostGuard | None = None, pace: Pace | None = None
    ) -> None:
        self.key = key
        self._ie_key = _extractor_of(key)
        self._downloader = Downloader(config, guard=guard, pace=pace)

    def search(self, query: str, n: int, stop: threading.Event | None = None) -> tuple[FoundVideo, ...]:
        """The first `n` videos that the site finds, in its order, each once. What is no video is left out.

        Raises:
            VideoError: the search failed; RefusedHostError, SiteBlocked and class bot-check among them.
            DownloadStopped: `stop` was set.
        """
        if not (1 <= n <= MOST_RESULTS and query.strip()):
            raise ValueError(f"expected a query and 1 to {MOST_RESULTS} results, got {query!r} and {n}")
        page = f"https://www.youtube.com/results?search_query={quote_plus(query)}"
        # The rate is kept by site, and a site is told by a link
        site = page if self.key.startswith("yt") else f"https://{self.key}/"
        text = f"{self.key}{n}:{plain(query)}"
        try:
            found = self._downloader.ask(site, partial(_entries, text, self._ie_key), stop)
        except VideoError as exc:
            why = exc.message.removeprefix(f"{site}: ")
            raise VideoError(exc.error_class, f"the search for {query!r} failed: {why}", exc.hint) from exc
        return tuple({video.video_id: video for video in found}.values())

    def look_up(self, video: FoundVideo, stop: threading.Event | None = None) -> FoundVideo:
        """The same with what its own page says: licence, date, and what the search left out.

        Raises:
            VideoError: it is gone, private, ... (outcomes.classify), or the site could not be asked.
            DownloadStopped: `stop` was set.
        """
        looked_up: FoundVideo = self._downloader.ask(video.url, partial(_looked_up, video), stop)
        return looked_up


def _entries(text: str, ie_key: str, session: Session) -> list[FoundVideo]:
    from yt_dlp.utils import PlaylistEntries

    def whole() -> list[Any]:
        # The pages of an answer are asked for one by one, and a list that broke off cannot be gone on with
        top = session._follow({"url": text, "ie_key": ie_key})
        return list(PlaylistEntries(session.ydl, top).get_requested_items())

    return list(_videos(entry for _, entry in session._patiently(whole)))


def _looked_up(video: FoundVideo, session: Session) -> FoundVideo:
    info: Mapping[str, Any] = session._follow({"url": video.url})
    return replace(
        video,
        title=_text(info, "title") or video.title,
        channel=_text(info, "channel", "uploader") or video.channel,
        license=_text(info, "license"),
        upload_date=_date(info) or video.upload_date,
        duration_s=_duration(info) if video.duration_s is None else video.duration_s,
        form="live" if _is_live(info) else video.form,
    )


def _videos(entries: Iterator[Mapping[str, Any] | None]) -> Iterator[FoundVideo]:
    for entry in entries:
        url = str((entry or {}).get("url") or "")
        if not entry or urlsplit(url).scheme not in ("http", "https"):
            continue
        name = offline_id(url)
        if name is None and site_of(url) != YOUTUBE and entry.get("id"):
            name = safe_id(f"{str(entry.get('ie_key') or 'generic').lower()}_{entry['id']}")
        if name is None:
            continue  # a channel or a playlist
        yield FoundVideo(
            url,
            name,
            title=_text(entry, "title"),
            channel=_text(entry, "channel", "uploader"),
            duration_s=_duration(entry),
            form="live" if _is_live(entry) else "short" if "/shorts/" in urlsplit(url).path else "video",
        )


def _extractor_of(key: str) -> str:
    """yt-dlp's extractor of a search. Its catch-all takes any text for a link, so it does not count."""
    from yt_dlp.extractor import gen_extractor_classes

    wanted = f"{key}1:x"
    if re.fullmatch(r"[A-Za-z]+", key):
        for extractor in gen_extractor_classes():
            if extractor.IE_NAME != "generic" and extractor.suitable(wanted):
                return str(extractor.ie_key())
    raise InputError(f"yt-dlp knows no search {key!r}", "Give --search ytsearch, or ytsearchdate for the newest first")


def _text(info: Mapping[str, Any], *names: str) -> str:
    return next((plain(str(info[name])) for name in names if info.get(name)), "")


def _duration(info: Mapping[str, Any]) -> float | None:
    value = info.get("duration")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _is_live(info: Mapping[str, Any]) -> bool:
    return bool(info.get("is_live")) or info.get("live_status") in ("is_live", "is_upcoming", "post_live")


def _date(info: Mapping[str, Any]) -> str:
    date = str(info.get("upload_date") or "")
    if re.fullmatch(r"\d{8}", date):
        return f"{date[:4]}-{date[4:6]}-{date[6:]}"
    stamp = info.get("timestamp")
    return datetime.fromtimestamp(stamp, UTC).date().isoformat() if isinstance(stamp, int | float) else ""


def search_config(
    rate_per_hour: float, cookies: Path | None = None, proxy: str | None = None, allow_private_hosts: bool = False
) -> DownloadConfig:
    """How a site is asked, without anything that only a download needs.

    Raises:
        InputError: a value that makes no sense.
    """
    return DownloadConfig(Path(), rate_per_hour, cookies, proxy, allow_private_hosts)
