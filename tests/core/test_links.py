"""Links to this machine and to private networks are known in every notation of an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.core.links import checked_url, is_private_host

PRIVATE = [
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "127.0.0.1",
    "127.9.9.9",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[::ffff:10.0.0.1]",
    "[2002:7f00:1::]",
    "127%2e0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
]
PUBLIC = [
    "example.com",
    "8.8.8.8",
    "172.32.0.1",
    "[2606:4700::1111]",
    "0x08080808",
    "localhost.example.com",
    "dead.beef",
    "face",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_hosts_only_where_allowed(host: str) -> None:
    url = f"http://{host}:8000/x.mp4"
    assert is_private_host(host)
    with pytest.raises(ValueError, match="private address"):
        checked_url(url, Path())
    assert checked_url(url, Path(), allow_private_hosts=True) == url


@pytest.mark.parametrize("host", PUBLIC)
def test_public_hosts(host: str) -> None:
    assert not is_private_host(host)
    assert checked_url(f"https://{host}/x.mp4", Path()) == f"https://{host}/x.mp4"
