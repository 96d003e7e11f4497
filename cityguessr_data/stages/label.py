"""Names the scene of every frame by Places365, after blurring: anyone can repeat it on the published frames.

The clip's soft label is made of these (paper, section 4.3); see core/places365.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core.types import AnonymisedFrame, LabelledFrame, SceneLabel
from ..run.stage import VideoJob
from ..vision.scenes import SceneConfig

if TYPE_CHECKING:
    from ..core.types import RGB
    from ..vision.scenes import SceneClassifier


class LabelStage:
    """AnonymisedFrame -> LabelledFrame; with scenes off it only passes frames on."""

    name = "label"
    version = 1
    lane = "inference"

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self._classifier: SceneClassifier | None = None

    def open(self) -> None:
        """Load the scene model, unless scenes are off."""
        if self.config.model != "off":
            from ..vision.scenes import load_classifier

            self._classifier = load_classifier(self.config, threads=int(os.environ.get("OMP_NUM_THREADS", "1")))

    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def run(self, job: VideoJob, items: Iterator[AnonymisedFrame]) -> Iterator[LabelledFrame]:
        """See Stage.run."""
        for frame in items:
            yield LabelledFrame(frame, self.scene_of(job, frame.rgb))

    def scene_of(self, job: VideoJob, rgb: RGB) -> SceneLabel | None:
        """The scene of one picture, uint8 RGB (H, W, 3); None with scenes off."""
        if self._classifier is None:
            return None
        top1, prob = self._classifier.classify(rgb[np.newaxis])
        job.tick(self.name, 1)
        return SceneLabel(int(top1[0]), float(prob[0]))
