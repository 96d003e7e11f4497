"""How much, how slowly and in what form a server may answer: every byte from the network is counted here.

A server can send a byte every few seconds, a body without end, or a megabyte that unpacks to ten gigabytes; none of
these is an error to a library that waits for bytes. The counting is done below everything else, where the bytes come
off the connection, so headers, chunks, redirects and encrypted connections are all under it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import time
import urllib.response
import zlib
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from yt_dlp.networking._urllib import UrllibResponseAdapter
from yt_dlp.networking.exceptions import TransportError

from cityguessr_data.core.errors import ErrorClass, MediaError, VideoError
from cityguessr_data.media.download_config import Limits
from cityguessr_data.media.manifests import check_manifest

_READ_BYTES = 65536


class Meter:
    """Counts the bytes of one session and the time it waited for them. Used by one thread."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.in_pieces = False
        """Set while segments are downloaded."""
        self.looking_up = True
        """Until what is to be downloaded is known."""
        self._end_s = clock() + limits.give_up_s
        self._bytes = 0
        self._requests = 0

    def request(self) -> None:
        """Raises MediaError where a look-up makes too many. An extractor may swallow that: see `check_requests`."""
        self._requests += self.looking_up
        self.check_requests()

    def check_requests(self) -> None:
        """Raises MediaError where a look-up has made, or wanted to make, too many requests."""
        if self._requests > self.limits.most_requests:
            raise MediaError(
                f"its list takes over {self.limits.most_requests} requests to read",
                "Link to shorter lists, or to the videos themselves",
            )

    def count(self, n_bytes: int) -> None:
        """Raises VideoError where the session has taken too much or too long."""
        self._bytes += n_bytes
        if self._bytes > self.limits.most_bytes:
            raise MediaError(*_too_large(self.limits.most_bytes))
        if self.clock() > self._end_s:
            raise VideoError(
                ErrorClass.NETWORK,
                f"not whole after {self.limits.give_up_s / 3600:g} hours",
                "What is there of it is kept: run the same command again with --retry-failed",
            )

    def check_length(self, length: int) -> None:
        """Raises MediaError for an answer that says it is longer than may be taken."""
        most = self.limits.most_piece_bytes if self.in_pieces else self.limits.most_bytes
        if length > most:
            raise MediaError(*_too_large(most))


def _too_large(most_bytes: int) -> tuple[str, str]:
    size = f"{most_bytes / 2**30:g} GiB" if most_bytes >= 2**30 else f"{most_bytes / 2**20:g} MiB"
    return f"it is larger than {size}, which is not downloaded", "Check the link in a browser"


