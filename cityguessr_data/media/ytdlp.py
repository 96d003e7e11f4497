"""yt-dlp as we let it run: it asks no host that the guard refuses, starts no other program, and writes where we say.

    request   -> GuardedRH (handler.py), its only request handler: http and https; every connection, also after a
                 redirect, goes through HostGuard.connect; what servers may answer is limited (answers.py)
    download  -> its native http, HLS and DASH downloaders; whatever would make ffmpeg or another program open a url is
                 refused. yt-dlp is told of no ffmpeg at all: it would follow a playlist hidden in what was downloaded.
    files     -> one folder of ours, names of ours; no cache, no configuration, no plugins, no cookies written back

Import this module late: yt_dlp takes a third of a second.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yt_dlp.globals
from yt_dlp import YoutubeDL
from yt_dlp.downloader import get_suitable_downloader
from yt_dlp.downloader.dash import DashSegmentsFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor
from yt_dlp.utils import DownloadCancelled

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media.answers import Meter
from cityguessr_data.media.handler import GuardedRH
from cityguessr_data.media.hosts import HostGuard

NO_FFMPEG = "/nonexistent/no-ffmpeg-for-yt-dlp"
NATIVE = (HttpFD, HlsFD, DashSegmentsFD)


class Messages:
    """yt-dlp's logger: keeps the last warnings and errors, prints nothing."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def debug(self, message: str) -> None:
        """Progress talk; not kept."""

    def info(self, message: str) -> None:
        """Likewise."""

    def warning(self, message: str) -> None:
        """Kept, the last 50."""
        self.kept = [*self.kept[-49:], message]

    error = warning


class GuardedYoutubeDL(YoutubeDL):  # type: ignore[misc]
    """YoutubeDL with the guard, native downloaders only, and file names `<folder>/<hash of url>-<format>.<ext>`.

    The name holds the link and the format, so that bytes of two different files never meet in one partial file.
    """

    def __init__(
        self,
        params: dict[str, Any],
        *,
        guard: HostGuard,
        stop: threading.Event,
        meter: Meter,
        folder: Path | None,
        max_wait_s: float,
        url: str,
        on_chosen: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._meter = meter
        self._handler = partial(GuardedRH, guard=guard, stop=stop, meter=meter, folder=folder, max_wait_s=max_wait_s)
        self._stem = str((folder or Path()) / hashlib.sha256(url.encode()).hexdigest()[:12])
        self._on_chosen = on_chosen
        # Thread-local by nature (a context variable): also what yt-dlp decides without our params sees no ffmpeg
        FFmpegPostProcessor._ffmpeg_location.set(NO_FFMPEG)
        # Plugins are other people's code that may lie in any home; this flag says they were loaded already
        yt_dlp.globals.all_plugins_loaded.value = True
        super().__init__(params)

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """One handler instead of all registered ones."""
        return super().build_request_director([self._handler])

    def prepare_filename(self, info_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> str:
        """Ours: yt-dlp's own would expand `~`, `$` and `%` in the cache's path."""
        format_id, ext = (re.sub(r"[^A-Za-z0-9]", "_", str(info_dict.get(k) or "x"))[:20] for k in ("format_id", "ext"))
        return f"{self._stem}-{format_id}.{ext}"

    def save_cookies(self) -> None:
        """Nothing is written back: the cookies were handed over in memory."""

    def process_info(self, info_dict: dict[str, Any]) -> None:
        """Called with the chosen format, before anything of it is downloaded."""
        self._on_chosen(info_dict)
        super().process_info(info_dict)

    def dl(self, name: str, info: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Raises MediaError for a stream that would need another program."""
        downloader = get_suitable_downloader(dict(info), self.params)
        self._meter.in_pieces = downloader is not HttpFD
        if downloader not in NATIVE:
            raise MediaError(
                f"it is only offered over {info.get('protocol') or 'an unknown protocol'}, which is not downloaded",
                "Live, RTMP and similar streams are left out",
            )
        return super().dl(name, info, *args, **kwargs)


def options(
    *,
    max_height_px: int,
    timeout_s: float,
    retries: int,
    backoff_s: float,
    request_interval_s: float,
    cookies: str | None,
    proxy: str | None,
    stop: threading.Event,
    on_progress: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """yt-dlp's parameters. Its API retries nothing unless told to.

    Args:
        cookies: text of a Netscape cookie file; handed over in memory, so the user's file is never written.
        on_progress: gets yt-dlp's status dictionary after each block; what it raises ends the download.
    """

    def pause(n: int) -> float:
        stop.wait(min(backoff_s * 2**n, 10.0))
        return 0.0

    def progress(status: dict[str, Any]) -> None:
        if stop.is_set():
            raise DownloadCancelled("stopped")
        on_progress(status)

    params: dict[str, Any] = {
        "format": "bestvideo/best",
        "format_sort": [f"res:{max_height_px}", "fps:30"],
        "noplaylist": True,
        "playlist_items": None,
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": NO_FFMPEG,
        "fixup": "never",
        "continuedl": True,
        "skip_unavailable_fragments": False,
        "retries": retries,
        "fragment_retries": retries,
        "file_access_retries": 3,
        "extractor_retries": min(retries, 3),
        "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor", "file_access"), pause),
        "socket_timeout": timeout_s,
        "sleep_interval_requests": request_interval_s,
        "updatetime": False,
        "cachedir": False,
        "quiet": True,
        "noprogress": True,
        "logger": Messages(),
        "progress_hooks": [progress],
        "color": "never",
        "usenetrc": False,
        "js_runtimes": {"deno": {}, "node": {}, "bun": {}, "quickjs": {}},
    }
    if cookies is not None:
        params["cookiefile"] = io.StringIO(cookies)
    if proxy is not None:
        params["proxy"] = proxy
    return params
