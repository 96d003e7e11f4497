"""`python -m cgtool` in a process of its own that is forked from one which has made the imports already.

The tests run the command hundreds of times, and a fresh interpreter spends a second of each on imports. The forked
process is as separate as a fresh one: it has its own environment, working directory, output and signals, and the
`__main__` that spawned workers look for. It shares two things with its siblings: the imports, and the seed of Python's
hashes. And it ends without taking its modules apart, so what Python would say of that is not heard. A test that is
about one of these three asks for a fresh one.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import support_workers

ROOT = Path(__file__).resolve().parents[1]
_IMPORTS = (
    "cgtool.app",
    "cgtool.options",
    "cgtool.progress",
    "cgtool.stats_summary",
    "cgtool.summary",
    "cityguessr_data.estimate",
    "cityguessr_data.importers.importing",
    "cityguessr_data.over_frames.go",
    "cityguessr_data.pipeline",
    "cityguessr_data.publish.export",
    "cityguessr_data.removal.refresh",
    "cityguessr_data.removal.remove",
    "cityguessr_data.splits.make",
    "cityguessr_data.stats.as_json",
    "cityguessr_data.stats.page.figures",
    "cityguessr_data.stats.page.page",
    "cityguessr_data.stats.report",
    "cityguessr_data.status",
    "cityguessr_data.verify.repair",
    "altair",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "rich.progress",
    "s3fs",
    "scipy.stats",
    "typer.rich_utils",
    "vl_convert",
    "yt_dlp",
)
_IMPORTS_OF_BENCH = (
    *_IMPORTS,
    "accelerate",
    "cityguessr_bench.evaluate_run",
    "cityguessr_bench.tables.build",
    "cityguessr_bench.train.run",
    "torch._dynamo",
    "transformers.models.auto.modeling_auto",
    "transformers.models.videomae.modeling_videomae",
    "transformers.models.vit.modeling_vit",
    "transformers.models.vit_mae.modeling_vit_mae",
)
"""Of `cgtool bench` too, whose models take seconds to import."""
_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "FORCE_COLOR", "NO_COLOR", "TERM")
"""Beginnings of the names of variables that an interpreter or a library reads once, when it starts. Not `LD_`: OpenCV
changes one when it is imported, and no test does."""
_WITH_WORKERS = frozenset({"build-dataset", "anonymise", "label-scenes", "--apply"})
"""Words of the commands that start worker processes."""
_ENVIRONMENT = dict(os.environ)


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether a forked process sees `env` as a fresh one does."""

    def read_at_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(_AT_START)}

    return sys.platform == "linux" and read_at_start(env) == read_at_start(_ENVIRONMENT)


