"""What of the Ray engine needs no cluster: when it is not there, cannot be reached, or is not asked for."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cgtool.options import build_config
from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.run.on_ray import engine
from cityguessr_data.run.on_ray.engine import RayExecutor
from cityguessr_data.run.store import Store
from tests.contracts.test_executors import Heard, fetch, items, scripted
from tests.support_build import cgtool


def run(executor: RayExecutor, folder: Path) -> None:
    def handle(_outcome: object) -> None:
        raise AssertionError("nothing can have been computed")

    executor.run(items("ok-1"), fetch, scripted, Store(folder).new_staging, handle, Heard())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., object] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else find(name, *rest))
    with pytest.raises(MachineError, match=r"not installed\. Run `pip install 'cgtool\[ray\]'`"):
        RayExecutor()


def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MachineError, match=f"{address} cannot be reached .*refused"):
            run(RayExecutor(address), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "told"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "something else answers there"), (b"", "no answer within 0.5 s")],
)
def test_what_listens_and_is_no_ray_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, told: str
) -> None:
    """The dashboard's port, say, or a server that waits."""
    pytest.importorskip("ray")
    monkeypatch.setattr(engine, "_CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as beside:

        def serve() -> socket.socket:
            connection, _ = server.accept()
            connection.sendall(answer)
            return connection  # kept open

        kept = beside.submit(serve)
        with pytest.raises(MachineError, match=f"cannot be reached .{told}"):
            run(RayExecutor(f"127.0.0.1:{server.getsockname()[1]}"), tmp_path)
        kept.result().close()


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", ":6379", "head:port", "http://head:8265"])
def test_what_is_no_address_is_told(tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(MachineError, match="is no address of a Ray cluster"):
        run(RayExecutor(address), tmp_path)


def test_the_address_is_the_option_s_then_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert RayExecutor().address is None
    monkeypatch.setenv("RAY_ADDRESS", "b:2")
    assert RayExecutor().address == "b:2"
    assert RayExecutor("a:1").address == "a:1"


def test_nobody_imports_ray_who_does_not_ask_for_it() -> None:
    code = "import sys, cgtool.app, cityguessr_data.pipeline, cityguessr_data.run.local; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_options_reach_the_configuration(tmp_path: Path) -> None:
    config = build_config(Path("s.csv"), tmp_path / "out", {"engine": "ray", "address": "head:6379"}, None)
    assert (config.engine, config.address) == ("ray", "head:6379")
    assert build_config(Path("s.csv"), tmp_path / "out", {}, None).engine == "local"
    with pytest.raises(InputError, match=r"--engine spark is none\. Choose local or ray"):
        build_config(Path("s.csv"), tmp_path / "out", {"engine": "spark"}, None)
    with pytest.raises(InputError, match="only --engine ray uses"):
        build_config(Path("s.csv"), tmp_path / "out", {"address": "head:6379"}, None)


def test_doctor_has_a_row_for_it() -> None:
    assert "ray" in [line.split()[1] for line in cgtool("doctor").stdout.splitlines() if len(line.split()) > 1]
