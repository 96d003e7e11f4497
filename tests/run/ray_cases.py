"""Builds on a Ray cluster of two nodes, one of which sees neither the sources nor OUT. Run by test_ray.py.

The nodes are processes of this machine: each has its own address, and the blind one its own mounts. They are killed as
a machine is that loses its power. The tests of the contract of executors, which are imported, run here on this cluster.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import ErrorClass, StopError
from cityguessr_data.core.types import LabelledFrame, LocalVideo
from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.executor import Postponed
from cityguessr_data.run.on_ray import crew as ray_crew
from cityguessr_data.run.on_ray.engine import RayExecutor
from cityguessr_data.run.stage import VideoJob
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import WriterConfig
from tests.contracts.test_executors import (  # noqa: F401 - the tests, and the fixture that they ask for
    Heard,
    Scripted,
    fetch,
    items,
    no_phash,
    no_soft_label,
    run,
    scripted,
    test_a_full_disk_in_a_worker_stops_the_run,
    test_a_worker_that_dies_while_it_starts_is_a_machine_error,
    test_every_item_ends_exactly_once_in_its_own_way,
    test_nothing_to_do,
    test_stages_that_cannot_open_are_told_and_nothing_hangs,
)
from tests.support_build import CGTOOL, SHORT, tree_digest, write_sources
from tests.support_inline import cgtool_inline
from tests.support_ray import INSIDE, Cluster, Node, cluster, in_own_network

ALL = os.environ.get("CGTOOL_RAY") == "all"
VIDEOS = 8 if ALL else 6
assert in_own_network(), "run tests/run/test_ray.py"


class Place:
    """Where the builds are: all these folders are empty ones of its own on the blind node."""

    def __init__(self, folder: Path, film: Path, weights: Path) -> None:
        self.sources, self.outs, self.weights = folder / "sources", folder / "outs", folder / "weights"
        for path in (self.sources, self.outs, self.weights):
            path.mkdir()
        shutil.copy(weights, self.weights)
        self.environment = os.environ | {"CGTOOL_WEIGHTS": str(self.weights)}
        names = [f"film{i}" for i in range(VIDEOS)]
        for name in names:
            shutil.copy(film, self.sources / f"{name}.mp4")
        rows = [{"url": f"{name}.mp4", "city": "Tokyo", "video_id": name} for name in names]
        self.table = write_sources(self.sources / "sources.csv", rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Place:
    return Place(tmp_path_factory.mktemp("ray"), face_film, detector_weights)


@pytest.fixture(scope="module")
def nodes(place: Place) -> Iterator[tuple[Cluster, Node, Node]]:
    """The cluster, a node that sees all, and one that is blind."""
    with cluster() as made:
        sees = made.add()
        blind = made.add(hidden=[place.sources, place.outs, place.weights])
        yield made, sees, blind


@pytest.fixture(scope="module")
def calm(place: Place) -> Path:
    """The same data set, computed in this process."""
    done = cgtool_inline("build-dataset", place.table, "--out", place.outs / "calm", *SHORT)
    assert done.returncode == 0, done.stderr
    return place.outs / "calm"


def tables(out: Path) -> dict[str, list[dict[str, Any]]]:
    """All manifests but the attempts, whose times differ."""
    names = ("videos", "clips", "frames", "faces")
    return {name: pq.read_table(out / "manifests" / f"{name}.parquet").to_pylist() for name in names}


def committed(out: Path) -> set[str]:
    return {path.stem for path in (out / "parts" / "clips").glob("*.parquet")}


def start(place: Place, out: Path, address: str) -> subprocess.Popen[str]:
    words = ["build-dataset", str(place.table), "--out", str(out), "--engine", "ray", "--address", address]
    return subprocess.Popen(
        [*CGTOOL, *words, *SHORT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=place.environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def await_(what: Any, process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline, "it does not come to that"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


class Tries(Scripted):
    """Kills its process on one video, after a note of where that was."""

    def __init__(self, log: Path, hidden: Path) -> None:
        self.log = log
        self.hidden = hidden

    def run(self, job: VideoJob, given: Iterator[LocalVideo]) -> Iterator[LabelledFrame]:
        if job.task.video_id.startswith("die"):
            with self.log.open("a") as f:
                f.write(f"{job.task.video_id} {'sees' if any(self.hidden.iterdir()) else 'blind'}\n")
        yield from super().run(job, given)


def tries(log: Path, hidden: Path) -> Compute:
    return Compute((Tries(log, hidden),), WriterConfig(3, "paper", no_soft_label, no_phash))


@pytest.fixture
def executor(nodes: tuple[Cluster, Node, Node]) -> RayExecutor:
    """What the contract's `run` runs on."""
    return RayExecutor(nodes[0].address)


