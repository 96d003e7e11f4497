"""Serves pages to a browser on this machine, until Ctrl-C."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..core.errors import InputError, MachineError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LOOK_S = 0.2
"""How often to look whether it is over."""


def check_installed() -> None:
    """See that what the page needs is installed.

    Raises:
        MachineError: it is not.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as exc:
        raise MachineError(
            f"the review page needs {exc.name}, which is not installed", "Run `pip install 'cgtool[review]'`"
        ) from exc


@contextmanager
def listening(port: int = 0) -> Iterator[tuple[socket.socket, int]]:
    """A socket on 127.0.0.1, and its port: nobody outside this machine can reach it.

    Args:
        port: 0: any that is free.

    Raises:
        InputError: the port is taken, or may not be used.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            raise InputError(f"--port {port} cannot be used ({why})", "Choose another, or leave it out") from exc
        yield listener, listener.getsockname()[1]


def serve(
    app: ASGIApp, listener: socket.socket, ready: Callable[[], None], stop: threading.Event | None = None
) -> None:
    """Answer requests until the process is interrupted; answers under way are finished.

    Args:
        ready: called once the server answers.
        stop: ends it too, once it is set.

    Raises:
        MachineError: the server could not be started.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    ended = threading.Event()  # to wait for: an interrupt in Thread.join may leave the thread marked as ended

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ended.set()

    # In a thread of its own: in the main one uvicorn would take the signals, and end the process its own way
    threading.Thread(target=run, name="review", daemon=True).start()
    try:
        while not server.started and not ended.wait(0.02):
            pass
        if not server.started:
            raise MachineError("the review page could not be served", "Try another --port")
        ready()
        while not ended.wait(_LOOK_S) and not (stop is not None and stop.is_set()):
            pass
    except KeyboardInterrupt:
        return  # the way to end it
    finally:
        server.should_exit = True
        ended.wait(10)
