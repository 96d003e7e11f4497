"""The host guard: address ranges by hand from the IANA registries (RFC 6890), connections on real loopback ones."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import VideoError
from cityguessr_data.media.hosts import HostGuard, RefusedHostError, host_of, is_private
from tests.support_server import Server

# RFC 6890 and its updates, and RFC 5771: everything a stranger's link has no business with
NOT_PUBLIC_V4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),
]
PUBLIC = (
    *("8.8.8.8", "142.250.74.78", "172.32.0.1", "100.128.0.1", "192.0.1.1", "192.88.98.255", "223.255.255.255"),
    *("2606:4700::1111", "2a00:1450:4001::200e", "2001:200::1", "2001:4860:4860::8888", "3ffe::1"),
)


@given(st.sampled_from(NOT_PUBLIC_V4), st.integers(min_value=0))
def test_not_public_v4_ranges_are_refused_also_inside_v6(network: str, offset: int) -> None:
    net = ipaddress.IPv4Network(network)
    inner = net[offset % net.num_addresses]
    assert is_private(inner)
    value = int(inner)
    assert is_private(ipaddress.IPv6Address((0xFFFF << 32) | value)), "IPv4-mapped, ::ffff:a.b.c.d"
    assert is_private(ipaddress.IPv6Address((0x64FF9B << 96) | value)), "NAT64, 64:ff9b::a.b.c.d"
    assert is_private(ipaddress.IPv6Address((0x2002 << 112) | (value << 80) | 1)), "6to4, 2002:aabb:ccdd::1"


NOT_PUBLIC_V6 = [
    *("::", "::1", "::ffff:0:8.8.8.8", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:20::1"),
    *("2001:db8::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1"),
    *("ff02::1", "ff0e::1"),
]


@pytest.mark.parametrize("text", NOT_PUBLIC_V6)
def test_not_public_v6_is_refused(text: str) -> None:
    assert is_private(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", [*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"])
def test_public_addresses_pass(text: str) -> None:
    assert not is_private(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b.mp4", "data:,x", "rtmp://a/b", "http:///x", "http://[::1"]
)
def test_only_http_urls_have_a_host(url: str) -> None:
    with pytest.raises(VideoError):
        host_of(url)


def answers(*addresses: str) -> tuple[HostGuard, list[str]]:
    """A guard whose name server gives these answers, one a question (the last one for ever), and the questions."""
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
        asked.append(host)
        address = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, (a, port)) for a in address.split()]

    return HostGuard(resolver=resolver), asked


def test_a_name_is_judged_by_its_addresses() -> None:
    guard, _ = answers("10.0.0.7")
    with pytest.raises(RefusedHostError, match=r"innocent\.test \(10\.0\.0\.7\)"):
        guard.connect(("innocent.test", 80))


def test_one_private_answer_among_public_ones_is_enough() -> None:
    guard, _ = answers("8.8.8.8 192.168.1.1")
    with pytest.raises(RefusedHostError):
        guard.connect(("mixed.test", 80), timeout=0.01)


def test_rebinding_gains_nothing(tmp_path: Path) -> None:
    """The name answers allowed first and loopback ever after: what was checked is what is connected to."""
    with Server(tmp_path) as server:
        guard, asked = answers("127.0.0.1", "127.0.0.2")
        guard = HostGuard(allowed=frozenset({"127.0.0.1"}), resolver=guard.resolver)
        guard.connect(("rebind.test", server.port), timeout=2).close()
        assert asked == ["rebind.test"]
        with pytest.raises(RefusedHostError):
            guard.connect(("rebind.test", server.port), timeout=2)


def test_the_option_lets_all_through(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        HostGuard(allow_private=True).connect((server.host, server.port), timeout=2).close()
        with pytest.raises(RefusedHostError, match=r"127\.0\.0\.1"):
            HostGuard().connect((server.host, server.port), timeout=2)


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "017700000001"])
def test_old_ways_of_writing_loopback_are_seen_through(host: str) -> None:
    with pytest.raises(RefusedHostError):
        HostGuard().connect((host, 9), timeout=0.01)


def test_behind_a_proxy_names_are_checked_and_unknown_ones_left_to_it() -> None:
    guard, _ = answers("10.1.1.1")
    for name in ("intranet.test", "localhost", "169.254.169.254", "[::1]"):
        with pytest.raises(RefusedHostError):
            guard.check_name(name)

    def nobody(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    HostGuard(resolver=nobody).check_name("only-the-proxy-knows.test")
