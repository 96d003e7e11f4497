"""A clock that is wrong: for a command (`install`), and for the time stamps of the files that it has written."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support_workers import HOOK

YEAR_S = 365 * 86400.0
_ASKED = "CGTOOL_TEST_CLOCK"
_REAL, _REAL_TIME = datetime, time.time
_ASKING = ("cityguessr_data.pipeline", "cityguessr_data.run.compute", "cityguessr_data.media.failures")
"""Modules whose clock is shifted though nothing may have imported them yet."""


def clock_env(*offsets_s: float) -> dict[str, str]:
    """For a command whose clock is so far off; with several, it jumps from one to the next each time it is asked."""
    return {HOOK: __name__, _ASKED: " ".join(map(str, offsets_s))}


def install() -> None:
    """In a command or a worker of it."""
    _shift([float(word) for word in os.environ[_ASKED].split()], setattr)


@contextmanager
def clock(*offsets_s: float) -> Iterator[None]:
    """The same in this process, as long as it lasts."""
    with pytest.MonkeyPatch.context() as patch:
        _shift(list(offsets_s), patch.setattr)
        yield


def _shift(offsets_s: list[float], put: Callable[[Any, str, Any], None]) -> None:
    turns = itertools.cycle(offsets_s)

    class Shifted(_REAL):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return _REAL.now(tz) + timedelta(seconds=next(turns))

    def shifted_time() -> float:
        return _REAL_TIME() + next(turns)

    put(time, "time", shifted_time)
    for name in _ASKING:
        importlib.import_module(name)
    for name, held in list(sys.modules.items()):
        if name.startswith(("cgtool", "cityguessr_data")) and getattr(held, "datetime", None) is _REAL:
            put(held, "datetime", Shifted)


def age(folder: Path, by_s: float) -> None:
    """Give everything below a folder the time stamps that it would have if the clock had been off by so much."""
    for path in sorted([folder, *folder.rglob("*")], key=lambda p: -len(p.parts)):
        stat = path.stat(follow_symlinks=False)
        ns = round(by_s * 1e9)
        os.utime(path, ns=(stat.st_atime_ns + ns, stat.st_mtime_ns + ns), follow_symlinks=False)
