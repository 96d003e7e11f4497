"""The crew of Ray workers when workers, nodes and the cluster fail, with seats and a Ray that are made up."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cityguessr_data.core.errors import DiskFullError, MachineError, StopError
from cityguessr_data.core.types import LocalVideo
from cityguessr_data.run.compute import Staged
from cityguessr_data.run.crew import NoNewWorkerError
from cityguessr_data.run.executor import Fetched
from cityguessr_data.run.on_ray import crew as ray_crew
from cityguessr_data.run.on_ray.crew import RayCrew
from cityguessr_data.run.on_ray.shape import Shape
from cityguessr_data.run.stage import Step
from tests.contracts.test_executors import items


class LostError(Exception):
    """Stands for ray.exceptions.RayError."""


class Cluster:
    """Answers to references that a test chooses, in place of Ray; seats that ask one thing after the other."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.seats: list[Seat] = []
        self.killed: list[Any] = []
        self.said: list[str] = []
        self.gone = False

    def crew(self, workers: int, most: int = 10, *, at_once: bool = False) -> RayCrew:
        def seat(_shape: Shape) -> Any:
            self.seats.append(Seat(self, len(self.seats)))
            return self.seats[-1]

        return RayCrew(seat, lambda: Shape(workers, 1, 0.0), most, self.said.append, at_once=at_once)

    def wait(self, refs: Sequence[str], num_returns: int = 1, timeout: float = 0) -> tuple[list[str], list[str]]:
        if self.gone:
            raise LostError("no raylet")
        found = [ref for ref in refs if ref in self.answers][:num_returns]
        return found, [ref for ref in refs if ref not in found]

    def get(self, ref: str) -> Any:
        if isinstance(self.answers[ref], Exception):
            raise self.answers[ref]
        return self.answers[ref]

    def kill(self, actor: Any, no_restart: bool = True) -> None:
        self.killed.append(actor)


