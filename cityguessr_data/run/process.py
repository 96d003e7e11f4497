"""Sets up a process for the computing stages: its share of the cores, and memory that is kept for the next frame."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from ..core.threads import VARIABLE

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Their numbers for mallopt, in malloc.h of the GNU C library."""
_MMAP_BYTES, _TRIM_BYTES = 32 << 20, 256 << 20
"""Older C libraries refuse more than 32 MiB for the first; a frame of 4K has 25."""


def prepare_worker(threads: int) -> None:
    """Before torch, OpenVINO or ONNX Runtime is imported: `threads` for the decoder and for every library."""
    _keep_freed_memory()
    os.environ[VARIABLE] = str(threads)
    import cv2  # after that

    cv2.setNumThreads(threads)


def held_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _keep_freed_memory() -> None:
    """Tell the C library to hand out freed frames again, not to return them to the system.

    Returned and asked for again, a frame is 700 page faults, each under a lock that all threads of a worker share: they
    took a quarter of a build's time on the clock. Where there is no such C library, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and mallopt(_MMAP_THRESHOLD, _MMAP_BYTES):  # 0: refused, and the usual ways are kept
        mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)
