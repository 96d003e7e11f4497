"""A video on which a worker hangs, in whatever way, or eats the memory: it fails alone, and the run goes on."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_data.core.errors import ErrorClass, MachineError, StopError
from cityguessr_data.core.types import (
    AnonymisedFrame,
    Clip,
    LabelledFrame,
    LocalVideo,
    MediaInfo,
    Place,
    SourceRow,
    VideoTask,
)
from cityguessr_data.run import frame_sink
from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.crew import MOST_BYTES
from cityguessr_data.run.executor import Fetched, Postponed, WorkItem
from cityguessr_data.run.local import LocalExecutor
from cityguessr_data.run.runner import RunReport, exit_code, run_items
from cityguessr_data.run.stage import ALIVE, Step, VideoJob
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import WriterConfig

STALL_S = 2.0
FOR_EVER_S = 3600
PLACE = Place("Tokyo", "Tokyo", "Japan", "Asia")


class Hanging:
    """A stage that hangs as its video's id says, in the middle of it."""

    name = "clip"
    version = 1
    lane = "decode"

    def open(self) -> None: ...

    def remarks(self) -> Sequence[str]:
        return ()

    def run(self, job: VideoJob, items: Iterator[LocalVideo]) -> Iterator[LabelledFrame]:
        what, held = job.task.video_id.partition("-")[0], []
        for _ in items:
            job.media = MediaInfo(3, 1.0, 8, 8, 3.0)
            for position in range(3):
                if position == 1 and what == "sleep":
                    threading.Event().wait(FOR_EVER_S)
                if position == 1 and what == "library":
                    ctypes.PyDLL(None).sleep(FOR_EVER_S)  # PyDLL keeps the interpreter's lock: no thread of it can run
                if position == 1 and what == "slow":
                    for _second in range(6):
                        time.sleep(STALL_S / 4)
                        job.tick(*ALIVE)
                if position == 1 and what == "greedy":
                    while True:
                        held.append(np.ones(16 << 20, np.uint8))
                        job.tick(*ALIVE)
                clip = Clip(job.task.video_id, 0, 0, 3, PLACE)
                pixels = np.full((8, 8, 3), 90, np.uint8)
                yield LabelledFrame(AnonymisedFrame(clip, position, position, float(position), pixels, ()), None)


def hanging() -> Compute:
    def none(_frames: Any) -> Any:
        return 0

    return Compute((Hanging(),), WriterConfig(3, "paper", none, none))


class Deaf:
    """A listener that does nothing."""

    def planned(self, videos: int) -> None: ...

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None: ...

    def fetched(self, fetched: Fetched) -> None: ...

    def ticked(self, stage: str, frames: int) -> None: ...

    def ended(self, outcome: Staged | Failed | Postponed) -> None: ...

    def said(self, message: str) -> None: ...


def fetch(item: WorkItem, stop: threading.Event) -> Fetched:
    return Fetched(item, LocalVideo(Path("x.mp4"), "x", ""), Step("download", "done", datetime.now(UTC), 0.0))


def killed_the_second_time(mark: Path) -> Compute:
    """As where memory is short: the worker that takes the place of another is killed while its models load."""
    if mark.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    mark.touch()
    return hanging()


def run(
    out: Path,
    video_ids: Sequence[str],
    workers: int,
    most_bytes: int = MOST_BYTES,
    factory: Callable[[], Compute] = hanging,
) -> tuple[Store, RunReport]:
    store, report = Store(out), RunReport()
    rows = [SourceRow(2, "x.mp4", PLACE, video_id) for video_id in video_ids]
    items = [WorkItem(VideoTask(row.video_id or "", row.url, (row,)), "f" * 64) for row in rows]
    executor = LocalExecutor(workers, stall_s=STALL_S, most_bytes=most_bytes)
    with store.locked():
        run_items(store, items, executor, fetch, factory, Deaf(), report)
    return store, report


@pytest.mark.timeout(600)
def test_a_video_that_hangs_fails_and_the_others_are_done(tmp_path: Path) -> None:
    videos = ("sleep-1", "library-1", "fine-1", "fine-2", "slow-1")
    store, report = run(tmp_path / "out", videos, 2)
    assert {failed.video_id for failed in report.failed} == {"sleep-1", "library-1"}
    for failed in report.failed:
        assert failed.message == f"the worker process made no progress for {STALL_S:g} s and was ended on this video"
        assert failed.error_class is ErrorClass.INTERNAL, "it may be tried again: the machine may have been at fault"
        assert not failed.error_class.permanent
    assert set(store.committed()) == {"fine-1", "fine-2", "slow-1"}, "slow is not hanging"
    assert not list((tmp_path / "out" / ".cgtool").glob("staging/*"))
    assert exit_code(report, ()) == 1


@pytest.mark.timeout(600)
def test_a_worker_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process holds")
    store, report = run(tmp_path / "out", ("greedy-1", "fine-1"), 1, most_bytes=1 << 30)
    assert [failed.message for failed in report.failed] == [
        "the worker process took more than 1 GiB of memory and was ended on this video"
    ]
    assert set(store.committed()) == {"fine-1"}


@pytest.mark.timeout(600)
def test_a_worker_that_cannot_be_replaced_stops_the_run_and_keeps_what_is_committed(tmp_path: Path) -> None:
    factory = partial(killed_the_second_time, tmp_path / "mark")
    with pytest.raises(StopError, match="a worker process died while it started") as caught:
        run(tmp_path / "out", ("fine-1", "sleep-1", "fine-2"), 1, factory=factory)
    assert caught.value.exit_code == 3, "with 2 nothing would be published"
    assert set(Store(tmp_path / "out").committed()) == {"fine-1"}
    with pytest.raises(MachineError, match="died while it started"):
        run(tmp_path / "none", ("fine-1",), 1, factory=factory)


def test_what_a_worker_that_was_given_up_still_writes_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    staging = store.new_staging("v")
    staging.mkdir(parents=True)

    def in_use(path: Any, **_names: Any) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", in_use)
        store.discard("v")
    assert staging.exists()
    store.recover()
    assert not staging.exists(), "the next run clears it away"


def test_a_tar_is_brought_to_the_disk_clip_by_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(frame_sink, "sync_file", lambda path: synced.append(path.stat().st_size // 1000))
    sink = frame_sink.frame_sink("tar", tmp_path / "staging", "v")
    for number in range(3):
        clip = sink.open(f"v_0000{number}")
        clip.add("001.jpg", bytes(9_000))
        clip.end()
        assert len(synced) == number + 1
    sink.close()
    assert synced[:3] == [9, 19, 29], "each with a head of 512 bytes, in blocks of 512"