class Seat:
    """Begins by being asked; `started` makes it ready. What it answers to its video is what the test says."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self._cluster, self._asked = cluster, 0
        self.name = f"node{number}"
        self.actor: Any = SimpleNamespace(end=SimpleNamespace(remote=lambda: f"end of {self.name}"))
        self.about: Any = None
        self.ready = self.fit = False
        self.fetched: Fetched | None = None
        self.outcome: Any = None
        self.slow_s = 0.0
        self._ask()

    def _ask(self) -> None:
        self._asked += 1
        self.ref: str | None = f"{self.name} {self._asked}"
        self.asked_s = time.monotonic()

    @property
    def free(self) -> bool:
        return self.ready and self.ref is None and self.fetched is None

    def give(self, fetched: Fetched, staging: Path) -> None:
        self.fetched = fetched
        self._ask()

    def tells(self, value: Any) -> None:
        assert self.ref is not None
        self._cluster.answers[self.ref] = value

    def answer(self, value: Any) -> None:
        time.sleep(self.slow_s)
        if isinstance(value, tuple):  # an error that the driver finds in what it is told
            raise value[0]
        if not self.ready:
            self.ready, self.ref = True, None
            self.about = SimpleNamespace(node=self.name, node_id=self.name)
        elif isinstance(value, Staged):
            self.fit, self.outcome, self.ref = True, value, None
        else:
            self.fit = True
            self._ask()

    def lost(self) -> Fetched | None:
        fetched, self.fetched, self.ref = self.fetched, None, None
        return fetched


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster, ray, exceptions = Cluster(), ModuleType("ray"), ModuleType("ray.exceptions")
    for name in ("wait", "get", "kill"):
        setattr(ray, name, getattr(cluster, name))
    exceptions.RayError = LostError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    monkeypatch.setattr(ray_crew, "_POLL_S", 0.001)
    return cluster


def videos(n: int) -> deque[Fetched]:
    step = Step("download", "done", datetime.now(UTC), 0.0)
    return deque(Fetched(item, LocalVideo(Path("x"), "x", ""), step) for item in items(*(f"v{i}" for i in range(n))))


def staging(_video_id: str) -> Path:
    return Path("nowhere")


def staged(video_id: str) -> Staged:
    return Staged(video_id, "f", Path("nowhere"), "done", None, ())


def begun(crew: RayCrew, made: Cluster, waiting: deque[Fetched], *ready: int) -> None:
    """Those seats have opened their stages and are at a video."""
    crew.assign(waiting, staging)
    for word in ("hello", "ticks"):
        for number in ready:
            made.seats[number].tells(word)
        crew.hear()
        crew.assign(waiting, staging)


def test_the_run_stops_when_the_last_worker_is_lost_and_others_did_not_start(made: Cluster) -> None:
    crew, waiting = made.crew(4), videos(4)
    begun(crew, made, waiting, 0)
    for seat in made.seats[1:]:
        seat.tells(LostError("node died"))
    assert crew.hear() == []
    assert made.said == ["no more workers are started: 3 did not start, the last with: LostError: node died"]
    crew.assign(waiting, staging)
    crew.hear()  # one is at work: nothing to stop for
    made.seats[0].tells(LostError("node died"))
    with pytest.raises(StopError, match="no worker is left") as caught:
        crew.hear()
    assert caught.value.exit_code == 3
    assert len(made.seats) == 4


def test_nothing_stops_where_no_video_waits(made: Cluster) -> None:
    crew, waiting = made.crew(4), videos(1)
    begun(crew, made, waiting, 0)
    made.seats[0].tells(staged("v0"))
    assert [outcome.video_id for outcome in crew.hear()] == ["v0"]
    crew._failed_starts = 3
    crew._lose(crew._seats[0], "node died")
    assert crew.hear() == []
    assert not crew.busy


def test_the_clock_runs_while_videos_wait_and_no_worker_is_at_hand(
    made: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "ROOM_S", 0.2)
    crew, waiting = made.crew(2), videos(2)
    crew._room_s -= 60
    crew.hear()  # nothing waits: a download may take an hour
    crew.assign(waiting, staging)
    waits = list(waiting)
    waiting.clear()
    crew.assign(waiting, staging)
    assert made.seats
    time.sleep(0.3)
    crew.hear()  # likewise
    waiting.extend(waits)
    crew.assign(waiting, staging)
    time.sleep(0.3)
    with pytest.raises(StopError, match="no room for a worker"):
        crew.hear()


def test_what_is_done_is_handed_on_before_the_run_stops(made: Cluster) -> None:
    crew, waiting = made.crew(1), videos(2)
    begun(crew, made, waiting, 0)
    crew._failed_starts, crew._losses["v0"] = 3, 2
    made.seats[0].tells(LostError("x"))
    assert [outcome.video_id for outcome in crew.hear()] == ["v0"], "it has failed: its worker was lost three times"
    with pytest.raises(StopError):
        crew.hear()


def test_one_slow_transfer_costs_no_other_worker(made: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_crew, "_SILENT_S", 0.2)
    crew, waiting = made.crew(3), videos(3)
    begun(crew, made, waiting, 0, 1, 2)
    made.seats[0].slow_s = 0.4
    made.seats[0].tells("a large file")
    answer = made.seats[0].answer

    def meanwhile(value: Any) -> None:
        answer(value)
        made.seats[1].tells("ticks")

    monkeypatch.setattr(made.seats[0], "answer", meanwhile)
    crew.hear()
    assert made.said == ["a worker was lost on node2; v2 is done again"], "only the one that is silent"


def test_an_unfit_node_is_an_error_at_first_and_left_out_later(made: Cluster) -> None:
    other = MachineError("node1 has another cgtool", "Install the same")
    crew, waiting = made.crew(2), videos(2)
    crew.assign(waiting, staging)
    made.seats[1].tells((other,))
    with pytest.raises(MachineError, match="another cgtool"):
        crew.hear()

    made.seats.clear()
    made.answers.clear()
    crew, waiting = made.crew(3), videos(4)
    begun(crew, made, waiting, 0, 2)
    made.seats[1].tells((other,))
    made.seats[2].tells((NoNewWorkerError("a worker process died while it started (signal SIGKILL)", "Look"),))
    crew.hear()
    assert made.said == [
        "a node is left out: node1 has another cgtool. Install the same",
        "a node is left out: a worker process died while it started (signal SIGKILL). Look",
    ]
    assert crew.busy
    assert not made.killed, "they hold their room, so that Ray starts no other in it"
    made.seats[0].tells(staged("v0"))
    assert len(crew.hear()) == 1
    crew.assign(waiting, staging)
    assert made.seats[0].fetched is not None
    assert made.seats[0].fetched.item.task.video_id == "v1", "the lost node's video comes first"
    crew.close()
    assert len(made.killed) == len(made.seats)


def test_a_full_disk_on_a_node_stops_the_run(made: Cluster) -> None:
    crew, waiting = made.crew(1), videos(1)
    begun(crew, made, waiting, 0)
    made.seats[0].tells((DiskFullError("no space left", ""),))
    with pytest.raises(DiskFullError):
        crew.hear()


@pytest.mark.parametrize(
    ("workers", "most", "at_once", "n"), [(160, 500, True, 160), (160, 7, True, 7), (160, 500, False, 4)]
)
def test_workers_that_were_asked_for_by_number_are_started_at_once(
    made: Cluster, workers: int, most: int, at_once: bool, n: int
) -> None:
    crew = made.crew(workers, most, at_once=at_once)
    crew.assign(deque(), staging)
    assert not made.seats, "not before the first video is at hand"
    crew.assign(videos(4), staging)
    assert len(made.seats) == n


def test_a_lost_cluster_stops_and_does_not_hide_how_the_run_ended(made: Cluster) -> None:
    crew, waiting = made.crew(1), videos(1)
    begun(crew, made, waiting, 0)
    made.gone = True
    with pytest.raises(StopError, match="the Ray cluster is gone"):
        crew.hear()
    crew.close()
