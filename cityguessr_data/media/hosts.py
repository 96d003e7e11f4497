"""Which hosts may be asked: public ones, unless the user says that private ones are meant.

A table of links comes from strangers. A link to 127.0.0.1, to a router or to a cloud's metadata address would make this
machine fetch what only this machine may see. So the decision is made on the addresses that a name resolves to, at the
moment of connecting and only those addresses are connected to: a name that changes its answer (DNS rebinding) or a
redirect gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cityguessr_data.core.errors import ErrorClass, VideoError
from cityguessr_data.core.links import is_private_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[tuple[int, tuple[Any, ...]]]]
"""(host, port) -> [(address family, socket address)]; the socket address begins with the address as text."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, deprecated, still routed by some stacks
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that is given out
# By hand of the special-purpose registries (RFC 6890 and its updates): what `ipaddress` says depends on its patch level
_NOT_PUBLIC_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_NOT_PUBLIC_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))


class RefusedHostError(VideoError):
    """A link leads to a host that is not asked. Retryable: with the option, the same link is fine."""

    def __init__(self, host: str, address: str) -> None:
        where = host if host == address else f"{host} ({address})"
        super().__init__(
            ErrorClass.NETWORK,
            f"{where} is on a loopback or private network and was not asked",
            "If the host is yours, run again with --allow-private-hosts",
        )


def is_private(address: Address) -> bool:
    """True for what is no public host: private, loopback, link-local, shared, reserved, multicast, unspecified.

    IPv4 addresses inside IPv6 ones (mapped, compatible, NAT64, 6to4, Teredo) are judged as the IPv4 address.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded_v4(address)
        if inner is not None:
            return is_private(inner)
        if address not in _GLOBAL_V6 or any(address in network for network in _NOT_PUBLIC_V6):
            return True
    elif any(address in network for network in _NOT_PUBLIC_V4):
        return True
    return not address.is_global


def _embedded_v4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    # ::1 and :: lie in the compatible range too, and are told apart as themselves
    if address in _NAT64 or (address in _V4_COMPATIBLE and int(address) > 0xFFFF):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def host_of(url: str) -> str:
    """The host of an http(s) url, lower case.

    Raises:
        VideoError: (bad-media) for any other scheme, `file:` above all, and where there is no host.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme.lower() not in ("http", "https"):
        raise VideoError(ErrorClass.BAD_MEDIA, f"{url!r} is not an http or https url", "Only such urls are downloaded")
    return host


def system_resolver(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """The system's answer. Raises socket.gaierror."""
    return [(info[0], info[4]) for info in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)]


@dataclass(frozen=True)
class HostGuard:
    """Lets connections through to the hosts that may be asked."""

    allow_private: bool = False
    """The user's --allow-private-hosts: everything is let through."""
    allowed: frozenset[str] = field(default_factory=frozenset)
    """Single private addresses that are let through all the same."""
    resolver: Resolver = system_resolver

    def check_address(self, host: str, address: str) -> None:
        """Raises RefusedHostError for an address that is not to be asked; it may have a zone (`fe80::1%eth0`)."""
        if self.allow_private or address in self.allowed:
            return
        if is_private(ipaddress.ip_address(address.partition("%")[0])):
            raise RefusedHostError(host, address)

    def check_name(self, host: str, port: int = 443) -> None:
        """For a request that a proxy will make: a name this machine cannot resolve is left to the proxy.

        Raises:
            RefusedHostError: for a private address, a name that stands for one, or localhost.
        """
        if is_private_host(host) and not self.allow_private and host not in self.allowed:
            raise RefusedHostError(host, host)
        try:
            found = self.resolver(host, port)
        except OSError:
            return
        for _, address in found:
            self.check_address(host, str(address[0]))

    def connect(
        self,
        address: tuple[str, int],
        timeout: float | None = None,
        source_address: tuple[str, int] | None = None,
    ) -> socket.socket:
        """Resolve once, check every answer, connect to the first that answers. In place of socket.create_connection.

        Raises:
            RefusedHostError: if any answer is a private address.
            OSError: nobody answered.
        """
        host, port = address
        found = self.resolver(host, port)
        for _, target in found:
            self.check_address(host, str(target[0]))
        failure: OSError = OSError(f"{host} has no address")
        for family, target in found:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(timeout)
                if source_address:
                    sock.bind(source_address)
                sock.connect(target)
                return sock
            except OSError as exc:
                sock.close()
                failure = exc
        raise failure