class _MeteredRaw(io.RawIOBase):
    """The bytes of one connection as they come."""

    def __init__(self, inner: Any, meter: Meter) -> None:
        self._inner, self._meter = inner, meter
        self._waited_s, self._got_bytes = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError for a connection that only trickles; only the time spent waiting for it counts."""
        start = self._meter.clock()
        n: int | None = self._inner.readinto(buffer)
        self._waited_s += self._meter.clock() - start
        self._got_bytes += n or 0
        limits = self._meter.limits
        if self._waited_s >= limits.slow_s:
            if n and self._got_bytes < limits.least_bytes_per_s * self._waited_s:
                raise TimeoutError(f"timed out: only {self._got_bytes} bytes in {self._waited_s:.0f} s")
            self._waited_s, self._got_bytes = 0.0, 0
        self._meter.count(n or 0)
        return n

    def close(self) -> None:
        self._inner.close()
        super().close()


def metered(connection: Any, meter: Meter) -> type:
    """An http.client connection class whose answers are counted."""

    class MeteredResponse(http.client.HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp: Any = io.BufferedReader(_MeteredRaw(self.fp.detach(), meter))

    return type("MeteredConnection", (connection,), {"response_class": MeteredResponse})


class Answer(UrllibResponseAdapter):  # type: ignore[misc]
    """An answer as yt-dlp reads it: whole only where it is a page of a bearable size, within a bearable time."""

    def __init__(self, answer: UrllibResponseAdapter, meter: Meter) -> None:
        super().__init__(answer.fp)
        self._answer = answer  # would hang up if it were collected
        self._meter = meter
        self._head = b""
        self._bytes = 0

    def check_length(self) -> Answer:
        """Raises TransportError for a length that is none, MediaError for one that may not be taken."""
        length = self.headers.get("Content-Length")
        if length is not None:
            if not re.fullmatch(r"[0-9]{1,18}", length.strip(), re.ASCII):
                raise TransportError(f"connection broken: the answer is said to have {length[:40]!r} bytes")
            self._meter.check_length(int(length))
        return self

    def read(self, amt: int | None = None) -> bytes:
        """Raises MediaError for a page or a piece that is too large, and for a manifest of too many pieces."""
        if amt is not None:
            got: bytes = super().read(amt)
            self._bytes += len(got)
            self._head = self._head + got if self._bytes <= _READ_BYTES else b""
            if self._meter.in_pieces:
                self._meter.check_length(self._bytes)
            return got
        limits, parts, size = self._meter.limits, [], 0
        end_s = self._meter.clock() + limits.page_s
        while part := super().read(_READ_BYTES):
            parts.append(part)
            size += len(part)
            if size > limits.most_page_bytes:
                raise page_too_large(limits)
            if self._meter.clock() > end_s:
                raise TransportError(f"timed out: a page was not whole after {limits.page_s:g} s")
        if getattr(self.fp, "length", None):  # http.client tells this only to who reads in one go
            raise TransportError(f"incomplete read: {self.fp.length} bytes more expected")
        page = b"".join(parts)
        check_manifest(self._head + page, self.headers.get("Content-Type", ""), self._meter.in_pieces)
        return page


def is_rest(headers: Any, first_byte: int, written_at_s: float) -> bool:
    """Whether an answer is the rest of a file from `first_byte` on: not of elsewhere, nor of a file changed since.

    Args:
        written_at_s: when the beginning was stored, seconds since the epoch.
    """
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range") or "", re.ASCII)
    if found is None or int(found[1]) != first_byte:
        return False
    try:
        changed = parsedate_to_datetime(headers.get("Last-Modified") or "")
    except ValueError:
        return True
    return changed.replace(tzinfo=changed.tzinfo or UTC).timestamp() <= written_at_s


def page_too_large(limits: Limits) -> MediaError:
    """What a page, playlist or manifest beyond `most_page_bytes` is."""
    return MediaError(f"a page of over {limits.most_page_bytes / 2**20:g} MiB is not read", "Link to the video itself")


def unpacked(response: Any, limits: Limits) -> Any:
    """A response whose body was packed for the way, unpacked in memory and itself closed; any other as it is.

    Raises:
        MediaError: it unpacks to more than a page may have. Videos do not come packed.
        OSError: it breaks off, or is packed in a way that was not offered.
    """
    codings = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    codings = [name for name in codings if name not in ("", "identity")]
    if not codings:
        return response
    with contextlib.closing(response):  # where it is refused, nobody else knows that it is open
        return _plain(response, codings, limits)


def _plain(response: Any, codings: list[str], limits: Limits) -> Any:
    if set(codings) - set(_WBITS) or len(codings) > _MOST_CODINGS:
        raise OSError(f"connection broken: the answer is packed as {', '.join(codings)[:40]!r}, which was not offered")
    body = response.read(limits.most_page_bytes + 1)
    if getattr(response, "length", None):
        raise OSError("connection broken: a packed answer broke off")
    for name in reversed(codings):
        body = _unpack(body, name, limits)
    plain = urllib.response.addinfourl(io.BytesIO(body), response.headers, response.url, response.code)
    plain.msg = response.msg  # type: ignore[attr-defined]
    return plain


_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_MOST_CODINGS = 2


def _unpack(body: bytes, coding: str, limits: Limits) -> bytes:
    if len(body) > limits.most_page_bytes:
        raise page_too_large(limits)
    # Some servers send deflate without its frame, whose first byte then has another low half
    raw = coding == "deflate" and bool(body) and body[0] & 15 != zlib.DEFLATED
    unpacker = zlib.decompressobj(-15 if raw else _WBITS[coding])
    try:
        plain = unpacker.decompress(body, limits.most_page_bytes + 1)
    except zlib.error as exc:
        raise OSError(f"connection broken: the answer does not unpack ({exc})") from exc
    if len(plain) > limits.most_page_bytes:
        raise page_too_large(limits)
    return plain
