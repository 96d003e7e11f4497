"""What lies behind an exception of yt-dlp: it wraps and re-raises, so the cause is found by walking all its links."""

from __future__ import annotations

import errno
import socket
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cityguessr_data.core.errors import CgtoolError, DiskFullError, ErrorClass, InputError, VideoError
from cityguessr_data.media import outcomes


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
    """The error of ours that a failed lookup or download is: one raised below, DiskFullError, or a VideoError."""
    status: int | None = None
    for link in chain(error):
        if isinstance(link, CgtoolError):
            return link
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError("no space left in the cache", "Free some space and run the same command again")
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
    return VideoError(error_class, f"{url}: {outcomes.tidy(message)}", outcomes.hint(error_class))


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
        value = headers.get("Retry-After") if headers is not None else None
        if value is None:
            continue
        if value.strip().isdigit():
            return float(value)
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
    return None
