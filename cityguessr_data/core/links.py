"""Which links a sources table may hold: http(s), or a file that is there; private hosts only where they are allowed.

Only what stands in the link is looked at. Names are not resolved here: whoever opens a connection checks the address it
gets, and again after every redirect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def checked_url(url: str, folder: Path, allow_private_hosts: bool = False) -> str:
    """The link as it may be used: http(s) unchanged, a local file as its absolute path.

    Args:
        url: the cell of the table.
        folder: where relative paths start: the table's folder.
    Raises:
        ValueError: why it is not taken, in words.
    """
    scheme = _SCHEME.match(url)
    if scheme and scheme[1].lower() in ("http", "https"):
        _check_web(url, allow_private_hosts)
        return url
    if scheme and scheme[1].lower() == "file":
        raise ValueError("file: links are never taken: give the path alone")
    try:
        path = (folder / url).resolve()
        if path.is_file():
            return str(path)
        kind = "a folder, not a file" if path.is_dir() else "no such file"
    except (OSError, ValueError, RuntimeError) as exc:
        raise ValueError(f"not a usable path: {exc}") from exc
    if scheme:
        raise ValueError(f"{scheme[1]}: links are not taken, only http:, https: and local files")
    raise ValueError(f"{kind}: {url} (a link starts with http:// or https://)")


def is_private_host(host: str) -> bool:
    """Whether a host, as written, is this machine or an address that is not public.

    `localhost`, and literal addresses in any notation that a resolver takes (127.1, 0x7f000001, ::ffff:10.0.0.1).
    """
    host = unicodedata.normalize("NFKC", unquote(host)).replace("。", ".").strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    return address is not None and (not address.is_global or address.is_multicast)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if re.fullmatch(r"[0-9a-fx.]+", host, re.ASCII):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # takes the old notations too
        except OSError:
            return None
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _check_web(url: str, allow_private_hosts: bool) -> None:
    if re.search(r"[\s\x00-\x1f\x7f\\]", url):
        raise ValueError("a link holds no spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError(f"malformed link: {exc}") from exc
    if not host:
        raise ValueError("the link names no host")
    if parts.username is not None:
        raise ValueError("a link with a user name or password would be published with the table: use --cookies")
    if not allow_private_hosts and is_private_host(host):
        raise ValueError(f"{host} is this machine or a private address: --allow-private-hosts takes it")
