"""Labels frames that are there with the label stage of builds, and stages the unit's two parts with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.places365 import Parents
from ..core.types import SampledFrame, SceneLabel
from ..run.parts import Counts
from ..run.stage import VideoJob
from ..run.store import Store
from ..stages.label import LabelStage
from ..vision.scenes import SceneConfig
from .label_parts import ClipLabels, read_tables, stage_labels
from .units import read_unit

Seen = tuple[SampledFrame, SceneLabel]


class SavedLabelStage:
    """SampledFrame -> Seen. The frames of imported data may be unblurred: nothing after it writes a pixel."""

    name = LabelStage.name
    version = LabelStage.version
    lane = LabelStage.lane

    def __init__(self, config: SceneConfig) -> None:
        self._stage = LabelStage(config)

    def open(self) -> None:
        """Load the scene model."""
        self._stage.open()

    def remarks(self) -> Sequence[str]:
        """As in a build."""
        return self._stage.remarks()

    def run(self, job: VideoJob, items: Iterator[SampledFrame]) -> Iterator[Seen]:
        """See Stage.run."""
        for frame, scene in self._stage.labelled(job, items):
            assert scene is not None, "label-scenes is never run with scenes off"
            yield frame, scene


@dataclass(frozen=True)
class LabelsConfig:
    """What the writer must know of the configuration."""

    out: Path
    parents: Parents

    def writer_for(self, job: VideoJob, fingerprint: str) -> LabelsWriter:
        """What writes this unit."""
        return LabelsWriter(job, self, fingerprint)


class LabelsWriter:
    """Gathers the labels of a unit's frames, and stages its parts when all are there."""

    def __init__(self, job: VideoJob, config: LabelsConfig, fingerprint: str) -> None:
        self.job = job
        self.config = config
        self.fingerprint = fingerprint
        self._scenes: dict[str, list[SceneLabel]] = {}

    def write(self, items: Iterator[Seen]) -> Iterator[None]:
        """Take every label; yields after each, so that the caller can measure."""
        for frame, scene in items:
            self._scenes.setdefault(frame.clip.clip_id, []).append(scene)
            self.job.tick("write", 1)
            yield

    def finish(self, fault: str | None) -> Counts:
        """Stage the parts. There is never a `fault`: a frame that fails ends all.

        Raises:
            DiskFullError: no space left.
        """
        store = Store(self.config.out)
        tables = read_tables(store, read_unit(store, self.job.task.video_id))
        labels = {
            clip_id: ClipLabels(
                np.array([scene.top1 for scene in scenes], np.int16), np.array([s.prob for s in scenes], np.float32)
            )
            for clip_id, scenes in self._scenes.items()
        }
        stage_labels(tables, labels, self.config.parents, self.fingerprint, self.job.staging)
        return Counts(len(labels), sum(len(found.top1) for found in labels.values()))
