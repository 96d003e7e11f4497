"""Stages overlap, errors come through, threads end, and few frames are alive at once."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.types import LocalVideo, Place, SampledFrame, SourceRow, VideoTask
from cityguessr_data.run.compute import Compute, Staged
from cityguessr_data.run.lanes import Lane, Meter
from cityguessr_data.run.stage import VideoJob
from cityguessr_data.run.writer import WriterConfig
from cityguessr_data.stages.anonymise import AnonymiseConfig, AnonymiseStage
from cityguessr_data.stages.clip import ClipConfig, ClipStage
from cityguessr_data.stages.label import LabelStage
from cityguessr_data.vision.blur import BlurConfig
from cityguessr_data.vision.retinaface.detector import DetectorConfig
from cityguessr_data.vision.scenes import SceneConfig

MOST_FRAMES = 8
"""Of issue and README: so many decoded 720p frames may be held at once."""


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_lane_gives_the_same_items_in_the_same_order(thread: ThreadPoolExecutor) -> None:
    lane = Lane(iter(range(100)), thread)
    assert list(lane) == list(range(100))
    assert list(lane) == []
    lane.close()


def test_an_error_comes_through_after_the_items_before_it(thread: ThreadPoolExecutor) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("here")

    lane = Lane(items(), thread)
    assert next(lane) == 1
    with pytest.raises(KeyError, match="here"):
        next(lane)
    lane.close()


def test_closing_early_frees_the_thread_and_what_it_reads(thread: ThreadPoolExecutor) -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    source = items()
    lane = Lane(source, thread)
    assert next(lane) == 0
    lane.close()
    source.close()
    assert closed.is_set()
    assert list(Lane(iter("ab"), thread)) == ["a", "b"]


def test_a_meter_counts_work_and_not_waiting() -> None:
    meter = Meter()

    def slow() -> Iterator[int]:
        for i in range(3):
            time.sleep(0.05)
            yield i

    def work(items: Iterator[int]) -> Iterator[int]:
        for i in items:
            time.sleep(0.02)
            yield i

    assert list(meter.outgoing(work(meter.incoming(slow())))) == [0, 1, 2]
    assert 0.05 < meter.busy_s < 0.13
    assert meter.waiting_s > 0.14


class Watch:
    """A stage of no effect that counts how many sampled pictures are alive."""

    name, version, lane = "watch", 1, "decode"

    def __init__(self) -> None:
        self.alive = self.most = self.seen = 0
        self._lock = threading.Lock()

    def open(self) -> None: ...

    def remarks(self) -> tuple[str, ...]:
        return ()

    def run(self, job: VideoJob, items: Iterator[SampledFrame]) -> Iterator[SampledFrame]:
        for frame in items:
            with self._lock:
                self.alive, self.seen = self.alive + 1, self.seen + 1
                self.most = max(self.most, self.alive)
            weakref.finalize(frame.rgb, self._gone)
            yield frame
            del frame

    def _gone(self) -> None:
        with self._lock:
            self.alive -= 1


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_few_decoded_frames_are_alive_at_once(
    tmp_path: Path, face_film: Path, detector_weights: Path, mode: Any
) -> None:
    watch = Watch()
    anonymise = AnonymiseConfig(DetectorConfig("mobilenet0.25"), BlurConfig(mode))
    slow_writer = WriterConfig(20, mode, lambda _t: ([], 0), lambda _rgb: time.sleep(0.01) or 0)
    stages: Any = (
        ClipStage(ClipConfig(20, 20, 20)),
        watch,
        AnonymiseStage(anonymise, detector_weights),
        LabelStage(SceneConfig("off")),
    )
    row = SourceRow(2, "x", Place("Tokyo", "Tokyo", "Japan", "Asia"))
    source = LocalVideo(face_film, "x", "")
    staged = Compute(stages, slow_writer).run(
        VideoTask("v", "x", (row,)), source, tmp_path / "s", "f", lambda _s, _n: None
    )
    assert isinstance(staged, Staged), staged
    assert staged.counts.frames == watch.seen == 60
    assert watch.most <= MOST_FRAMES
    assert watch.alive == 0