def execute(executor: RayExecutor, folder: Path, factory: Any, *video_ids: str) -> tuple[dict[str, Any], Sequence[str]]:
    """What became of videos, and what was said."""
    store, ended, heard = Store(folder), {}, Heard()

    def handle(outcome: Staged | Failed | Postponed) -> None:
        assert outcome.video_id not in ended
        ended[outcome.video_id] = outcome
        if isinstance(outcome, Staged):
            store.commit(outcome.video_id, outcome.staging)

    executor.run(items(*video_ids), fetch, factory, store.new_staging, handle, heard)
    return ended, heard.lines


def test_a_video_that_kills_its_worker_is_tried_once_more_on_another_node(
    nodes: tuple[Cluster, Node, Node], place: Place
) -> None:
    log, out = Path(os.environ[INSIDE]) / "tries", place.outs / "poisoned"
    factory = partial(tries, log, place.sources)
    ended, _ = execute(RayExecutor(nodes[0].address), out, factory, "die-1", "ok-1", "ok-2", "ok-3")
    assert sorted(log.read_text().split("\n")) == ["", "die-1 blind", "die-1 sees"]
    assert {v: type(o).__name__ for v, o in ended.items()} == {
        "die-1": "Failed", "ok-1": "Staged", "ok-2": "Staged", "ok-3": "Staged",
    }  # fmt: skip
    assert ended["die-1"].error_class is ErrorClass.INTERNAL
    assert ended["die-1"].message == "the worker process died on this video (signal SIGSEGV)"
    assert [(s.stage, s.status) for s in ended["die-1"].steps] == [("download", "done"), ("compute", "failed")]
    assert len(list((out / "clips").rglob("*.jpg"))) == 9


def test_the_engine_starts_a_cluster_of_its_own(tmp_path: Path) -> None:
    ended, _ = execute(RayExecutor(), tmp_path, scripted, "ok-1", "fail-1")
    assert {v: type(o).__name__ for v, o in ended.items()} == {"ok-1": "Staged", "fail-1": "Failed"}
    assert len(list((tmp_path / "clips").rglob("*.jpg"))) == 3


def interrupted(nodes: tuple[Cluster, Node, Node], place: Place, out: Path) -> None:
    """Ctrl-C after the first commit of a build."""
    made, sees, blind = nodes
    ours = Path(os.environ[INSIDE]) / "ray" / f"cgtool-{os.getuid()}"
    process = start(place, out, made.address)
    await_(lambda: len(committed(out)) >= 1, process)
    assert sees.working(), "the test's own eye must see a worker"
    assert blind.working(), "the test's own eye must see a worker"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "the same command goes on" in stderr
    assert not [line for line in stderr.splitlines() if not line.startswith(("[", "interrupted"))], stderr
    await_(lambda: not sees.working() and not blind.working())
    assert not list((out / ".cgtool" / "staging").glob("*"))
    assert not list(ours.glob("worker-*")), "a source or a frame is left on a node"


def driver_killed(nodes: tuple[Cluster, Node, Node], place: Place, out: Path) -> None:
    """The process that fetches and commits is killed after one more commit."""
    made, sees, blind = nodes
    ours = Path(os.environ[INSIDE]) / "ray" / f"cgtool-{os.getuid()}"
    before = committed(out)
    process = start(place, out, made.address)
    await_(lambda: committed(out) > before, process)
    process.kill()
    process.communicate(timeout=60)
    await_(lambda: not sees.working() and not blind.working())
    await_(lambda: not [path for path in ours.glob("worker-*/**/*") if path.is_file()])  # they have cleared up
    assert committed(out) > before
    assert len(committed(out)) < VIDEOS, "there is nothing left to do: the test needs more videos"


