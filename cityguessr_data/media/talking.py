"""Talks with yt-dlp in a process of its own, which can be ended at any moment.

yt-dlp searches what strangers' servers answer with regular expressions. One that takes hours on a crafted page holds
the interpreter's lock all the while: in this process no limit would be kept and no Ctrl-C heard. So it runs in another
one, which the system ends where a look-up takes too much of the processor, and which is refused too much memory.

A process is kept for the next talk: starting one takes most of a second. It ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.errors import CgtoolError, ErrorClass, MediaError, StopError, VideoError
from cityguessr_data.media.download_config import DownloadConfig, Limits, Progress, Refused
from cityguessr_data.media.failures import close_left_open, typed
from cityguessr_data.media.hosts import HostGuard
from cityguessr_data.media.pace import site_of

if TYPE_CHECKING:
    from cityguessr_data.media.session import Session

BEFORE_TALKS: list[Callable[[], None]] = []
"""Called once in each such process, before it talks: functions of modules, for who adds an extractor of their own."""
_POLL_S = 0.2
_LAST_WORDS_S = 1.0
"""For a talk that is no longer wanted to end by itself, which leaves what it downloaded in better order."""


class DownloadStopped(StopError):
    """`stop` was set. What is on disk of the download is resumed by the next run."""

    exit_code = 130


@dataclass(frozen=True)
class Talk:
    """What is asked for. All of it travels to the other process."""

    config: DownloadConfig
    guard: HostGuard
    url: str
    folder: Path | None
    """Where a download goes; a look-up needs none."""
    refused: Refused
    job: Callable[[Session], Any]
    """A function of a module, or a `partial` of one; likewise what it returns must be able to travel."""


def talk(
    asked: Talk,
    turn: Callable[[str], None],
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Any:
    """Have `asked.job(session)` done, and return what it does. May be called by several threads.

    Args:
        turn: waits, here, until a page that a list points to may be asked for; what it raises ends the talk.
        progress: called here, in the calling thread.
    Raises:
        DownloadStopped: `stop` was set; raised within two seconds.
        CgtoolError: what the job raised, as one of our errors; MediaError where what a server answers took too much of
            the processor or of memory.
    """
    talker = _idle.take()
    try:
        answer = talker.ask(asked, turn, progress, stop)
    except BaseException:  # also Ctrl-C
        talker.end()
        raise
    _idle.give(talker)
    if isinstance(answer, CgtoolError):
        raise answer
    return answer


class _Talker:
    """The other process, seen from here."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._before = tuple(BEFORE_TALKS)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._before), name="talk", daemon=True)
        self._process.start()
        theirs.close()

    @property
    def fit(self) -> bool:
        return self._process.is_alive() and self._before == tuple(BEFORE_TALKS)

    def ask(
        self, asked: Talk, turn: Callable[[str], None], progress: Progress | None, stop: threading.Event | None
    ) -> Any:
        """What the job returned, or the CgtoolError that it raised."""
        self._send((asked, dict(os.environ), progress is not None), asked)
        while True:
            if stop is not None and stop.is_set():
                raise DownloadStopped("the download was stopped", "The same command goes on from here")
            try:
                if not self._pipe.poll(_POLL_S):
                    continue
                kind, *what = self._pipe.recv()
            except (EOFError, OSError):
                raise self._lost(asked) from None
            if kind == "end":
                return what[0]
            if kind == "turn":
                turn(what[0])
                self._send(None, asked)
            elif progress is not None:
                progress(*what)

    def _send(self, message: object, asked: Talk) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise self._lost(asked) from None

    def _lost(self, asked: Talk) -> VideoError:
        """What to say of a talk whose process has died."""
        self._process.join(_LAST_WORDS_S)
        code = self._process.exitcode
        if code == -signal.SIGPROF:
            return MediaError(
                f"{asked.url}: to make sense of what it answers takes over {asked.config.limits.most_cpu_s:g} s "
                "of the processor",
                "Link to the video itself",
            )
        how = f"by signal {signal.Signals(-code).name}" if code and code < 0 else f"with {code}"
        return VideoError(
            ErrorClass.INTERNAL, f"{asked.url}: the process that asked for it ended {how}", "Run with --retry-failed"
        )

    def end(self) -> None:
        """Let it say its last words, then kill it."""
        with contextlib.suppress(OSError, EOFError):
            self._pipe.send("halt")
            deadline = time.monotonic() + _LAST_WORDS_S
            while self._pipe.poll(max(0.0, deadline - time.monotonic())) and self._pipe.recv()[0] != "end":
                pass
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


