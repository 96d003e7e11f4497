"""One process at a time downloads a video into a cache: two would write into the same partial file.

Builds of several data sets may share a cache. The second one that wants a video waits until the first has it whole.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from cityguessr_data.core.errors import disk_full_stops

_LOCKS = 64
"""Files of locks in a cache, whatever its size; two videos that share one wait for each other now and then."""
_POLL_S = 0.2


@contextmanager
def turn(root: Path, video_id: str, stop: threading.Event | None = None) -> Iterator[bool]:
    """Hold the turn for a video; the system lets go of it when the process dies. Gives False where `stop` was set.

    Raises:
        DiskFullError: no space left in the cache.
    """
    number = int(hashlib.sha256(video_id.encode()).hexdigest()[:8], 16) % _LOCKS
    path = root / ".turns" / f"{number:02d}.lock"
    lock = filelock.FileLock(path, thread_local=False)
    held = False
    with disk_full_stops(str(root)):
        path.parent.mkdir(parents=True, exist_ok=True)
        while not held and not (stop is not None and stop.is_set()):
            try:
                lock.acquire(timeout=0)
                held = True
            except filelock.Timeout:
                (stop or threading.Event()).wait(_POLL_S)
    try:
        yield held
    finally:
        if held:
            lock.release()
