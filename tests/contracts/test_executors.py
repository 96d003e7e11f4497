"""One suite for every executor: what goes in comes out once, in whatever way a video or a worker ends.

tests/run/ray_cases.py has these tests run on a Ray cluster.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_data.core.errors import DiskFullError, ErrorClass, MachineError, WeightsError
from cityguessr_data.core.types import (
    AnonymisedFrame,
    Clip,
    Dropped,
    Face,
    LabelledFrame,
    LocalVideo,
    MediaInfo,
    Place,
    SourceRow,
    VideoTask,
)
from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.executor import Executor, Fetched, Postponed, WorkItem
from cityguessr_data.run.local import LocalExecutor
from cityguessr_data.run.stage import DropVideo, Step, VideoJob
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import WriterConfig

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "local, 1 worker": lambda: LocalExecutor(1),
    "local, 3 workers": lambda: LocalExecutor(3),
}
PLACE = Place("Tokyo", "Tokyo", "Japan", "Asia")


class Scripted:
    """A stage that does to a video what its id says."""

    name = "clip"
    version = 1
    lane = "decode"

    def open(self) -> None: ...

    def remarks(self) -> Sequence[str]:
        return ("opened",)

    def run(self, job: VideoJob, items: Iterator[LocalVideo]) -> Iterator[LabelledFrame]:
        what = job.task.video_id.partition("-")[0]
        for _ in items:
            job.media = MediaInfo(3, 1.0, 8, 8, 3.0)
            for position in range(3):
                if position == 2 and what == "die":
                    os.kill(os.getpid(), signal.SIGSEGV)
                if position == 2 and what == "fail":
                    raise RuntimeError("broken inside")
                if position == 2 and what == "drop":
                    raise DropVideo("too-short", "by the script")
                if position == 2 and what == "full":
                    raise DiskFullError("no space left", "x")
                frame = AnonymisedFrame(
                    Clip(job.task.video_id, 0, 0, 3, PLACE), position, position, float(position),
                    np.full((8, 8, 3), 7 * len(job.task.video_id), np.uint8), (Face(0, 0, 4, 4, 0.9, blurred=True),),
                )  # fmt: skip
                job.tick("write", 0)
                yield LabelledFrame(frame, None)


def no_soft_label(_top1: Sequence[int]) -> tuple[Sequence[float], int]:
    raise AssertionError("scenes are off")


def no_phash(_rgb: Any) -> int:
    return 0


def scripted() -> Compute:
    return Compute((Scripted(),), WriterConfig(3, "paper", no_soft_label, no_phash))


def unfit() -> Compute:
    raise WeightsError("no weights", "pull them")


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def planned(self, videos: int) -> None: ...

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None: ...

    def fetched(self, fetched: Fetched) -> None: ...

    def ticked(self, stage: str, frames: int) -> None: ...

    def ended(self, outcome: Staged | Failed | Postponed) -> None: ...

    def said(self, message: str) -> None:
        self.lines.append(message)


def fetch(item: WorkItem, stop: threading.Event) -> Fetched | Failed | Postponed:
    video_id = item.task.video_id
    step = Step("download", "done", datetime.now(UTC), 0.0)
    if video_id.startswith("gone"):
        failed = Step("download", "failed", datetime.now(UTC), 0.0, "removed", "404")
        return Failed(video_id, item.fingerprint, ErrorClass.REMOVED, "404", (failed,))
    if video_id.startswith("wait"):
        return Postponed(video_id, "bot check")
    if video_id.startswith("live"):
        return Fetched(
            item, Dropped("live", "is live"), Step("download", "dropped", datetime.now(UTC), 0.0, "live", "is live")
        )
    return Fetched(item, LocalVideo(Path("x"), "x", ""), step)


def items(*video_ids: str) -> list[WorkItem]:
    return [WorkItem(VideoTask(v, "x", (SourceRow(2, "x", PLACE),)), f"print of {v}") for v in video_ids]


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


@pytest.fixture
def run(executor: Executor, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    store = Store(tmp_path)

    def go(*video_ids: str, factory: Callable[[], Compute] = scripted) -> dict[str, Any]:
        ended: dict[str, Any] = {}

        def handle(outcome: Staged | Failed | Postponed) -> None:
            assert outcome.video_id not in ended
            ended[outcome.video_id] = outcome
            if isinstance(outcome, Staged):
                store.commit(outcome.video_id, outcome.staging)

        executor.run(items(*video_ids), fetch, factory, store.new_staging, handle, Heard())
        return ended

    return go


def test_every_item_ends_exactly_once_in_its_own_way(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    ids = ["ok-1", "die-1", "gone-1", "ok-2", "fail-1", "wait-1", "drop-1", "live-1", "die-2", "ok-3"]
    ended = run(*ids)
    assert sorted(ended) == sorted(ids)
    assert {v: type(o).__name__ for v, o in ended.items()} == {
        v: {"ok": "Staged", "drop": "Staged", "live": "Staged", "wait": "Postponed"}.get(v[:-2], "Failed") for v in ids
    }
    assert {v: o.status for v, o in ended.items() if isinstance(o, Staged)} == {
        "ok-1": "done", "ok-2": "done", "ok-3": "done", "drop-1": "dropped", "live-1": "dropped",
    }  # fmt: skip
    assert ended["fail-1"].error_class is ErrorClass.INTERNAL
    assert "RuntimeError: broken inside" in ended["fail-1"].message
    assert "SIGSEGV" in ended["die-1"].message
    assert [s.stage for s in ended["ok-1"].steps] == ["download", "clip", "write"]
    assert [(s.stage, s.status) for s in ended["fail-1"].steps] == [("download", "done"), ("clip", "failed")]
    committed = Store(tmp_path).committed()
    assert sorted(committed) == ["drop-1", "live-1", "ok-1", "ok-2", "ok-3"]
    assert {c.fingerprint for c in committed.values()} == {f"print of {v}" for v in committed}
    assert len(list((tmp_path / "clips").rglob("*.jpg"))) == 9


def test_a_full_disk_in_a_worker_stops_the_run(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(DiskFullError, match="no space left"):
        run("full-1", *(f"ok-{i}" for i in range(50)))


def test_stages_that_cannot_open_are_told_and_nothing_hangs(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(MachineError, match="no weights"):
        run("ok-1", "ok-2", factory=unfit)


def test_a_worker_that_dies_while_it_starts_is_a_machine_error(run: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(MachineError, match="died while it started"):
        run("ok-1", factory=partial(os._exit, 3))  # type: ignore[arg-type]


def test_nothing_to_do(run: Callable[..., dict[str, Any]]) -> None:
    assert run() == {}
