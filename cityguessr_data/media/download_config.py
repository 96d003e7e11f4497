"""What a download can be told, and what a look-up answers. Checked on construction, before anything is asked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cityguessr_data.core.errors import InputError
from cityguessr_data.media.pace import Pace

Progress = Callable[[int, int | None], None]
"""(bytes so far, bytes in all where known); called from the downloading thread."""


@dataclass(frozen=True)
class Limits:
    """What one look-up or download may cost. Each of them is far beyond what an honest one needs."""

    least_bytes_per_s: float = 1024.0
    """A connection that delivers less than this, over `slow_s` seconds of waiting for it, counts as dead."""
    slow_s: float = 60.0
    """See there."""
    give_up_s: float = 12 * 3600.0
    """A download that takes longer ends as a network failure; what is there of it is gone on with by the next run."""
    most_bytes: int = 32 << 30
    """All bytes of one download; ten hours of 720p are about 11 GB."""
    most_page_bytes: int = 32 << 20
    """Of a page, playlist or manifest, unpacked: these are held in memory."""
    page_s: float = 300.0
    """Seconds in which such a one must be whole."""
    most_piece_bytes: int = 1 << 30
    """Of a segment of a stream: yt-dlp holds it in memory."""
    most_requests: int = 1000
    """Of one look-up: the pages of a playlist, and the pages that it points to."""
    most_cpu_s: float = 300.0
    """Of the processor, for one look-up: a crafted page can keep a regular expression busy for days."""
    most_memory_bytes: int = 4 << 30
    """Of the process that talks with yt-dlp."""
    most_entries: int = 20_000
    """Videos that one link may stand for."""


_PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True)
class DownloadConfig:
    """How videos are downloaded; every fault of it is an InputError on construction."""

    cache: Path
    """Folder of downloads, complete and partial; never under the output."""
    rate_per_hour: float = 300.0
    """Lookups and downloads that one site gets an hour at most, evenly spaced."""
    cookies: Path | None = None
    """A Netscape cookie file, read and never written."""
    proxy: str | None = field(default=None, repr=False)
    """`http://`, `socks4://`, `socks5://` ... url; None: the environment's."""
    allow_private_hosts: bool = False
    """Also ask hosts on loopback and private networks."""
    min_duration_s: float | None = None
    """Shorter videos are dropped, where the site tells their duration."""
    max_duration_s: float | None = None
    """Longer ones likewise."""
    min_height_px: int | None = None
    """Videos whose chosen format is lower are dropped, where the site tells the height."""
    max_height_px: int = 720
    """The format preferred is the best one up to this height."""
    retries: int = 3
    """Times that a request is made again after a network failure."""
    backoff_s: float = 1.0
    """Pause before the first retry; it doubles with each."""
    max_wait_s: float = 120.0
    """A server that asks for a longer pause (Retry-After) is left for the next run."""
    timeout_s: float = 20.0
    """Seconds without a byte after which a connection counts as dead."""
    limits: Limits = field(default_factory=Limits)
    """What no server may take, whatever it answers."""

    def __post_init__(self) -> None:
        for name in ("rate_per_hour", "min_duration_s", "max_duration_s", "backoff_s", "max_wait_s", "timeout_s"):
            if not math.isfinite(getattr(self, name) or 0.0):
                raise InputError(f"{name} is {getattr(self, name)}", "Give a finite number")
        Pace(self.rate_per_hour)
        for name in ("min_duration_s", "max_duration_s", "min_height_px"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InputError(f"{name} is {value}", "Give a number of 0 or more")
        if (self.min_duration_s or 0) > (self.max_duration_s or float("inf")):
            raise InputError("the least duration is above the greatest", "Check --min-duration and --max-duration")
        if (self.min_height_px or 0) > self.max_height_px:
            raise InputError(
                f"videos under {self.min_height_px} px are dropped but at most {self.max_height_px} px are downloaded",
                "Give a --min-height no greater",
            )
        if self.proxy is not None:
            _check_proxy(self.proxy)
        if self.cookies is not None and not self.cookies.is_file():
            raise InputError(f"the cookie file {self.cookies} does not exist", "Give --cookies an existing file")


def _check_proxy(proxy: str) -> None:
    """Raises InputError for what is no proxy. It may hold a password, which is not repeated."""
    if proxy.partition("://")[0].lower() not in _PROXY_SCHEMES:
        raise InputError("the proxy is of no known kind", f"Begin it with one of {', '.join(_PROXY_SCHEMES)}, then ://")
    try:
        parts = urlsplit(proxy)
        fit = bool(parts.hostname) and (parts.port or 1) > 0 and not re.search(r"\s", proxy)
    except ValueError:
        fit = False
    if not fit:
        raise InputError("the proxy names no host or port", "Write http://name:password@host:port; in these, / as %2F")


def _of_none(_url: str) -> str | None:
    return None


@dataclass(frozen=True)
class Refused:
    """What was taken out of a data set for good: not asked for, or not downloaded once its site tells what it is."""

    channels: frozenset[str] = frozenset()
    """Names of channels."""
    id_of: Callable[[str], str | None] = field(default=_of_none)
    """The id of the removed video that a link stands for; None for all other links."""


@dataclass(frozen=True)
class ResolvedVideo:
    """One video that a link stands for. `url` is what `fetch` is to be given with this id."""

    video_id: str
    url: str
    title: str | None = None