def test_an_interrupt_a_kill_and_a_dead_node_end_in_the_same_data_set(
    nodes: tuple[Cluster, Node, Node], place: Place, calm: Path
) -> None:
    """The dead node alone here; `make torture`, which sets CGTOOL_RAY=all, begins with the other two."""
    made, sees, blind = nodes
    out = place.outs / "built"
    if ALL:
        interrupted(nodes, place, out)
        driver_killed(nodes, place, out)
    after = committed(out)
    process = start(place, out, made.address)
    await_(lambda: committed(out) > after or len(sees.working()) >= 2 <= len(blind.working()), process)
    made.kill(sees)
    before = committed(out)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert committed(out) > before, "the blind node had nothing to do"
    assert tree_digest(out) == tree_digest(calm)
    assert tables(out) == tables(calm)
    attempts = pq.read_table(out / "manifests" / "attempts.parquet").to_pylist()
    assert sorted(row["video_id"] for row in attempts if (row["stage"], row["status"]) == ("write", "done")) == sorted(
        committed(calm)
    )
    assert not [p for p in out.rglob("*") if p.suffix == ".mp4"]
    assert not list((out / ".cgtool" / "staging").glob("*"))
    ours = Path(os.environ[INSIDE]) / "ray" / f"cgtool-{os.getuid()}"
    (weights,) = place.weights.iterdir()
    assert [p.read_bytes() for p in ours.glob("weights-*/*")] == [weights.read_bytes()], "the blind node was sent them"


def test_a_source_that_was_sent_does_not_outlive_a_driver_that_is_killed(nodes: tuple[Cluster, Node, Node]) -> None:
    script = (
        "import os, sys, threading; from cityguessr_data.run.on_ray.actor import RayWorker\n"
        "from cityguessr_data.run.on_ray.engine import _cluster\n"
        "with _cluster(sys.argv[1]) as ray:\n"
        "    actor = ray.remote(RayWorker).options(num_cpus=1).remote()\n"
        "    ray.get(actor.take_source.remote('.mp4', b'unblurred', True))\n"
        "    print('sent', flush=True)\n"
        "    threading.Event().wait(600)\n"
    )
    ours = Path(os.environ[INSIDE]) / "ray" / f"cgtool-{os.getuid()}"
    driver = subprocess.Popen([sys.executable, "-c", script, nodes[0].address], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "sent\n"
    assert [path.read_bytes() for path in ours.glob("worker-*/source.mp4")] == [b"unblurred"]
    driver.kill()
    driver.communicate()
    await_(lambda: not list(ours.glob("worker-*/source.mp4")))


def test_no_command_line_and_so_no_password_reaches_the_cluster(nodes: tuple[Cluster, Node, Node]) -> None:
    script = (
        "import sys; from cityguessr_data.run.on_ray.engine import _cluster\n"
        "with _cluster(sys.argv[1]) as ray:\n"
        "    from ray._raylet import GcsClient\n"
        "    jobs = GcsClient(sys.argv[1]).get_all_job_info().values()\n"
        "    print(sorted({job.entrypoint for job in jobs}))\n"
    )
    words = [sys.executable, "-c", script, nodes[0].address, "--proxy", "http://me:SECRET@proxy:8080"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "['cgtool']\n", done.stdout + done.stderr
    holding = [path for path in (Path(os.environ[INSIDE]) / "ray").rglob("*") if path.is_file()]
    assert not [path for path in holding if b"SECRET" in path.read_bytes()]


def test_a_cluster_without_nodes_is_told_and_waited_for_no_longer_than_said(
    nodes: tuple[Cluster, Node, Node], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, blind = nodes
    made.kill(blind)
    monkeypatch.setattr(ray_crew, "ROOM_S", 2.0)
    monkeypatch.setattr(ray_crew, "_SAY_AFTER_S", 0.5)
    with pytest.raises(StopError, match="no room for a worker"):
        execute(RayExecutor(made.address), place.outs / "none", partial(tries, Path("x"), place.sources), "ok-1")