class Forker:
    """A process that waits, imports made, to be forked: for one command line at a time."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._ours, theirs = socket.socketpair()
        self._running: int | None = None
        code = f"from tests.support_fork import wait_to_be_forked; wait_to_be_forked({theirs.fileno()}, {imports!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL,
            env=_ENVIRONMENT | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        theirs.close()
        self._ours.settimeout(120)
        _receive(self._ours, 1)  # the imports are made

    def run(self, args: Sequence[str], env: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """As subprocess.run with captured output.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            for stream in (out, err):  # a command and its workers write to the same end
                flags = fcntl.fcntl(stream, fcntl.F_GETFL)
                fcntl.fcntl(stream, fcntl.F_SETFL, flags | os.O_APPEND)
            request = json.dumps({"args": list(args), "env": dict(env), "cwd": str(Path.cwd())}).encode()
            descriptors = array.array("i", [out.fileno(), err.fileno()])
            length = len(request).to_bytes(8, "big")
            self._ours.sendmsg([length], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            self._ours.sendall(request)
            self._running = int.from_bytes(_receive(self._ours, 8), "big")
            self._ours.settimeout(timeout_s)
            try:
                status = int.from_bytes(_receive(self._ours, 8), "big")
            except TimeoutError:
                raise subprocess.TimeoutExpired(["cgtool", *args], timeout_s) from None
            self._running = None
            told = []
            for stream in (out, err):
                stream.seek(0)
                told.append(stream.read().decode())
            return subprocess.CompletedProcess(["cgtool", *args], os.waitstatus_to_exitcode(status), *told)

    def end(self) -> None:
        """End the waiting process and what was forked from it; a command that still runs is killed."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running, signal.SIGKILL)
        self._ours.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_forkers: dict[bool, Forker] = {}
"""By whether they are for `cgtool bench`."""
_one_at_a_time = threading.Lock()


def run_forked(args: Sequence[str], env: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run `cgtool` with `args` in a forked process, the first time after starting what it is forked from."""
    of_bench = args[:1] == ["bench"]
    with _one_at_a_time:
        forker = _forkers.get(of_bench)
        if forker is None:
            forker = _forkers[of_bench] = Forker(_IMPORTS_OF_BENCH if of_bench else _IMPORTS)
            atexit.register(forker.end)
        try:
            return forker.run(args, env, timeout_s)
        except BaseException:  # a test's own time limit too: what is late of this answer must not reach the next test
            atexit.unregister(forker.end)
            forker.end()
            del _forkers[of_bench]
            raise


def wait_to_be_forked(descriptor: int, imports: Sequence[str]) -> None:
    """The waiting process: forks for each request, and in the forked process runs the command and ends with it."""
    import importlib

    for name in imports:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as exc:  # an extra that is not installed
            if (exc.name or "").startswith(("cgtool", "cityguessr")):
                raise
    others = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    names = {(task / "comm").read_text().strip() for task in others}
    assert names <= {"jemalloc_bg_thd"}, f"threads would be lost by forking: {names}"  # jemalloc starts its own again
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C at the tests: it ends when they do
    with socket.socket(fileno=descriptor) as peer:
        peer.sendall(b".")
        while True:
            header, ancillary, _, _ = peer.recvmsg(8, socket.CMSG_SPACE(8))
            if not header:
                if support_workers.TRIED:
                    support_workers.stop()
                os._exit(0)
            out, err = array.array("i", ancillary[0][2])
            request = json.loads(_receive(peer, int.from_bytes(header, "big")))
            if support_workers.TRIED and not _WITH_WORKERS.isdisjoint(request["args"]):
                support_workers.start()  # the first time
            pid = os.fork()
            if pid == 0:
                break
            os.close(out)
            os.close(err)
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                peer.sendall(pid.to_bytes(8, "big"))
                peer.sendall(os.waitpid(pid, 0)[1].to_bytes(8, "big"))
    _become(request, out, err)
    if support_workers.TRIED:
        support_workers.use()
    support_workers.install_hook()
    try:
        runpy.run_module("cgtool", run_name="__main__", alter_sys=True)
    except SystemExit as exc:
        _leave(exc)
        raise


def _become(request: dict[str, Any], out: int, err: int) -> None:
    """Take on the output, environment and place of a request."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for given, standard in ((out, 1), (err, 2)):
        os.dup2(given, standard)
        os.close(given)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    tempfile.tempdir = None
    sys.argv = ["cgtool", *request["args"]]


def _leave(exc: SystemExit) -> None:
    """End as an interpreter does, but for letting go of a million imported objects, which takes a second.

    Returns where the interpreter has something to say of the end.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what the command made and nobody holds
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # it was closed
        return
    if exc.code is None or isinstance(exc.code, int):
        os._exit((exc.code or 0) & 0xFF)


def _receive(peer: socket.socket, n_bytes: int) -> bytes:
    """Exactly so many bytes."""
    got = b""
    while len(got) < n_bytes:
        more = peer.recv(n_bytes - len(got))
        if not more:
            raise ConnectionError("the waiting process has gone; what it said is above")
        got += more
    return got