class _Idle:
    """The processes that wait for a talk."""

    def __init__(self) -> None:
        self._talkers: list[_Talker] = []
        self._lock = threading.Lock()

    def take(self) -> _Talker:
        while True:
            with self._lock:
                if not self._talkers:
                    break
                talker = self._talkers.pop()
            if talker.fit:
                return talker
            talker.end()
        return _Talker()

    def give(self, talker: _Talker) -> None:
        with self._lock:
            self._talkers.append(talker)

    def forget(self) -> None:
        """In a process that was forked: they are the other's."""
        self.__init__()  # type: ignore[misc]


_idle = _Idle()
os.register_at_fork(after_in_child=_idle.forget)


def _serve(pipe: connection.Connection[Any, Any], before: tuple[Callable[[], None], ...]) -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends us
    inbox: queue.Queue[Any] = queue.Queue()
    halts: list[threading.Event] = []
    threading.Thread(target=_hear, args=(pipe, inbox, halts), daemon=True).start()
    for prepare in before:
        prepare()
    while True:
        asked, environment, wants_progress = inbox.get()
        os.environ.clear()
        os.environ.update(environment)  # it tells proxies, and may have changed since this process began
        halts[:] = [threading.Event()]
        answer = _run(asked, pipe, inbox, halts[0], wants_progress)
        try:
            pipe.send(("end", answer))
        except Exception as exc:  # noqa: BLE001 - what cannot travel is a fault of ours
            pipe.send(("end", typed(exc, asked.url, site_of(asked.url))))


def _hear(pipe: connection.Connection[Any, Any], inbox: queue.Queue[Any], halts: list[threading.Event]) -> None:
    """In a thread of its own, so that a halt is heard in the middle of a talk, and the parent's end too."""
    try:
        while True:
            message = pipe.recv()
            if message == "halt":
                for halt in halts:
                    halt.set()
            else:
                inbox.put(message)
    finally:
        os._exit(0)


def _run(
    asked: Talk,
    pipe: connection.Connection[Any, Any],
    inbox: queue.Queue[Any],
    halt: threading.Event,
    wants_progress: bool,
) -> Any:
    from cityguessr_data.media.session import Session  # imports yt_dlp

    def turn(url: str) -> None:
        pipe.send(("turn", url))
        inbox.get()  # where it may not be asked, nothing comes, and the parent ends us

    def progress(done: int, total: int | None) -> None:
        pipe.send(("progress", done, total))

    told = progress if wants_progress else None
    try:
        _limit(asked.config.limits)
        with Session(
            asked.config, asked.guard, asked.url, asked.folder, told, halt, asked.refused, turn, _looked_up
        ) as session:
            return asked.job(session)
    except CgtoolError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - extractors raise anything
        close_left_open(exc)
        return typed(exc, asked.url, site_of(asked.url))
    finally:
        _looked_up()


def _limit(limits: Limits) -> None:
    """Processor time by a timer of the system, which needs no interpreter to end us; memory by a refusal."""
    import resource

    with contextlib.suppress(ValueError, OSError):  # a lower limit of the machine's stays
        resource.setrlimit(resource.RLIMIT_AS, (limits.most_memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.setitimer(signal.ITIMER_PROF, limits.most_cpu_s)


def _looked_up() -> None:
    """From here on the processor works for the download, whose hours and bytes are limited."""
    signal.setitimer(signal.ITIMER_PROF, 0)
