"""What lies behind an exception of yt-dlp: it wraps and re-raises, so the cause is found by walking all its links."""

from __future__ import annotations

import errno
import re
import socket
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cityguessr_data.core.errors import (
    CgtoolError,
    ErrorClass,
    InputError,
    MediaError,
    StopError,
    VideoError,
    disk_full_stops,
)
from cityguessr_data.media import outcomes


class PauseAskedError(VideoError):
    """A server asks for a longer pause than a run waits: it is left for the next one."""

    def __init__(self, host: str, asked_s: float, status: int) -> None:
        days, minutes = asked_s / 86400, asked_s / 60
        pause = "over a year" if days > 365 else f"{days:.0f} days" if days >= 2 else f"{minutes:.0f} minutes"
        super().__init__(
            ErrorClass.NETWORK, f"{host} asks for a pause of {pause} (HTTP {status})", outcomes.hint(ErrorClass.NETWORK)
        )
        self.of_the_site = status == 429
        """It is this session that asks too much, not the one file that is not ready."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything it was caused by, nearest first, each once."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        link = todo.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        behind = getattr(link, "exc_info", None) or (None, None)
        todo += [
            getattr(link, "cause", None),
            behind[1],
            getattr(link, "reason", None),
            link.__cause__,
            link.__context__,
        ]


def typed(error: BaseException, url: str, site: str) -> CgtoolError:
    """The error of ours that a failed lookup or download is: one raised below, StopError, or a VideoError."""
    status: int | None = None
    for link in chain(error):
        if isinstance(link, CgtoolError):
            return link
        if isinstance(link, MemoryError):
            return MediaError(f"{url}: what it answers takes too much memory", "Link to the video itself")
        if isinstance(link, OSError) and (stop := _disk_stop(link)) is not None:
            return stop
        if type(link).__name__ == "CookieLoadError":
            return InputError(
                "the cookie file cannot be read", "--cookies takes a Netscape cookie file, as browsers export"
            )
        if status is None and isinstance(getattr(link, "status", None), int):
            status = link.status  # type: ignore[attr-defined]
    message = str(error)
    error_class = outcomes.classify(message, status, site)
    if error_class is ErrorClass.INTERNAL and status is None and is_transport(error):
        error_class = ErrorClass.NETWORK
    told = outcomes.without_login(f"{url}: {outcomes.tidy(message)}")
    return VideoError(error_class, told, outcomes.hint(error_class))


def _disk_stop(error: OSError) -> StopError | None:
    if error.errno not in _OF_DISKS:
        return None
    try:
        with disk_full_stops("the cache"):
            raise error
    except StopError as stop:
        return stop


_OF_DISKS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Never said of a connection, unlike others that a failing disk gives."""


def close_left_open(error: BaseException) -> None:
    """Close the file of a segmented download that broke off: yt-dlp leaves it open, and locked, until it is collected.

    It can only be reached through the exception's frames; should yt-dlp change, nothing is worse than without this.
    """
    for link in chain(error):
        for frame, _ in traceback.walk_tb(link.__traceback__):
            context = frame.f_locals.get("ctx")
            stream = context.get("dest_stream") if isinstance(context, dict) else None
            if stream is not None:
                stream.close()


def is_transport(error: BaseException) -> bool:
    """True where the connection failed, whatever the words."""
    return any(
        isinstance(link, OSError) or type(link).__name__ in ("TransportError", "IncompleteRead")
        for link in chain(error)
    )


def worth_retrying(error: BaseException) -> bool:
    """True for what a second try may mend: a broken connection, a busy server; not a name that nobody knows."""
    links = list(chain(error))
    if any(isinstance(link, socket.gaierror) and link.errno == socket.EAI_NONAME for link in links):
        return False
    status = next((s for link in links if isinstance(s := getattr(link, "status", None), int)), None)
    return is_transport(error) if status is None else status in (408, 425, 429) or status >= 500


def retry_after_s(error: BaseException, now: datetime | None = None) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: a number or a date); None if it does not say."""
    for link in chain(error):
        headers = getattr(getattr(link, "response", None), "headers", None)
        if headers is None or (value := headers.get("Retry-After")) is None:
            continue
        if re.fullmatch(r"[0-9]+", value.strip(), re.ASCII):
            return float(value)
        then = _moment(value)
        if then is None:
            return None
        # By the server's own clock, where it tells it: this machine's may be wrong by a year
        return max(0.0, (then - (now or _moment(headers.get("Date")) or datetime.now(UTC))).total_seconds())
    return None


def _moment(date: str | None) -> datetime | None:
    """A date of HTTP; None where there is none."""
    try:
        then = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return then.replace(tzinfo=then.tzinfo or UTC)
