"""Lets stages overlap: each lane works in a thread of its own and hands on one item at a time.

Decoding, inference and writing wait for one another only when one of them is the bottleneck. The queues hold one item,
so the number of decoded frames in memory stays small whatever the video's length.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_POLL_S = 0.1


class Meter:
    """Counts the seconds that one stage works, as opposed to waiting for the stage before it."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.waiting_s = 0.0

    @property
    def busy_s(self) -> float:
        """Seconds of work."""
        return max(0.0, self.total_s - self.waiting_s)

    def incoming(self, items: Iterator[Any]) -> Iterator[Any]:
        """`items`, their time counted as waiting."""
        return self._timed(items, "waiting_s")

    def outgoing(self, items: Iterator[Any]) -> Iterator[Any]:
        """`items`, their time counted as the stage's total."""
        return self._timed(items, "total_s")

    def _timed(self, items: Iterator[Any], counter: str) -> Iterator[Any]:
        while True:
            start = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                setattr(self, counter, getattr(self, counter) + time.perf_counter() - start)
            yield item
            del item  # a reference kept here would hold a frame while the next one is made


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Lane:
    """An iterator whose items are made in another thread, at most `depth` ahead. Close it, or that goes on for ever.

    Args:
        thread: a pool of one. It outlives the lane, since libraries keep memory for every thread that has called them.
    """

    def __init__(self, items: Iterator[Any], thread: ThreadPoolExecutor, depth: int = 1) -> None:
        self._items = items
        self._queue: queue.Queue[Any] = queue.Queue(depth)
        self._closed = threading.Event()
        self._working = thread.submit(self._work)

    def __iter__(self) -> Lane:
        return self

    def __next__(self) -> Any:
        item = self._queue.get()
        if isinstance(item, _End):
            self._queue.put(item)  # a second call ends the same way
            if item.error is not None:
                raise item.error
            raise StopIteration
        return item

    def close(self) -> None:
        """Stop making items and wait until that has ended; items made ahead are thrown away."""
        self._closed.set()
        self._working.result()
        while not self._queue.empty():
            self._queue.get_nowait()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
                del item  # the queue holds it; a second reference here would keep a frame alive
        except BaseException as exc:  # noqa: BLE001 - carried over to the consumer, which raises it
            error = exc
        self._put(_End(error))

    def _put(self, item: Any) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
