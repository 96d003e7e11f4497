"""Finds faces in every sampled frame and blurs them, before anything is written (paper, supplementary section 5).

It fails closed: where detection cannot run, the error ends the video, and no frame of it is kept.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InputError
from ..core.types import AnonymisedFrame, Face, SampledFrame
from ..run.stage import VideoJob
from ..vision.blur import BlurConfig, blur_boxes
from ..vision.kinds import FACE
from ..vision.propagate import REACH, fill_faces
from ..vision.retinaface.detector import DetectorConfig
from .batching import batched, stacked

if TYPE_CHECKING:
    from ..vision.retinaface.load import Detector

_SLOW_S = 0.3  # a frame; above it a minute of video (200 sampled frames) takes more than a minute


@dataclass(frozen=True)
class AnonymiseConfig:
    """What is blurred and how. Defaults are the paper's: confidence 0.5, NMS 0.3, kernel 63, sigma 21."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    blur: BlurConfig = field(default_factory=BlurConfig)
    conf: float | None = None
    """Score from which a face is blurred; None: the blur's own, 0.5 for `paper` and 0.2 for `strict`."""

    def __post_init__(self) -> None:
        if self.conf is not None and not self.detector.keep_score <= self.conf <= 1:
            raise InputError(
                f"a confidence of {self.conf} makes no sense", f"Give --conf {self.detector.keep_score} to 1"
            )

    @property
    def threshold(self) -> float:
        """The score from which a face is blurred."""
        return FACE.thresholds[self.blur.mode] if self.conf is None else self.conf


class AnonymiseStage:
    """SampledFrame -> AnonymisedFrame, in the same order."""

    name = "anonymise"
    version = 2
    lane = "inference"

    def __init__(self, config: AnonymiseConfig, weights: Path) -> None:
        self.config = config
        self.weights = weights
        self.detector: Detector | None = None
        """Loaded by `open`."""

    def open(self) -> None:
        """Load the detector."""
        self.detector = FACE.load_detector_factory()(self.config.detector, self.weights)

    def remarks(self) -> Sequence[str]:
        """One line where the detector is slow on this machine, with a measured estimate."""
        assert self.detector is not None, "open() comes first"
        name = self.config.detector.name
        if self.detector.device == "cuda" or name != "resnet50":
            return ()
        frame = np.zeros((1, 720, 1280, 3), np.uint8)
        self.detector.detect(frame)  # the first pass allocates
        passes = []
        for _ in range(3):
            start = time.perf_counter()
            self.detector.detect(frame)
            passes.append(time.perf_counter() - start)
        seconds = min(passes)
        if seconds < _SLOW_S:
            return ()
        return (
            f"{name} on this CPU takes about {seconds:.1f} s a frame of 1280x720, "
            f"{seconds * 100 / 60:.0f} minutes a clip of 100 (estimate); --detector mobilenet0.25 is faster, "
            "and finds fewer faces",
        )

    def run(self, job: VideoJob, items: Iterator[SampledFrame]) -> Iterator[AnonymisedFrame]:
        """See Stage.run.

        Raises:
            VideoError: class `detector`, where detection cannot run.
        """
        reach = REACH if self.config.blur.mode == "strict" else 0
        for _, frames in itertools.groupby(items, key=lambda frame: frame.clip):
            past: deque[tuple[Face, ...]] = deque(maxlen=max(reach, 1))
            held: deque[tuple[SampledFrame, tuple[Face, ...]]] = deque()  # reach + 1 at most, besides a batch
            for frame, faces in self._detected(frames):
                held.append((frame, faces))
                if len(held) > reach:
                    yield self._blurred(job, past, held)
            while held:
                yield self._blurred(job, past, held)

    def _detected(self, frames: Iterator[SampledFrame]) -> Iterator[tuple[SampledFrame, tuple[Face, ...]]]:
        """Every frame with its faces."""
        assert self.detector is not None, "open() comes first"
        for batch in batched(frames, self.detector.batch):
            for frame, found in zip(batch, self.detector.detect(stacked(batch)), strict=True):
                boxes, scores = found.boxes.tolist(), found.scores.tolist()
                yield (
                    frame,
                    tuple(Face(x0, y0, x1, y1, score) for (x0, y0, x1, y1), score in zip(boxes, scores, strict=True)),
                )

    def _blurred(
        self, job: VideoJob, past: deque[tuple[Face, ...]], held: deque[tuple[SampledFrame, tuple[Face, ...]]]
    ) -> AnonymisedFrame:
        """The oldest held frame, blurred in place, so that no unblurred copy of it stays."""
        frame, detected = held.popleft()
        if self.config.blur.mode == "strict":
            window = [*past, detected, *(faces for _, faces in held)]
            faces = fill_faces(window, len(past), self.config.threshold)
        else:
            faces = tuple(replace(face, blurred=face.score >= self.config.threshold) for face in detected)
        past.append(detected)
        faces = _inside(faces, frame.rgb.shape[1], frame.rgb.shape[0])
        boxes = [(f.x0, f.y0, f.x1, f.y1) for f in faces if f.blurred]
        blur_boxes(frame.rgb, np.array(boxes).reshape(-1, 4), self.config.blur)
        job.tick(self.name, 1)
        return AnonymisedFrame(frame.clip, frame.position, frame.frame_index, frame.timestamp_s, frame.rgb, faces)


def _inside(faces: Sequence[Face], width: int, height: int) -> tuple[Face, ...]:
    """`faces` clipped to the frame; those carried on to outside of it are gone."""
    clipped = (
        replace(f, x0=max(f.x0, 0.0), y0=max(f.y0, 0.0), x1=min(f.x1, float(width)), y1=min(f.y1, float(height)))
        for f in faces
    )
    return tuple(f for f in clipped if f.origin == "detected" or (f.x0 < f.x1 and f.y0 < f.y1))
