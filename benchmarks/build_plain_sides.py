"""The two sides of "build / plain": each holds its models, opened, and builds the same clip in a round."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cityguessr_data.vision.agreement import Found

if TYPE_CHECKING:
    from cityguessr_data.run.compute import Compute
    from cityguessr_data.vision.retinaface.net import Backbone

    Precision = Literal["fp32", "bf16"]

CONFIDENCE = 0.5
"""Score from which a face is blurred, the paper's."""


@dataclass(frozen=True)
class Work:
    """What both build: one clip."""

    video: Path
    """As long as the clip."""
    width: int
    height: int
    n_frames: int
    samples: int
    scratch: Path
    scene_weights: Path
    """Of a ResNet-18 with 365 classes."""


@dataclass(frozen=True)
class Built:
    """What a build of it came to."""

    faces: Sequence[Found]
    """Of each sampled frame, those that were blurred."""
    scenes: Sequence[int]
    seconds: Mapping[str, float]
    """On the clock, by step, over all rounds so far."""


class Plain:
    """The reference, plain_build.py."""

    def __init__(self, work: Work, backbone: Backbone, weights: Path) -> None:
        from .plain_build import PlainBuild, PlainDetector, PlainScenes

        self._work = work
        self._build = PlainBuild(PlainDetector(backbone, weights, CONFIDENCE), PlainScenes(work.scene_weights))
        black = np.zeros((work.height, work.width, 3), np.uint8)
        self._build.detector.detect(black)  # the first pass allocates
        self._build.scenes.classify(black)
        self._found: list[tuple[np.ndarray, np.ndarray, int]] = []

    def run(self) -> None:
        """One build; the same files are written again."""
        to = self._work.scratch / f"plain-{id(self)}"
        to.mkdir(exist_ok=True)
        self._found = self._build.clip(self._work.video, 0, self._work.n_frames, self._work.samples, to)

    def told(self) -> Built:
        """Its boxes clipped to the frame, as ours are."""
        limits = np.array([self._work.width, self._work.height] * 2, np.float32)
        faces = [Found(boxes.clip(0, limits), scores) for boxes, scores, _ in self._found]
        return Built(faces, [scene for _, _, scene in self._found], dict(self._build.seconds))


class Ours:
    """The computing stages of a build, as a worker process opens and runs them."""

    def __init__(self, work: Work, backbone: Backbone, weights: Path, precision: Precision) -> None:
        self._work = work
        self._compute = _compute(work, backbone, weights, precision)
        self._rounds = itertools.count()
        self._staging = Path()
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        """One build into a fresh folder.

        Raises:
            RuntimeError: it failed.
        """
        from cityguessr_data.core.types import LocalVideo, Place, SourceRow, VideoTask
        from cityguessr_data.run.compute import Failed

        video = self._work.video
        self._staging = self._work.scratch / f"ours-{id(self)}-{next(self._rounds)}"
        row = SourceRow(2, str(video), Place("London", "England", "England", "Europe"), "v")
        task, source = VideoTask("v", row.url, (row,)), LocalVideo(video, row.url, "0" * 64)
        outcome = self._compute.run(task, source, self._staging, "f", lambda *_: None)
        if isinstance(outcome, Failed):
            raise RuntimeError(outcome.message)
        for step in outcome.steps:
            self._seconds[step.stage] = self._seconds.get(step.stage, 0.0) + step.seconds

    def told(self) -> Built:
        """What the parts of its tables say."""
        import pyarrow.parquet as pq

        parts = self._staging / "parts"
        scenes = pq.read_table(parts / "frames.parquet")["scene_top1"].to_pylist()
        rows = [row for row in pq.read_table(parts / "faces.parquet").to_pylist() if row["blurred"]]
        faces = []
        for position in range(self._work.samples):
            mine = [row for row in rows if row["position"] == position]
            boxes = np.array([[row[side] for side in ("x0", "y0", "x1", "y1")] for row in mine]).reshape(-1, 4)
            faces.append(Found(boxes, np.array([row["score"] for row in mine])))
        shutil.rmtree(self._staging)
        return Built(faces, scenes, dict(self._seconds))


def _compute(work: Work, backbone: Backbone, weights: Path, precision: Precision) -> Compute:
    """The stages by make_compute, with scenes by the network that the reference has too; this process is a worker."""
    from cityguessr_data.core.threads import worker_threads
    from cityguessr_data.run.process import prepare_worker

    prepare_worker(worker_threads())
    from cityguessr_data.build_config import BuildConfig
    from cityguessr_data.media.download_config import DownloadConfig
    from cityguessr_data.pipeline import make_compute
    from cityguessr_data.run.compute import Compute
    from cityguessr_data.stages.anonymise import AnonymiseConfig, AnonymiseStage
    from cityguessr_data.stages.clip import ClipConfig
    from cityguessr_data.stages.label import LabelStage
    from cityguessr_data.vision.retinaface.detector import DetectorConfig
    from cityguessr_data.vision.scene_models import load_resnet
    from cityguessr_data.vision.scenes import SceneConfig

    class RandomScenes(LabelStage):
        """The usual stage with other weights than the usual ones, which are pinned by their digest."""

        def open(self) -> None:
            self._classifier = load_resnet("resnet18", work.scene_weights, "auto", precision)
            self._classifier.classify(np.zeros((1, work.height, work.width, 3), np.uint8))

    config = BuildConfig(
        sources=work.scratch / "sources.csv",
        out=work.scratch / "out",
        download=DownloadConfig(work.scratch / "cache"),
        clip=ClipConfig(work.n_frames, work.n_frames, work.samples),
        anonymise=AnonymiseConfig(DetectorConfig(backbone, precision=precision), conf=CONFIDENCE),
        scenes=SceneConfig("off"),
    )
    made = make_compute(config, weights)
    random_scenes = RandomScenes(SceneConfig(precision=precision))
    stages = [random_scenes if isinstance(stage, LabelStage) else stage for stage in made.stages]
    compute = Compute(stages, made.writer)
    for stage in compute.stages:
        if isinstance(stage, AnonymiseStage) and stage.detector is not None:
            stage.detector.detect(np.zeros((1, work.height, work.width, 3), np.uint8))  # the first pass allocates
    return compute
