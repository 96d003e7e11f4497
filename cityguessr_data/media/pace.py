"""Politeness: how often one site may be asked. Starts on one site are spaced evenly, whichever thread makes them.

YouTube lets a session fetch about 300 videos an hour; a burst followed by silence is what gets a session stopped, so
the hour's allowance is not saved up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from cityguessr_data.core.errors import InputError

YOUTUBE = "youtube.com"
_SAME_SITE = {"youtu.be": YOUTUBE, "youtube-nocookie.com": YOUTUBE, "googlevideo.com": YOUTUBE}


def site_of(url: str) -> str:
    """The site that counts as one for the rate: the host without `www.`; all of YouTube's names are one site."""
    host = (urlsplit(url).hostname or "").removeprefix("www.")
    for name in (YOUTUBE, *_SAME_SITE):
        if host == name or host.endswith("." + name):
            return _SAME_SITE.get(name, name)
    return host


class Pace:
    """At most `rate_per_hour` starts an hour on one site: 3600 / rate seconds lie between two of them.

    One object is shared by all threads of a process. Several processes that download must divide the rate between them.
    """

    def __init__(self, rate_per_hour: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not rate_per_hour > 0:
            raise InputError(f"a rate of {rate_per_hour} an hour downloads nothing", "Give --rate a number above 0")
        self.interval_s = 3600.0 / rate_per_hour
        self._clock = clock
        self._next_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def reserve(self, site: str) -> float:
        """Take the site's next free start. Returns the seconds to wait until it."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next_s.get(site, now))
            self._next_s[site] = start + self.interval_s
            return start - now

    def wait(self, site: str, stop: threading.Event | None = None) -> bool:
        """Wait for this site's turn. Returns False, at once, if `stop` is or becomes set."""
        if stop is not None and stop.is_set():
            return False
        delay_s = self.reserve(site)
        if delay_s <= 0:
            return True
        return not (stop or threading.Event()).wait(delay_s)
