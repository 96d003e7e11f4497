"""A loopback web server for tests: a folder of files, pages made up in the test, and faults on demand.

    with Server(folder) as server:
        server.page("/tour", video_page("a.mp4"))            # an HTML page
        server.plan("/a.mp4", Status(503), Truncate(1000))   # the first two requests; the third is served
        server.always("/b.mp4", Redirect("http://127.0.0.2:1/"))
        ... server.url("/a.mp4") ...
        server.count("/a.mp4"), server.requests

Files are served with Range (206, 416), Last-Modified and the content types that HLS and video need.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".html": "text/html; charset=utf-8",
    ".xml": "application/rss+xml",
}
_BLOCK_BYTES = 16384


@dataclass(frozen=True)
class Status:
    """An error answer."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "<html><body>no</body></html>"


@dataclass(frozen=True)
class Redirect:
    """A 302 to another url."""

    to: str
    code: int = 302


@dataclass(frozen=True)
class Reset:
    """The connection is reset (RST) after that many bytes of the body; 0: before any answer."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Truncate:
    """The full length is promised, the connection is closed after that many bytes."""

    after_bytes: int


@dataclass(frozen=True)
class Slow:
    """The file, with a pause after each block; after `bytes_then_silence` no more comes until the server closes."""

    pause_s: float = 0.05
    bytes_then_silence: int | None = None


@dataclass(frozen=True)
class Content:
    """These bytes instead of the file."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Act:
    """Whatever `do` writes to the handler it is called with; see support_hostile."""

    do: Callable[[Any], None]


Behaviour = Status | Redirect | Reset | Truncate | Slow | Content | Act | None
"""None: the file as it is."""


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    at_s: float
    """time.monotonic()"""
    method: str
    path: str
    headers: Mapping[str, str]


def video_page(*sources: str, title: str = "A walk") -> str:
    """An HTML page with one <video> tag a source."""
    tags = "".join(f'<video controls><source src="{s}" type="video/mp4"></video>' for s in sources)
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{tags}</body></html>"


def links_page(*links: str) -> str:
    """An RSS feed: the form in which a plain list of links is a playlist for yt-dlp."""
    items = "".join(f'<item><title>item {i}</title><enclosure url="{u}"/></item>' for i, u in enumerate(links))
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>list</title>{items}</channel></rss>'


class Server:
    """Serves `folder` on a free port of `host` from construction until `close` (or the end of a `with`)."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.requests: list[Seen] = []
        self.closing = threading.Event()
        self._plans: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[str, Behaviour] = {}
        self._lock = threading.Lock()
        self._http = _Quiet((host, 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def url(self, path: str) -> str:
        """The absolute url of a path that begins with `/`."""
        return f"http://{self.host}:{self.port}{path}"

    def page(self, path: str, html: str, content_type: str = TYPES[".html"]) -> str:
        """Serve made-up text there from now on; returns its url."""
        self.always(path, Content(html.encode(), content_type))
        return self.url(path)

    def plan(self, path: str, *behaviours: Behaviour) -> None:
        """What the next requests for a path get, one each."""
        with self._lock:
            self._plans[path].extend(behaviours)

    def always(self, path: str, behaviour: Behaviour) -> None:
        """What every request for a path gets once its plan is used up."""
        with self._lock:
            self._always[path] = behaviour

    def count(self, path: str | None = None) -> int:
        """Requests so far, of one path or of all."""
        return sum(1 for seen in self.requests if path is None or seen.path == path)

    def take(self, seen: Seen) -> Behaviour:
        """Note a request and say what it gets."""
        with self._lock:
            self.requests.append(seen)
            plan = self._plans[seen.path]
            return plan.popleft() if plan else self._always.get(seen.path)

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests; a fault of the server itself is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.close_connection = True
        match self.owner.take(Seen(time.monotonic(), self.command, path, dict(self.headers))):
            case Status(code, headers, body):
                self._send(code, {"Content-Type": "text/html", **headers}, body.encode())
            case Redirect(to, code):
                self._send(code, {"Location": to}, b"")
            case Content(body, content_type):
                self._send(200, {"Content-Type": content_type}, body)
            case Act(do):
                do(self)
            case Reset(0):
                self._reset()
            case fault:
                self._file(path, fault)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def _send(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _file(self, path: str, fault: Behaviour) -> None:
        file = (self.owner.folder / path.lstrip("/").replace("\0", "?")).resolve()
        if not file.is_relative_to(self.owner.folder.resolve()) or not file.is_file():
            self._send(404, {"Content-Type": "text/html"}, b"<html>not found</html>")
            return
        size, first = file.stat().st_size, 0
        wanted = self.headers.get("Range")
        if wanted:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end or size - 1), size - 1)
            if first >= size:
                self._send(416, {"Content-Range": f"bytes */{size}"}, b"")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        else:
            last = size - 1
            self.send_response(200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Type", TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._body(file.read_bytes()[first : last + 1], fault)

    def _body(self, body: bytes, fault: Behaviour) -> None:
        match fault:
            case Truncate(n):
                self.wfile.write(body[:n])
            case Reset(n):
                self.wfile.write(body[:n])
                self.wfile.flush()
                time.sleep(0.05)  # a reset overtakes what is still unsent
                self._reset()
            case Slow(pause_s, silence):
                for at in range(0, len(body), _BLOCK_BYTES):
                    if silence is not None and at >= silence:
                        self.owner.closing.wait()
                        return
                    self.wfile.write(body[at : at + _BLOCK_BYTES])
                    self.wfile.flush()
                    if self.owner.closing.wait(pause_s):
                        return
            case _:
                self.wfile.write(body)

    def _reset(self) -> None:
        # Linger 0: close sends RST instead of FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
