"""Worker processes on this machine: started, given videos, heard, and replaced when one dies or hangs.

Processes rather than threads: a decoder that crashes on a hostile file takes one video down and not the run, and the
process that starts them stays free of torch. A decoder that hangs does so inside a library, where only a kill from
outside reaches it. A worker whose parent dies ends itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection, resource_tracker
from pathlib import Path

from ..core.errors import ErrorClass, MachineError, StopError
from .compute import Failed, Staged
from .executor import ComputeFactory, Fetched, Listener
from .process import held_bytes
from .stage import Step
from .worker import serve

STALL_S = 900.0
"""A worker from which nothing is heard for so long hangs. Every packet and every frame is heard of; the longest silence
of one that works is a batch of 4K in the largest detector on a slow core: a minute or two."""
MOST_BYTES = 8 << 30
"""What a worker may hold: four times what one held with H.264 of the largest size and the smallest detector
(docs/reliability.md); others hold more."""
_POLL_S = 0.1
_LONGEST_TURN_S = 1.0
"""What is counted of the time between two looks: not the hours that the machine slept or this process was stopped."""
_END_S = 30.0
"""How long a killed process is waited for: one that waits for a dead disk inside the system does not end."""


class NoNewWorkerError(StopError):
    """A worker cannot open the stages where another of this run could: a want of memory, a disk that has gone."""


class _Worker:
    def __init__(self, factory: ComputeFactory, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, factory, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.fetched: Fetched | None = None
        self.silent_s = 0.0
        """How long nothing has been heard of it, of the time that it had work."""

    def died(self) -> str:
        """Wait for its end and tell how it ended."""
        self.process.join(_END_S)
        code = self.process.exitcode
        if code is None:
            return f"still there {_END_S:.0f} s later"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class Crew:
    """`size` worker processes of `threads` each: started when a video needs one, replaced when one dies or hangs.

    Args:
        stall_s: a video whose worker says nothing for so long has failed, and the worker is killed.
        most_bytes: likewise, where the worker comes to hold more.
    """

    def __init__(
        self,
        factory: ComputeFactory,
        size: int,
        threads: int,
        listener: Listener,
        *,
        stall_s: float = STALL_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._factory = factory
        self._size = size
        self._threads = threads
        self._listener = listener
        self._stall_s, self._most_bytes = stall_s, most_bytes
        self.has_been_ready = False
        """Whether a worker of this run could open the stages: from then on the run is under way."""
        self._looked_s = time.monotonic()
        self._workers: list[_Worker] = []

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
            free.silent_s = 0.0
            item = free.fetched.item
            try:
                free.pipe.send((item.task, free.fetched.source, new_staging(item.task.video_id), item.fingerprint))
            except BrokenPipeError:
                return  # it has died meanwhile: `hear` finds its pipe closed and tells

    def hear(self) -> list[Staged | Failed]:
        """Wait a little and take what workers have sent.

        Raises:
            MachineError: a worker cannot open the stages, or hangs while it does.
            NoNewWorkerError: likewise, where another could: what is committed counts.
            StopError: a worker asks to stop the run.
        """
        if not self._workers:
            time.sleep(_POLL_S)
            return []
        outcomes: list[Staged | Failed] = []
        ready = connection.wait([w.pipe for w in self._workers], _POLL_S)
        for worker in [w for w in self._workers if w.pipe in ready]:
            worker.silent_s = 0.0
            try:
                kind, value = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                outcomes += self._bury(worker)
                continue
            if kind == "unfit":
                raise self._unfit(*value)
            if kind == "stop":
                raise value
            if kind == "ready":
                worker.ready = self.has_been_ready = True
                for remark in value:
                    self._listener.said(remark)
            elif kind == "ticks":
                for stage, frames in value.items():
                    self._listener.ticked(stage, frames)
            elif worker.fetched is not None:
                outcomes.append(dataclasses.replace(value, steps=(worker.fetched.step, *value.steps)))
                worker.fetched = None
        return outcomes + self._end_harmful(ready)

    def _end_harmful(self, heard: Sequence[object]) -> list[Failed]:
        """Kill the workers that have been silent for too long or hold too much; what each had has failed."""
        now_s = time.monotonic()
        turn_s, self._looked_s = min(now_s - self._looked_s, _LONGEST_TURN_S), now_s
        failed: list[Failed] = []
        for worker in [w for w in self._workers if w.fetched]:
            worker.silent_s += 0.0 if worker.pipe in heard else turn_s
            limit_s = self._stall_s if worker.ready else STALL_S
            why = None
            if worker.silent_s > limit_s:
                why = f"made no progress for {limit_s:g} s and was ended"
            elif held_bytes(worker.process.pid or 0) > self._most_bytes:
                why = f"took more than {self._most_bytes / (1 << 30):.3g} GiB of memory and was ended"
            if why:
                worker.process.kill()
                failed += self._bury(worker, why)
        return failed

    def close(self) -> None:
        """End every worker; one that is in the middle of a video is killed, since only the parent can commit it."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(_END_S)
            worker.pipe.close()

    def _bury(self, worker: _Worker, why: str | None = None) -> list[Failed]:
        how = worker.died()
        self._workers.remove(worker)
        worker.pipe.close()
        if not worker.ready:
            told = f"{why} while it started" if why else f"died while it started ({how})"
            raise self._unfit(f"a worker process {told}", "Run `cgtool doctor`")
        if worker.fetched is None:
            return []
        item, fetching = worker.fetched.item, worker.fetched.step
        message = f"the worker process {why} on this video" if why else f"the worker process died on this video ({how})"
        step = Step("compute", "failed", fetching.started_at, 0.0, ErrorClass.INTERNAL, message)
        steps = (fetching, step)
        return [Failed(item.task.video_id, item.fingerprint, ErrorClass.INTERNAL, message, steps, not why)]

    def _unfit(self, message: str, hint: str) -> MachineError | NoNewWorkerError:
        if self.has_been_ready:
            return NoNewWorkerError(message, f"{hint}, and run the same command again")
        return MachineError(message, hint)


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
