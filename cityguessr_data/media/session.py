"""One conversation with yt-dlp about one link: look it up, list its videos, download one of them.

The lookup is made without yt-dlp's own processing: a list costs one request, and one bad entry does not spoil it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from yt_dlp.networking import Request
from yt_dlp.utils import PlaylistEntries, unsmuggle_url

from cityguessr_data.core.errors import ErrorClass, InputError, MediaError, VideoError
from cityguessr_data.core.sources import safe_id
from cityguessr_data.core.types import Dropped, DropReason
from cityguessr_data.media.answers import Meter
from cityguessr_data.media.download_config import DownloadConfig, Progress, Refused, ResolvedVideo
from cityguessr_data.media.failures import retry_after_s, typed, worth_retrying
from cityguessr_data.media.hosts import HostGuard
from cityguessr_data.media.ids import generic_id, offline_id
from cityguessr_data.media.outcomes import plain
from cityguessr_data.media.pace import site_of
from cityguessr_data.media.ytdlp import GuardedYoutubeDL, options

T = TypeVar("T")
Entry = dict[str, Any]
"""yt-dlp's dictionary of a video, a playlist or a pointer to another url."""

_MAX_HOPS = 8  # pages that only point to another page
_MAX_DEPTH = 2  # a channel holds tabs, a tab holds videos


class _Drop(Exception):
    def __init__(self, reason: DropReason, message: str) -> None:
        super().__init__(message)
        self.dropped = Dropped(reason, message)


