"""A worker process: opens the computing stages once, then takes videos from its pipe until it is killed.

What it sends: ("ready", remarks), ("unfit", (message, hint)), ("ticks", {stage: frames}), ("outcome", Staged or
Failed), ("stop", StopError).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ..core.errors import CgtoolError, StopError
from ..core.types import LocalVideo, VideoTask
from .compute import Compute
from .executor import ComputeFactory
from .process import prepare_worker

Job = tuple[VideoTask, LocalVideo, Path, str]
"""What comes down the pipe: task, source, staging folder, fingerprint."""

_TELL_EVERY_S = 0.25


def serve(pipe: connection.Connection[Any, Any], factory: ComputeFactory, threads: int) -> None:
    """Entry point of the process. `threads` is its share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends us
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):  # the parent has gone: nothing to tell
        _serve(pipe, factory, threads)


def _serve(pipe: connection.Connection[Any, Any], factory: ComputeFactory, threads: int) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    prepare_worker(threads)
    try:
        compute: Compute = factory()
    except CgtoolError as exc:
        pipe.send(("unfit", (exc.message, exc.hint)))
        return
    pipe.send(("ready", [remark for stage in compute.stages for remark in stage.remarks()]))
    while True:
        job: Job = pipe.recv()
        ticks = _Ticks(pipe)
        try:
            outcome = compute.run(*job, tick=ticks.add)
        except StopError as exc:
            pipe.send(("stop", exc))
            return
        ticks.tell()
        pipe.send(("outcome", outcome))


class _Ticks:
    """Gathers the frames that stages have finished and tells them a few times a second. Called from several threads."""

    def __init__(self, pipe: connection.Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._frames: Counter[str] = Counter()
        self._told_s = time.monotonic()
        self._lock = threading.Lock()

    def add(self, stage: str, frames: int) -> None:
        with self._lock:
            self._frames[stage] += frames
        if time.monotonic() - self._told_s > _TELL_EVERY_S:
            self.tell()

    def tell(self) -> None:
        with self._lock:  # also keeps two threads from writing into the pipe at once
            if self._frames:
                self._pipe.send(("ticks", dict(self._frames)))
            self._frames.clear()
            self._told_s = time.monotonic()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
