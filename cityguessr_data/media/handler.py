"""yt-dlp's only request handler: http and https; every connection goes through the guard, every byte is counted.

Import this module late: yt_dlp takes a third of a second.
"""

from __future__ import annotations

import math
import re
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.networking._urllib import HTTPHandler, ProxyHandler, RedirectHandler, UrllibRH
from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError

from cityguessr_data.core.errors import VideoError
from cityguessr_data.media.answers import Answer, Meter, is_rest, metered, unpacked
from cityguessr_data.media.failures import PauseAskedError, retry_after_s
from cityguessr_data.media.hosts import HostGuard, host_of


class _Handler(HTTPHandler):  # type: ignore[misc]
    """urllib's http and https handler whose connections go through the guard."""

    def __init__(self, guard: HostGuard, meter: Meter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._guard, self._meter = guard, meter

    def _make_conn_class(self, base: type, req: urllib.request.Request) -> Any:
        target = host_of(req.full_url)
        # What urllib really does, not what is configured: no_proxy makes exceptions
        proxied = "Ytdl-socks-proxy" in req.headers or req.has_proxy() or getattr(req, "_tunnel_host", None)
        connection = metered(HTTPHandler._make_conn_class(base, req), self._meter)
        if proxied:
            # The proxy is the user's own choice and may be private; what it is asked for may not
            self._guard.check_name(target)
            return connection
        return _through_guard(connection, self._guard)

    def http_response(self, req: urllib.request.Request, resp: Any) -> Any:
        """In place of one that unpacks whatever comes, to whatever size."""
        return unpacked(resp, self._meter.limits)

    https_response = http_response


class _OnlyWeb(urllib.request.BaseHandler):
    """A redirect to anything but http and https: never followed, and no fault of the network."""

    def unknown_open(self, req: urllib.request.Request) -> None:
        host_of(req.full_url)


def _through_guard(connection: Any, guard: HostGuard) -> type:
    class GuardedConnection(connection):  # type: ignore[misc]
        def connect(self) -> None:
            self._create_connection = guard.connect
            super().connect()

    return GuardedConnection


class GuardedRH(UrllibRH):  # type: ignore[misc]
    """The request handler. A refused host or a set `stop` is a RequestError, which yt-dlp does not retry."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")
    RH_NAME = "guarded"

    def __init__(
        self,
        *,
        guard: HostGuard,
        stop: threading.Event,
        meter: Meter,
        folder: Path | None,
        max_wait_s: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "enable_file_urls": False})
        self._guard, self._stop, self._meter, self._folder = guard, stop, meter, folder
        self._max_wait_s = max_wait_s
        self._not_before_s: dict[str, float] = {}
        self._open: list[Any] = []

    def close(self) -> None:
        """Hang up where an answer was not read to its end: yt-dlp leaves that to the garbage collector."""
        for answer in self._open:
            answer.close()
        self._open = []

    def _create_instance(
        self, proxies: dict[str, str], cookiejar: Any, legacy_ssl_support: bool | None = None
    ) -> urllib.request.OpenerDirector:
        opener = urllib.request.OpenerDirector()
        context = self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)
        for handler in (
            ProxyHandler(proxies),
            _Handler(self._guard, self._meter, context=context, source_address=self.source_address),
            urllib.request.HTTPCookieProcessor(cookiejar),
            _OnlyWeb(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            RedirectHandler(),
        ):
            opener.add_handler(handler)
        opener.addheaders = []
        return opener

    def _prepare_headers(self, request: Any, headers: Any) -> None:
        """Offers what `unpacked` takes, and no more."""
        if "Accept-Encoding" not in headers:
            headers["Accept-Encoding"] = "gzip, deflate"

    def _send(self, request: Any) -> Any:
        """Ask, and where a rest was asked for and another part came, ask for the whole: yt-dlp then starts over.

        It would take a 206 that begins elsewhere for the whole file, and would give up at a 416.
        """
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
        if wanted is None or wanted[0] == "bytes=0-0":
            return self._ask(request)
        first, is_piece = int(wanted[1]), bool(wanted[2])
        try:
            answer = self._ask(request)
            if answer.status == 206 and is_rest(answer.headers, first, math.inf if is_piece else self._written_s()):
                return answer
            if answer.status == 200 and not is_piece:
                return answer
        except HTTPError as exc:
            if exc.status != 416:
                raise
        if is_piece:
            # Of a larger file: the whole of it would be taken for the piece
            raise TransportError(f"connection broken: asked for {wanted[0]}, got something else")
        whole = request.copy()
        del whole.headers["Range"]
        answer = self._ask(whole)
        if answer.status == 206:
            raise TransportError("connection broken: asked for the whole, got a part")
        return answer

    def _written_s(self) -> float:
        """When the unfinished download was last written to; 0 where there is none."""
        parts = self._folder.glob("*.part*") if self._folder else ()
        return max((path.stat().st_mtime for path in parts), default=0.0)

    def _ask(self, request: Any) -> Any:
        host = urlsplit(request.url).hostname or ""
        self._stop.wait(max(0.0, self._not_before_s.get(host, 0.0) - time.monotonic()))
        if self._stop.is_set():
            raise RequestError("stopped")
        self._open = [answer for answer in self._open if not answer.closed]
        try:
            self._meter.request()
            answer = Answer(super()._send(request), self._meter)
            self._open.append(answer)
            return answer.check_length()
        except HTTPError as exc:
            exc.response = Answer(exc.response, self._meter)
            self._open.append(exc.response)
            asked_s = retry_after_s(exc)
            if asked_s is not None and asked_s > self._max_wait_s:
                pause = PauseAskedError(host, asked_s, exc.status)
                raise RequestError(pause.message, cause=pause) from exc
            self._not_before_s[host] = time.monotonic() + (asked_s or 0.0)
            raise
        except VideoError as exc:
            raise RequestError(exc.message, cause=exc) from exc