class Session:
    """Used by one thread, for one link.

    Args:
        folder: where a download goes; a lookup needs none.
        turn: waits until a page that a list points to may be asked for; raises where its site may not be asked.
        found: called where the look-up of a download is over.
    """

    def __init__(
        self,
        config: DownloadConfig,
        guard: HostGuard,
        url: str,
        folder: Path | None,
        progress: Progress | None,
        halt: threading.Event,
        refused: Refused,
        turn: Callable[[str], None],
        found: Callable[[], None],
    ) -> None:
        self._found = found
        self.config, self.url, self.halt, self._progress = config, url, halt, progress
        self._refused, self._turn = refused, turn
        self._meter = Meter(config.limits)
        self._n_entries = 0
        self._followed: set[str] = set()
        params = options(
            max_height_px=config.max_height_px,
            timeout_s=config.timeout_s,
            retries=config.retries,
            backoff_s=config.backoff_s,
            request_interval_s=min(1.0, 3600.0 / config.rate_per_hour / 4),
            cookies=None if config.cookies is None else _text_of(config.cookies),
            proxy=config.proxy,
            stop=halt,
            on_progress=self._report,
        )
        self.ydl = GuardedYoutubeDL(
            params,
            guard=guard,
            stop=halt,
            meter=self._meter,
            folder=folder,
            max_wait_s=config.max_wait_s,
            url=url,
            on_chosen=self._check_chosen,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ydl.close()

    def videos(self) -> tuple[ResolvedVideo, ...]:
        """The videos that the link stands for, in order, each once."""
        found = {video.video_id: video for _, video in self._walk(self._follow({"url": self.url}), self.url, 0)}
        self._meter.check_requests()
        return tuple(found.values())

    def download(self, video_id: str) -> tuple[Path, dict[str, Any]] | Dropped:
        """Download the link's video; of a page with several, the one of this id.

        Returns:
            (file, what the site says of it: title, channel, license, upload_date, extractor), or why it is left out.
        """
        entry = self._pick(video_id)
        try:
            self._check_known(entry)
            self._meter.looking_up = False
            self._found()
            info = self.ydl.process_ie_result(entry, download=True)
        except _Drop as drop:
            return drop.dropped
        done = (info or {}).get("requested_downloads") or [{}]
        if not done[0].get("filepath"):
            raise MediaError(f"{self.url} gave no file", "Check the link in a browser")
        return Path(done[0]["filepath"]), _about(info)

    def look(self, video_id: str) -> None:
        """See that the link still gives its video; of a page with several, the one of this id.

        A page of no known site may be there while its video file is not: that is asked for one byte, with the headers
        that a download of it would send (some files are given only to who comes from their page).
        """
        entry = self._pick(video_id)
        if entry.get("extractor_key") == "Generic" and not entry.get("direct"):
            files = [one for one in (entry, *(entry.get("formats") or ())) if _is_web(one.get("url"))]
            if files:
                headers = dict(files[0].get("http_headers") or entry.get("http_headers") or {})
                headers = {name: value for name, value in headers.items() if name.lower() not in ("cookie", "range")}
                request = Request(files[0]["url"], headers={**headers, "Range": "bytes=0-0"})
                self._patiently(lambda: self.ydl.urlopen(request).close())

    def _pick(self, video_id: str) -> Entry:
        top = self._follow({"url": self.url})
        if top.get("_type", "video") == "video":
            return top
        found = list(self._walk(top, self.url, _MAX_DEPTH))
        match = [entry for entry, video in found if video.video_id == video_id] or [
            e for e, _ in found if len(found) == 1
        ]
        if not match:
            raise MediaError(
                f"{self.url} holds {len(found)} videos, none of them {video_id}", "Link to the video itself"
            )
        return self._follow(match[0]) if match[0].get("_type", "video") != "video" else match[0]

    def _follow(self, entry: Entry) -> Entry:
        """Ask for what an entry points to, until it is a video or a list."""
        for _ in range(_MAX_HOPS):
            ask = lambda e=entry: self.ydl.extract_info(e["url"], download=False, process=False, ie_key=e.get("ie_key"))  # noqa: E731
            inner = self._patiently(ask)
            if not inner:
                raise MediaError(f"{self.url} gave no video", "Check the link in a browser")
            if entry.get("_type") == "url_transparent":
                own = {k: v for k, v in entry.items() if v is not None and k not in _OF_INNER}
                inner = {**inner, **own}
            entry = inner
            if entry.get("_type", "video") not in ("url", "url_transparent"):
                return entry
        raise MediaError(f"{self.url} leads from page to page without end", "Link to the video itself")

    def _walk(self, top: Entry, page: str, depth: int) -> Iterator[tuple[Entry, ResolvedVideo]]:
        """Every video under an entry with its name; pages inside a list are asked for down to _MAX_DEPTH."""
        if top.get("_type", "video") == "video":
            yield top, ResolvedVideo(safe_id(f"{top['extractor']}_{top['id']}"), page, _title(top))
            return
        for _, entry in PlaylistEntries(self.ydl, top).get_requested_items():
            self._n_entries += 1
            if self._n_entries > self.config.limits.most_entries:
                raise MediaError(
                    f"its list holds over {self.config.limits.most_entries} videos",
                    "Link to shorter lists, or to the videos themselves",
                )
            if not entry:
                continue
            if entry.get("_type", "video") == "video":
                entry.setdefault("extractor", top["extractor"])
                entry.setdefault("extractor_key", top["extractor_key"])
                yield from self._walk(entry, page, depth)
            elif entry["_type"] in ("playlist", "multi_video"):
                yield from self._walk({**top, **entry}, page, depth)
            else:
                yield from self._pointer(entry, depth)

    def _pointer(self, entry: Entry, depth: int) -> Iterator[tuple[Entry, ResolvedVideo]]:
        url = unsmuggle_url(entry["url"])[0]
        extractor = self.ydl.get_info_extractor(entry["ie_key"]) if entry.get("ie_key") else None
        name = self._refused.id_of(url) or offline_id(url)
        if name is None and extractor is not None and extractor.is_single_video(url) and entry.get("id"):
            name = safe_id(f"{extractor.IE_NAME}_{entry['id']}")
        if name is None and depth < _MAX_DEPTH:
            if url in self._followed:
                return  # what it holds is in the list already
            self._followed.add(url)
            self._turn(url)
            try:
                yield from self._walk(self._follow(entry), url, depth + 1)
                return
            except VideoError as exc:
                if exc.error_class is ErrorClass.BOT_CHECK:
                    raise
                # Named all the same: its own download will say what is wrong, and it is counted
        yield entry, ResolvedVideo(name or safe_id(f"generic_{generic_id(url)}"), url, _title(entry))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Make a request, and again after a network failure, as long as the server does not ask for a long pause."""
        for attempt in range(self.config.retries + 1):
            try:
                return ask()
            except Exception as exc:
                asked_s = retry_after_s(exc)
                hopeless = attempt == self.config.retries or not worth_retrying(exc)
                if self.halt.is_set() or hopeless or (asked_s or 0) > self.config.max_wait_s:
                    raise typed(exc, self.url, site_of(self.url)) from exc
            self.halt.wait(min(self.config.backoff_s * 2**attempt, 10.0) if asked_s is None else asked_s)
        raise AssertionError("unreachable")

    def _check_known(self, entry: Mapping[str, Any]) -> None:
        """Drop by what the lookup told, before a format is chosen."""
        if _channel(entry) in self._refused.channels:
            raise _Drop("removed", "its channel was removed from this data set")
        if entry.get("is_live") or entry.get("live_status") in ("is_live", "is_upcoming"):
            raise _Drop("live", f"{self.url} is a live stream")
        seconds = entry.get("duration")
        if seconds is None:
            return
        if self.config.min_duration_s is not None and seconds < self.config.min_duration_s:
            raise _Drop("too-short", f"{seconds:.0f} s, under the {self.config.min_duration_s:g} s asked for")
        if self.config.max_duration_s is not None and seconds > self.config.max_duration_s:
            raise _Drop("too-long", f"{seconds:.0f} s, over the {self.config.max_duration_s:g} s asked for")

    def _check_chosen(self, info: Mapping[str, Any]) -> None:
        """Drop by the format that was chosen, before anything of it is downloaded."""
        self._check_known(info)
        if info.get("vcodec") == "none":
            raise MediaError(f"{self.url} is audio only", "Link to a video")
        height, least = info.get("height"), self.config.min_height_px
        if height is not None and least is not None and height < least:
            raise _Drop("too-small", f"{height} px high, under the {least} px asked for")

    def _report(self, status: Mapping[str, Any]) -> None:
        if self._progress is not None:
            total = status.get("total_bytes") or status.get("total_bytes_estimate")
            self._progress(int(status.get("downloaded_bytes") or 0), None if total is None else int(total))


_MAX_TEXT = 1000
"""Letters of a title and the like; no site allows as many."""
_OF_INNER = frozenset({"_type", "url", "ie_key", "id", "extractor", "extractor_key"})


def _is_web(url: object) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://"))


def _title(info: Mapping[str, Any]) -> str | None:
    return _text(info["title"]) if info.get("title") else None


def _channel(info: Mapping[str, Any]) -> str | None:
    name = info.get("channel") or info.get("uploader")
    return _text(name) if name else None


def _text(value: object) -> str:
    return plain(str(value)[: 2 * _MAX_TEXT])[:_MAX_TEXT]


def _about(info: Mapping[str, Any]) -> dict[str, str | None]:
    texts = {
        "title": info.get("title"),
        "channel": _channel(info),
        "license": info.get("license"),
        "extractor": info.get("extractor"),
    }
    date = str(info.get("upload_date") or "")
    about: dict[str, str | None] = {k: _text(v) if v else None for k, v in texts.items()}
    return {**about, "upload_date": f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else None}


def _text_of(cookies: Path) -> str:
    try:
        return cookies.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"the cookie file {cookies} cannot be read", "Give --cookies a Netscape cookie file") from exc
