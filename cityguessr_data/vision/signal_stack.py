"""Gives a thread its stack for signals back after a library has put its own in its place.

OpenVINO sets one when it looks for AMX, too small for the frame that a processor with AMX needs, and frees it with the
model. Python's handlers run on that stack: the next Ctrl-C would then end the process with a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """stack_t of Linux (sigaltstack(2))."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("n_bytes", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """Leave the calling thread's signal stack as it was. Elsewhere than on Linux it does nothing."""
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None)
    before = _Stack()
    known = libc.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            libc.sigaltstack(ctypes.byref(before), None)
