"""Whether an output directory and a cache on an object store lie in somebody else's: a cache is not blurred.

Folders there are names alone, so what a name lies in is found by looking at each of the names above it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from ...core.errors import MachineError
from ...core.remote.objects import Remote

_NOTE = frozenset({"url", "file", "sha256", "bytes"})
"""What every note in a cache says (media/source_cache.py)."""


def data_set_around(cache: str) -> str | None:
    """The data set that a cache would lie in, or be; None where there is none, as far as we may look.

    Raises:
        StopError: the object store does not answer.
    """
    for url in _upwards(f"{cache}/sources"):
        with suppress(MachineError):  # rights to what lies above may be others'
            remote = Remote(url)
            if remote.info("dataset.json") is not None or remote.some(".cgtool/lock"):
                return url
    return None


def cache_around(out: str) -> str | None:
    """The cache that an output directory would lie in, or be; None where there is none, as far as we may look.

    Raises:
        StopError: the object store does not answer.
    """
    for url in _upwards(out):
        with suppress(MachineError, FileNotFoundError, ValueError, TypeError):
            remote = Remote(url)
            note = next((name for name in remote.some("sources") if name.endswith(".json")), None)
            if note is not None and dict(json.loads(remote.read(note))).keys() >= _NOTE:
                return url
    return None


def _upwards(url: str) -> Iterator[str]:
    """A url and those above it, the outermost first; not the bucket itself, which is neither."""
    protocol, _, path = url.partition("://")
    names = path.split("/")
    return (f"{protocol}://{'/'.join(names[:n])}" for n in range(2, len(names) + 1))
