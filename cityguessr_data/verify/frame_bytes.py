"""Each frame's file is there and has the bytes that its row was written for: read in threads, a few at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ..core.frame_files import FrameFiles, is_under
from .asked import Asked
from .findings import Fault
from .unit import UnitTables

_CHECK = "frames"
_AHEAD = 32
"""Frames that may be read ahead of the one that is waited for: their bytes are in memory."""


def check_frames(unit: UnitTables, asked: Asked, files: FrameFiles, pool: ThreadPoolExecutor) -> Iterator[Fault]:
    """See the module. Imported frames are looked at where they lie."""
    rows = zip(*(unit.frames[name] for name in ("path", "sha256")), strict=True)
    waiting: deque[tuple[str, Future[str]]] = deque()
    for path, sha256 in rows:
        if not sha256 and not asked.imported:
            yield Fault(_CHECK, path, "its row has no digest", "redo", unit.name)
        waiting.append((path, pool.submit(_wrong, files, path, sha256)))
        if len(waiting) > _AHEAD:
            yield from _told(unit, *waiting.popleft())
    while waiting:
        yield from _told(unit, *waiting.popleft())


def _told(unit: UnitTables, path: str, wrong: Future[str]) -> Iterator[Fault]:
    if what := wrong.result():
        yield Fault(_CHECK, path, what, "frame", unit.name)


def _wrong(files: FrameFiles, path: str, sha256: str | None) -> str:
    try:
        if is_under(path):
            files.size(path)  # a link would be read, and is no file of the data set
        content = files.read(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as exc:
        return f"cannot be read ({exc.strerror or exc})"
    if not content:
        return "is empty"
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        return "is another file than its row was written for (SHA-256)"
    return ""
