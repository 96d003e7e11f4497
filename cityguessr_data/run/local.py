"""Runs a build on this machine: one thread fetches, worker processes compute, this thread hears them all.

Worker processes rather than threads: a decoder that crashes on a hostile file takes one video down and not the run, and
this process stays free of torch. A worker whose parent dies ends itself, and only the parent commits, so a killed run
leaves nobody behind who could still write a result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection, resource_tracker
from pathlib import Path

from ..core.errors import ErrorClass, MachineError
from ..core.threads import n_cores
from ..core.types import Dropped, LocalVideo
from .compute import Failed, Staged
from .executor import ComputeFactory, Fetch, Fetched, Listener, Postponed, WorkItem
from .stage import Step, VideoJob
from .worker import serve
from .writer import stage_empty

_POLL_S = 0.1
_AHEAD = 4
"""Fetched videos that may wait for a worker."""


_WORKER_BYTES = 2 << 30
"""What a worker may come to hold, with sources of 4K (docs/benchmarks.md)."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_ON_A_GPU = 4
"""Workers where there is a GPU: each holds the models there once more."""


def usual_workers(device: str = "auto") -> int:
    """How many processes to use where nobody said: one a core, as far as there are 2 GiB of memory for each.

    Small networks share a core's work badly: two workers of one thread do more than one of two. With a GPU, four at
    most, which is a guess and not measured.
    """
    memory = _memory_bytes()
    most: int = max(1, min(n_cores(), memory // _WORKER_BYTES))
    has_gpu = device != "cpu" and Path("/dev/nvidia0").exists()
    return min(most, _ON_A_GPU) if has_gpu else most


def _memory_bytes() -> int:
    """Of the machine, or of the container where that has less; of one worker where neither is told."""
    found = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ValueError, OSError):  # `max`: no limit
        found.append(int(_CONTAINER_LIMIT.read_text()))
    return min(found, default=_WORKER_BYTES)


class LocalExecutor:
    """Worker processes on this machine, each with its share of the cores; no more of them than there are videos.

    Args:
        workers: how many; None: `usual_workers`.
    """

    def __init__(self, workers: int | None = None, device: str = "auto") -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"expected at least one worker, got {workers}")
        self.workers = usual_workers(device) if workers is None else workers

    def run(
        self,
        items: Sequence[WorkItem],
        fetch: Fetch,
        factory: ComputeFactory,
        new_staging: Callable[[str], Path],
        handle: Callable[[Staged | Failed | Postponed], None],
        listener: Listener,
    ) -> None:
        """See Executor.run."""
        fetcher = _Fetcher(items, fetch)
        crew = _Crew(factory, max(1, min(self.workers, len(items))), listener)
        waiting: deque[Fetched] = deque()
        try:
            while not fetcher.finished or waiting or crew.busy:
                while len(waiting) < _AHEAD and (got := fetcher.next()) is not None:
                    if not isinstance(got, Fetched):
                        handle(got)
                        continue
                    listener.fetched(got)
                    if isinstance(got.source, Dropped):
                        handle(_dropped(got, got.source, new_staging(got.item.task.video_id)))
                    else:
                        waiting.append(got)
                crew.assign(waiting, new_staging)
                for outcome in crew.hear():
                    handle(outcome)
        finally:
            try:
                fetcher.close()
            finally:  # a second Ctrl-C while the fetcher ends
                crew.close()


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


class _Worker:
    def __init__(self, factory: ComputeFactory, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, factory, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.fetched: Fetched | None = None

    def died(self) -> str:
        """Wait for its end and tell how it ended."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class _Crew:
    """The worker processes: started when the first video needs one, replaced when one dies."""

    def __init__(self, factory: ComputeFactory, size: int, listener: Listener) -> None:
        self._factory = factory
        self._size = size
        self._listener = listener
        self._workers: list[_Worker] = []
        self._threads = max(1, n_cores() // size)

    @property
    def busy(self) -> bool:
        return any(worker.fetched for worker in self._workers)

    def assign(self, waiting: deque[Fetched], new_staging: Callable[[str], Path]) -> None:
        """Give waiting videos to free workers."""
        while waiting:
            free = next((w for w in self._workers if w.fetched is None), None)
            if free is None:
                if len(self._workers) >= self._size:
                    return
                with _interrupts_wait():
                    free = _Worker(self._factory, self._threads)
                    self._workers.append(free)
            free.fetched = waiting.popleft()
            item = free.fetched.item
            try:
                free.pipe.send((item.task, free.fetched.source, new_staging(item.task.video_id), item.fingerprint))
            except BrokenPipeError:
                return  # it has died meanwhile: `hear` finds its pipe closed and tells

    def hear(self) -> list[Staged | Failed]:
        """Wait a little and take what workers have sent.

        Raises:
            MachineError: a worker cannot open the stages.
            StopError: a worker asks to stop the run.
        """
        if not self._workers:
            time.sleep(_POLL_S)
            return []
        outcomes: list[Staged | Failed] = []
        ready = connection.wait([w.pipe for w in self._workers], _POLL_S)
        for worker in [w for w in self._workers if w.pipe in ready]:
            try:
                kind, value = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                outcomes += self._bury(worker)
                continue
            if kind == "unfit":
                raise MachineError(*value)
            if kind == "stop":
                raise value
            if kind == "ready":
                worker.ready = True
                for remark in value:
                    self._listener.said(remark)
            elif kind == "ticks":
                for stage, frames in value.items():
                    self._listener.ticked(stage, frames)
            elif worker.fetched is not None:
                outcomes.append(dataclasses.replace(value, steps=(worker.fetched.step, *value.steps)))
                worker.fetched = None
        return outcomes

    def close(self) -> None:
        """End every worker; one that is in the middle of a video is killed, since only the parent can commit it."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _bury(self, worker: _Worker) -> list[Failed]:
        how = worker.died()
        self._workers.remove(worker)
        worker.pipe.close()
        if not worker.ready:
            raise MachineError(f"a worker process died while it started ({how})", "Run `cgtool doctor`")
        if worker.fetched is None:
            return []
        item, fetching = worker.fetched.item, worker.fetched.step
        message = f"the worker process died on this video ({how})"
        step = Step("compute", "failed", fetching.started_at, 0.0, ErrorClass.INTERNAL, message)
        return [Failed(item.task.video_id, item.fingerprint, ErrorClass.INTERNAL, message, (fetching, step))]


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect at the end, so that no worker is left half started.

    A process started inside inherits the blocked SIGINT: it is deaf to Ctrl-C from its first moment, imports included.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # its start would unblock SIGINT again
    caught: list[int] = []
    wait = (signal.SIGINT, signal.SIGTERM)
    handlers = {
        number: signal.signal(number, lambda caught_number, _frame: caught.append(caught_number)) for number in wait
    }
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in caught:
            signal.raise_signal(late)


def _dropped(fetched: Fetched, dropped: Dropped, staging: Path) -> Staged:
    """What a video comes to that was left out before its download."""
    item = fetched.item
    job = VideoJob(item.task, LocalVideo(Path(), item.task.url, ""), staging, lambda _stage, _frames: None)
    stage_empty(job, item.fingerprint, dropped.reason, dropped.message)
    return Staged(item.task.video_id, item.fingerprint, staging, "dropped", dropped.reason, (fetched.step,))
