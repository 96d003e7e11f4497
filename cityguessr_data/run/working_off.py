"""What every executor does with its videos: one thread fetches them, a crew computes, this thread hears them all."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..core.types import Dropped, LocalVideo
from .compute import Failed, Staged
from .executor import Fetch, Fetched, Listener, Postponed, WorkItem
from .stage import VideoJob
from .writer import stage_empty

_POLL_S = 0.1
_AHEAD = 4
"""Fetched videos that may wait for a worker."""


class Workers(Protocol):
    """Those who compute, wherever they are."""

    @property
    def busy(self) -> bool:
        """Whether an outcome is still to come of what was assigned."""

    def assign(self, waiting: deque[Fetched], new_staging: Callable[[str], Path]) -> None:
        """Give waiting videos to free workers."""

    def hear(self) -> list[Staged | Failed]:
        """Wait a little and take what workers have sent.

        Raises:
            MachineError: a worker cannot open the stages.
            StopError: the run must stop.
        """

    def close(self) -> None:
        """End every worker, also in the middle of a video: what is not committed by now never will be."""


def work_off(
    items: Sequence[WorkItem],
    fetch: Fetch,
    workers: Workers,
    new_staging: Callable[[str], Path],
    handle: Callable[[Staged | Failed | Postponed], None],
    listener: Listener,
) -> None:
    """Fetch every item and have it computed; `handle` hears each outcome. Closes `workers`. See Executor.run."""
    fetcher = _Fetcher(items, fetch)
    waiting: deque[Fetched] = deque()
    try:
        while not fetcher.finished or waiting or workers.busy:
            while len(waiting) < _AHEAD and (got := fetcher.next()) is not None:
                if not isinstance(got, Fetched):
                    handle(got)
                    continue
                listener.fetched(got)
                if isinstance(got.source, Dropped):
                    handle(_dropped(got, got.source, new_staging(got.item.task.video_id)))
                else:
                    waiting.append(got)
            workers.assign(waiting, new_staging)
            for outcome in workers.hear():
                handle(outcome)
    finally:
        try:
            fetcher.close()
        finally:  # a second Ctrl-C while the fetcher ends
            workers.close()


class _Fetcher:
    """Fetches one item after the other in a thread, a few ahead of the workers."""

    def __init__(self, items: Sequence[WorkItem], fetch: Fetch) -> None:
        self.finished = False
        self._queue: queue.Queue[Fetched | Failed | Postponed | BaseException | None] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(items, fetch), name="fetch", daemon=True)
        self._thread.start()

    def next(self) -> Fetched | Failed | Postponed | None:
        """What came in since, or None."""
        try:
            got = None if self.finished else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(got, BaseException):
            raise got
        self.finished = self.finished or got is None
        return got

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _work(self, items: Sequence[WorkItem], fetch: Fetch) -> None:
        try:
            for item in items:
                if self._stop.is_set():
                    return
                self._put(fetch(item, self._stop))
            self._put(None)
        except BaseException as exc:  # noqa: BLE001 - raised again in the executor's thread
            self._put(exc)

    def _put(self, value: Fetched | Failed | Postponed | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(value, timeout=_POLL_S)
            except queue.Full:
                continue
            return


def _dropped(fetched: Fetched, dropped: Dropped, staging: Path) -> Staged:
    """What a video comes to that was left out before its download."""
    item = fetched.item
    job = VideoJob(item.task, LocalVideo(Path(), item.task.url, ""), staging, lambda _stage, _frames: None)
    stage_empty(job, item.fingerprint, dropped.reason, dropped.message)
    return Staged(item.task.video_id, item.fingerprint, staging, "dropped", dropped.reason, (fetched.step,))
