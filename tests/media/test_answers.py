"""What is counted below yt-dlp, on answers that need no server."""

from __future__ import annotations

import io
import urllib.response
from email.message import Message
from typing import Any

import pytest
from yt_dlp.networking._urllib import UrllibResponseAdapter
from yt_dlp.networking.exceptions import TransportError

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media.answers import Answer, Meter, unpacked
from cityguessr_data.media.download_config import Limits


def response(body: io.IOBase, **headers: str) -> Any:
    told = Message()
    for name, value in headers.items():
        told[name.replace("_", "-")] = value
    made = urllib.response.addinfourl(body, told, "http://example.org/", 200)
    made.msg = "OK"  # type: ignore[attr-defined]
    return made


class Trickle(io.RawIOBase):
    """A thousand bytes every second, fast enough for a connection that is alive."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.now_s += 1.0
        return b"a" * 1000 if self.now_s < 2000 else b""


@pytest.mark.parametrize(("page_s", "whole"), [(300.0, False), (3000.0, True)])
def test_a_page_must_be_whole_in_time(page_s: float, whole: bool) -> None:
    body = Trickle()
    answer = Answer(UrllibResponseAdapter(response(body)), Meter(Limits(page_s=page_s), lambda: body.now_s))
    if whole:
        assert len(answer.read()) == 1_999_000
        return
    with pytest.raises(TransportError, match="a page was not whole after 300 s"):
        answer.read()
    assert body.now_s < 303


@pytest.mark.parametrize(
    ("packing", "body", "fault"),
    [
        ("gzip", b"no gzip", OSError),
        ("br", b"", OSError),
        ("gzip", b"a" * 2000, MediaError),
        ("identity, deflate", b"x\x9c\x03\x00\x00\x00\x00\x01", None),
    ],
)
def test_what_came_packed_is_not_left_open(packing: str, body: bytes, fault: type[Exception] | None) -> None:
    """Where it is refused, the only one who knows of it is the collector of garbage, which complains."""
    packed = response(io.BytesIO(body), Content_Encoding=packing)
    limits = Limits(most_page_bytes=1000)
    if fault is None:
        assert unpacked(packed, limits).read() == b""
    else:
        with pytest.raises(fault):
            unpacked(packed, limits)
    assert packed.closed


def test_what_did_not_come_packed_is_left_as_it_is() -> None:
    plain = response(io.BytesIO(b"x"), Content_Encoding="identity")
    assert unpacked(plain, Limits()) is plain and not plain.closed
