"""Runs a build on a Ray cluster, or on one started on this machine: `--engine ray`.

This process fetches the videos, so that a site is asked at one pace and from one place, and it alone commits. Workers
on the nodes compute (actor.py). They are not detached: Ray ends them when this process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import MachineError
from ...core.threads import n_cores
from ..compute import Failed, Staged
from ..crew import STALL_S
from ..executor import ComputeFactory, Fetch, Listener, Postponed, WorkItem
from ..working_off import work_off
from .crew import RayCrew
from .loss import told
from .seat import Ground, Seat, Shipment
from .shape import Shape, shape_of

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing here reports to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a worker without a GPU hides none; without it Ray warns
}
_STORE_BYTES = 256 << 20
"""Of the object store of a cluster on this machine alone, through which no video goes."""
_CONNECT_S = 10.0
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a gRPC client begins (RFC 9113, 3.4): this line and empty settings, which a server answers with its own."""


class RayExecutor:
    """Workers on the nodes of a Ray cluster.

    Args:
        address: HOST:PORT of its head, or `auto` on one of its nodes; None: $RAY_ADDRESS, else this machine alone.
        workers: how many; None: as many as shape.py says, also when the cluster grows.
        needed: folder -> what for: those that every node must see.
        stall_s: see Crew.
    Raises:
        MachineError: Ray is not installed.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        device: str = "auto",
        needed: Mapping[Path, str] | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MachineError("Ray is not installed", "Run `pip install 'cgtool[ray]'`")
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        self.workers = workers
        self.device = device
        self.needed = dict(needed or {})
        self.stall_s = stall_s

    def run(
        self,
        items: Sequence[WorkItem],
        fetch: Fetch,
        factory: ComputeFactory,
        new_staging: Callable[[str], Path],
        handle: Callable[[Staged | Failed | Postponed], None],
        listener: Listener,
    ) -> None:
        """See Executor.run.

        Raises:
            MachineError: also where the cluster cannot be reached, or a node is not fit.
            StopError: also where the cluster has no worker left.
        """
        if not items:
            return
        with _cluster(self.address) as ray, _meeting_place(new_staging) as staging:
            ground = Ground(staging, {folder.absolute(): what_for for folder, what_for in self.needed.items()})
            shipment, once = Shipment(factory, ray.put), _Once(listener)
            seat = partial(_seat, ray, shipment, ground, once, self.stall_s)
            shape = partial(_shape, ray, self.workers, self.device)
            crew = RayCrew(seat, shape, len(items), listener.said, at_once=self.workers is not None)
            work_off(items, fetch, crew, new_staging, handle, listener)


def _seat(ray: Any, shipment: Shipment, ground: Ground, listener: Listener, stall_s: float, shape: Shape) -> Seat:
    from .actor import RayWorker

    actor = ray.remote(RayWorker).options(
        num_cpus=shape.cpus, num_gpus=shape.gpus, max_restarts=0, scheduling_strategy="SPREAD"
    )
    return Seat(actor.remote(stall_s), shipment, ground, shape.cpus, listener)


def _shape(ray: Any, workers: int | None, device: str) -> Shape:
    return shape_of([node["Resources"] for node in ray.nodes() if node["Alive"]], workers, device)


class _Once:
    """A listener that passes a line on once: every worker of every node has the same remarks."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._said: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def said(self, message: str) -> None:
        """See Listener."""
        if message not in self._said:
            self._said.add(message)
            self._listener.said(message)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Ray, connected; what was started here ends with it.

    Raises:
        MachineError: it cannot be reached, or has another version.
    """
    if address is not None:
        _check_address(address)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # other users of this machine are not to use it
    import ray

    own: dict[str, Any] = {} if address else {
        "num_cpus": n_cores(), "object_store_memory": _STORE_BYTES, "include_dashboard": False,
    }  # fmt: skip
    with _own_signals(), _silence(), _no_command_line():
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as exc:
            where = f"the Ray cluster at {address} cannot be reached" if address else "Ray cannot start here"
            raise MachineError(f"{where} ({told(exc)})", "See `ray status` there, and that the versions agree") from exc
    _mute()
    try:
        yield ray
    finally:
        ray.shutdown()


def _mute() -> None:
    """Keep Ray from printing on stdout what it hears of nodes, which has no switch; the crew says what matters."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):  # a private name, so only where it still is what it was
        worker.print_to_stdstream = lambda *_args, **_names: None


@contextlib.contextmanager
def _no_command_line() -> Iterator[None]:
    """Ray registers the command line of this process, which everybody on the cluster can read: it may hold a --proxy
    with its password, which must not leave this machine.
    """
    from ray._private import utils

    if not hasattr(utils, "get_entrypoint_name"):  # a private name, so only where it still is what it was
        yield
        return
    kept = utils.get_entrypoint_name
    utils.get_entrypoint_name = lambda: "cgtool"
    try:
        yield
    finally:
        utils.get_entrypoint_name = kept


def _check_address(address: str) -> None:
    """Fail within seconds where nobody listens, or no Ray does: Ray itself would try for minutes in silence."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise MachineError(
            f"{address} is no address of a Ray cluster",
            "Give HOST:PORT of its head (port 6379 where nothing else was said), or auto on one of its nodes",
        )
    try:
        with socket.create_connection((host, int(port)), _CONNECT_S) as line:
            line.sendall(_HELLO)
            encrypted = os.environ.get("RAY_USE_TLS", "0") not in ("", "0")
            fault = None if encrypted or line.recv(9)[3:4] == b"\4" else "something else answers there"
    except TimeoutError:
        fault = f"no answer within {_CONNECT_S:g} s"
    except (OSError, OverflowError) as exc:
        fault = getattr(exc, "strerror", None) or str(exc)
    if fault:
        raise MachineError(
            f"the Ray cluster at {address} cannot be reached ({fault})",
            "Check --address and $RAY_ADDRESS: the port of its head, not of its dashboard. Does it run (`ray status`)?",
        )


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself where it is started: give it back to who had it, who ends a run cleanly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing reaches stderr meanwhile: the native parts of Ray tell there how they find the network, before they open
    their own logs. What goes wrong comes as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _meeting_place(new_staging: Callable[[str], Path]) -> Iterator[Path]:
    """A folder in which workers show that they see the disk that videos are staged on. No video can have its name."""
    folder = new_staging("+meeting").absolute()
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
