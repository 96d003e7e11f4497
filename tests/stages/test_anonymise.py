"""Which faces are blurred, that frames come out once and in order, and that it fails closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_data.core.errors import ErrorClass, InputError, VideoError
from cityguessr_data.core.types import AnonymisedFrame, Clip, LocalVideo, Place, SampledFrame, VideoTask
from cityguessr_data.run.stage import VideoJob
from cityguessr_data.stages.anonymise import AnonymiseConfig, AnonymiseStage
from cityguessr_data.stages.batching import batched
from cityguessr_data.vision.blur import BlurConfig
from cityguessr_data.vision.retinaface.detector import Detections

PLACE = Place("Tokyo", "Tokyo", "Japan", "Asia")
BOX = (10.0, 10.0, 30.0, 34.0)


class Scripted:
    """Stands in for the detector: the first pixel of a frame says which answer it gets."""

    device, digest = "cpu", ""

    def __init__(self, answers: list[list[tuple[tuple[float, ...], float]] | None], batch: int = 1) -> None:
        self.answers = answers
        self.batch = batch
        self.asked: list[list[int]] = []

    def detect(self, rgb: np.ndarray) -> list[Detections]:
        self.asked.append(rgb[:, 0, 0, 0].tolist())
        return [self._answer(number) for number in self.asked[-1]]

    def _answer(self, number: int) -> Detections:
        answer = self.answers[number]
        if answer is None:
            raise VideoError(ErrorClass.DETECTOR, "cannot run")
        boxes = np.array([box for box, _ in answer], np.float32).reshape(-1, 4)
        return Detections(boxes, np.array([score for _, score in answer], np.float32))


def frames(n: int, per_clip: int) -> Iterator[SampledFrame]:
    rng = np.random.default_rng(0)
    for i in range(n):
        rgb = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        rgb[0, 0] = i
        clip = Clip("v", i // per_clip, 0, 10, PLACE)
        yield SampledFrame(clip, i % per_clip, i, i / 10, rgb)


def run(answers: list[Any], config: AnonymiseConfig, per_clip: int = 100) -> list[AnonymisedFrame]:
    """Frames at a time change nothing, and are never of two clips."""
    one, several = run_in(answers, config, per_clip, 1), run_in(answers, config, per_clip, 3)
    for alone, together in zip(one, several, strict=True):
        assert alone.faces == together.faces and (alone.rgb == together.rgb).all()
    return one


def run_in(answers: list[Any], config: AnonymiseConfig, per_clip: int, batch: int) -> list[AnonymisedFrame]:
    stage = AnonymiseStage(config, Path("none"))
    stage.detector = detector = Scripted(answers, batch)
    job = VideoJob(VideoTask("v", "u", ()), LocalVideo(Path("x"), "u", ""), Path("s"), lambda _stage, _n: None)
    out = list(stage.run(job, frames(len(answers), per_clip)))
    assert [f.frame_index for f in out] == list(range(len(answers)))
    assert max(len(asked) for asked in detector.asked) <= batch
    assert all(len({number // per_clip for number in asked}) == 1 for asked in detector.asked)
    return out


def changed(frame: AnonymisedFrame, index: int, n: int) -> np.ndarray:
    """Mask of the pixels that differ from what went in."""
    original = list(frames(n, 100))[index].rgb
    return (frame.rgb != original).any(axis=2)


def test_the_threshold_is_inclusive_and_everything_seen_is_recorded() -> None:
    answers = [[(BOX, s)] for s in (0.05, 0.25, 0.4375, 0.5, 0.51, 0.99)] + [[]]
    out = run(answers, AnonymiseConfig(conf=0.4375))
    assert [[f.blurred for f in frame.faces] for frame in out] == [[False], [False], [True], [True], [True], [True], []]
    for i, frame in enumerate(out):
        mask = changed(frame, i, len(answers))
        assert mask.any() == (2 <= i <= 5)
        mask[10:34, 10:30] = False
        assert not mask.any()


def test_the_defaults_are_the_paper_s_and_strict_is_lower() -> None:
    assert AnonymiseConfig().threshold == 0.5
    assert AnonymiseConfig(blur=BlurConfig("strict")).threshold == 0.2
    assert AnonymiseConfig(blur=BlurConfig("strict"), conf=0.7).threshold == 0.7
    with pytest.raises(InputError, match="--conf"):
        AnonymiseConfig(conf=0.01)


def test_a_detector_that_cannot_run_ends_the_stream_before_that_frame() -> None:
    with pytest.raises(VideoError) as failed:
        run([[], [(BOX, 0.9)], None, []], AnonymiseConfig())
    assert failed.value.error_class is ErrorClass.DETECTOR


def test_a_box_that_is_no_box_ends_the_stream() -> None:
    with pytest.raises(ValueError, match="not finite"):
        run([[((float("nan"), 0.0, 1.0, 1.0), 0.9)]], AnonymiseConfig())


def test_strict_fills_in_past_and_future_but_never_across_clips() -> None:
    strict = AnonymiseConfig(blur=BlurConfig("strict"))
    seen: list[Any] = [(BOX, 0.9)]
    answers: list[Any] = [[], [], [], seen, [], [], [], []]
    out = run(answers, strict)
    assert [any(f.blurred for f in frame.faces) for frame in out] == [False, True, True, True, True, True, False, False]
    assert {f.origin for frame in (*out[:3], *out[4:]) for f in frame.faces} == {"propagated"}
    # The same with a clip border after the frame that has the face
    out = run(answers, strict, per_clip=4)
    assert [any(f.blurred for f in frame.faces) for frame in out] == [
        False,
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_filled_in_boxes_stay_inside_the_frame() -> None:
    edge = (50.0, 50.0, 64.0, 64.0)
    out = run([[(edge, 0.9)], [], []], AnonymiseConfig(blur=BlurConfig("strict")))
    for frame in out:
        for face in frame.faces:
            assert 0 <= face.x0 < face.x1 <= 64
            assert 0 <= face.y0 < face.y1 <= 64


def test_a_batch_is_of_one_clip_one_size_and_no_more_bytes_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = list(frames(10, per_clip=6))
    given[2] = replace(given[2], rgb=np.zeros((32, 64, 3), np.uint8))
    numbers = [[frame.frame_index for frame in batch] for batch in batched(given, 3)]
    assert numbers == [[0, 1], [2], [3, 4, 5], [6, 7, 8], [9]]
    monkeypatch.setattr("cityguessr_data.stages.batching.MOST_BYTES", 2 * 64 * 64 * 3)
    assert max(len(batch) for batch in batched(given, 16)) == 2
