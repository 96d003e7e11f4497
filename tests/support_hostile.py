"""What a hostile or broken web server does, for support_server.Server: each is a behaviour to `plan` or `always`.

    server.always("/a.mp4", Act(drip(b"ab", every_s=0.1)))

An act gets the request's handler and writes what it likes to its socket; the connection is closed after it.
"""

from __future__ import annotations

import functools
import gzip
import io
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

Action = Callable[[Any], None]
"""Called with the handler; `handler.owner.closing` is set when the server closes."""


def answer(
    code: int = 200,
    body: bytes = b"",
    content_type: str = "video/mp4",
    length: int | str | None = "right",
    **headers: str,
) -> Action:
    """A whole answer. `length`: what Content-Length says; None leaves it out. `_` in a header's name stands for `-`."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        head(handler, code, content_type, len(body) if length == "right" else length, **headers)
        handler.wfile.write(body)

    return act


def head(
    handler: BaseHTTPRequestHandler, code: int, content_type: str, length: int | str | None, **headers: str
) -> None:
    """Status line and headers."""
    handler.send_response(code)
    handler.send_header("Content-Type", content_type)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.flush()


def silence(handler: Any) -> None:
    """Takes the request and never answers."""
    handler.owner.closing.wait(60)


def silent_body(body: bytes, length: int, content_type: str = "video/mp4") -> Action:
    """Headers and `body`, then nothing more."""

    def act(handler: Any) -> None:
        head(handler, 200, content_type, length)
        handler.wfile.write(body)
        handler.wfile.flush()
        handler.owner.closing.wait(60)

    return act


def drip(
    body: Iterator[bytes] | bytes, every_s: float, content_type: str = "video/mp4", headers: bool = False
) -> Action:
    """A few bytes now and then, for as long as they are taken; with `headers`, the headers themselves come so."""

    def act(handler: Any) -> None:
        if not headers:
            head(handler, 200, content_type, 1_000_000)
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not handler.owner.closing.wait(every_s):
            handler.wfile.write(body if isinstance(body, bytes) else next(body))
            handler.wfile.flush()

    return act


def flood(piece: bytes, content_type: str, chunked: bool, most_bytes: int) -> Action:
    """`piece` over and over without a Content-Length, up to `most_bytes` lest a fault of the client fill the disk."""

    def act(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        framed = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
        for _ in range(most_bytes // len(piece)):
            if handler.owner.closing.is_set():
                return
            handler.wfile.write(framed)
        if chunked:
            handler.wfile.write(b"0\r\n\r\n")

    return act


@functools.cache
def gzip_of_zeros(size_bytes: int) -> bytes:
    """A gzip body of so many zeros, about a thousandth of it."""
    packer, out, block = zlib.compressobj(9, zlib.DEFLATED, 31), io.BytesIO(), bytes(1 << 20)
    for _ in range(size_bytes >> 20):
        out.write(packer.compress(block))
    out.write(packer.flush())
    return out.getvalue()


def gzipped(text: str) -> bytes:
    """An honest gzip body."""
    return gzip.compress(text.encode())


def vast_headers(handler: Any) -> None:
    """A megabyte of headers, in 100 lines of 10 kB."""
    handler.send_response(200)
    for n in range(100):
        handler.send_header(f"X-{n}", "a" * 10_000)
    handler.end_headers()


def one_vast_header(handler: Any) -> None:
    """A megabyte in one line."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n")


def reset_after_headers(handler: Any) -> None:
    """The connection is reset between the headers and the body."""
    head(handler, 200, "video/mp4", 10_000)
    time.sleep(0.05)
    handler._reset()


def refusing_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
