"""Ray clusters of several nodes on one machine, only ever in a network namespace of their own.

Ray opens ports and looks for its network, so no test starts it in the machine's own. `run_in_own_network` runs pytest
again inside a new namespace in which there is nothing but loopback; what is started there ends with it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

INSIDE = "CGTOOL_TEST_OWN_NETWORK"
"""Set where the namespace is our own; its value is a folder for Ray, whose sockets need a short path."""
STORE_BYTES = 100 << 20
_ROOT = Path(__file__).parents[1]
_RAY = (sys.executable, "-m", "ray.scripts.scripts")


def in_own_network() -> bool:
    """Whether this process runs in a namespace that `run_in_own_network` has made."""
    return INSIDE in os.environ


def _unshare() -> list[str]:
    """The command that gives a process a network of its own, and the rights to mount there; skips where none works."""
    for flags in ("-nm", "-rnm"):
        command = ["unshare", flags, "--propagation", "private"]
        probe = [*command, "sh", "-c", "ip link set lo up && mount -t tmpfs none /mnt"]
        if shutil.which("unshare") and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no network namespace can be made here (unshare -n, unshare -rn)")


def run_in_own_network(*pytest_args: str, env: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run pytest on some tests in a network of its own, and wait for it. Whatever it started is gone then."""
    pytest.importorskip("ray")
    command = _unshare()
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a socket's path may have 107 characters
    variables = os.environ | env | {
        INSIDE: str(folder), "HOME": str(folder), "RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": str(_ROOT),
    }  # fmt: skip
    for name in ("RAY_ADDRESS", "PYTEST_XDIST_WORKER"):
        variables.pop(name, None)
    words = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--no-header", *pytest_args]
    try:
        process = subprocess.Popen(
            [*command, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables, cwd=_ROOT,
            start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(words, process.returncode, output, "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Node:
    """One node: `ray start` in a session of its own, so that all its processes can be killed at once.

    Args:
        hidden: folders that it sees as empty ones of its own, as if it lay on another machine.
    """

    def __init__(self, *words: str, hidden: Sequence[Path] = ()) -> None:
        command = [*_RAY, "start", "--block", "--include-log-monitor=false", "--disable-usage-stats", *words]
        command += [f"--object-store-memory={STORE_BYTES}", "--min-worker-port=0", "--max-worker-port=0"]
        mounts = "".join(f"mount -t tmpfs none '{folder}' && " for folder in hidden)
        prefix = ["unshare", "-m", "--propagation", "private"] if hidden else []
        handle, name = tempfile.mkstemp(".log", "node", os.environ[INSIDE])
        self.log = Path(name)
        with os.fdopen(handle, "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, "sh", "-c", f'{mounts}exec "$@"', "sh", *command],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def pids(self) -> list[int]:
        """All its processes that live: those of its session."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def working(self) -> list[int]:
        """Those of them that are ours: the actors and the worker processes."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text()
                if "RayWorker" in words or "multiprocessing" in words:
                    found.append(pid)
        return found

    def kill(self) -> None:
        """SIGKILL to its raylet, its workers and all the rest, as when a machine loses its power."""
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.process.wait()


class Cluster:
    """A head that computes nothing, and nodes of one core each."""

    def __init__(self) -> None:
        assert in_own_network(), "Ray starts only in a network of its own"
        self.address = "127.0.0.1:6379"
        self.nodes: list[Node] = []
        self._ips = 1
        head = ("--head", "--port=6379", "--num-cpus=0", "--include-dashboard=false")
        self.head = Node(*head, "--node-ip-address=127.0.0.1")
        self._await(0)

    def add(self, *, hidden: Sequence[Path] = ()) -> Node:
        """One more node. Two that start at once on one machine may choose the same names for their sockets."""
        self._ips += 1
        node = Node(
            f"--address={self.address}", "--num-cpus=1", f"--node-ip-address=127.0.0.{self._ips}", hidden=hidden
        )
        self.nodes.append(node)
        self._await(len(self.nodes))
        return node

    def kill(self, node: Node) -> None:
        """One node is gone, and nobody was told."""
        node.kill()
        self.nodes.remove(node)

    def stop(self) -> None:
        """Kill them all."""
        for node in (*self.nodes, self.head):
            node.kill()

    def _await(self, n: int) -> None:
        script = (
            "import sys, time; from ray._raylet import GcsClient\n"
            "while True:\n"
            "    try: nodes = GcsClient(sys.argv[1]).get_all_node_info().values()\n"
            "    except Exception: nodes = []\n"
            "    if sum(node.state == 0 for node in nodes) >= int(sys.argv[2]) + 1: break\n"
            "    time.sleep(0.2)\n"
        )
        words = [sys.executable, "-c", script, self.address, str(n)]
        try:
            subprocess.run(words, check=True, timeout=150, stderr=subprocess.DEVNULL)
        except subprocess.SubprocessError:
            logs = "\n".join(node.log.read_text(errors="replace")[-2000:] for node in (self.head, *self.nodes))
            self.stop()
            raise AssertionError(f"the cluster does not start:\n{logs}") from None


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster without nodes; all of it is gone at the end."""
    made = Cluster()
    try:
        yield made
    finally:
        made.stop()
