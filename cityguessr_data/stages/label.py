"""Names the scene of every frame by Places365, after blurring: anyone can repeat it on the published frames.

The clip's soft label is made of these (paper, section 4.3); see core/places365.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..core.threads import worker_threads
from ..core.types import AnonymisedFrame, LabelledFrame, SceneLabel
from ..run.stage import VideoJob
from ..vision.scenes import SceneConfig
from .batching import F, batched, stacked

if TYPE_CHECKING:
    from ..vision.scenes import SceneClassifier


class LabelStage:
    """AnonymisedFrame -> LabelledFrame; with scenes off it only passes frames on."""

    name = "label"
    version = 2
    lane = "inference"

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self._classifier: SceneClassifier | None = None

    def open(self) -> None:
        """Load the scene model, unless scenes are off."""
        if self.config.model != "off":
            from ..vision.scenes import load_classifier

            self._classifier = load_classifier(self.config, worker_threads())

    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def run(self, job: VideoJob, items: Iterator[AnonymisedFrame]) -> Iterator[LabelledFrame]:
        """See Stage.run."""
        for frame, scene in self.labelled(job, items):
            yield LabelledFrame(frame, scene)

    def labelled(self, job: VideoJob, frames: Iterable[F]) -> Iterator[tuple[F, SceneLabel | None]]:
        """Every frame of whatever step with its scene; with None where scenes are off."""
        if self._classifier is None:
            yield from ((frame, None) for frame in frames)
            return
        for batch in batched(frames, self._classifier.batch):
            top1, probs = self._classifier.classify(stacked(batch))
            job.tick(self.name, len(batch))
            for frame, label, prob in zip(batch, top1.tolist(), probs.tolist(), strict=True):
                yield frame, SceneLabel(label, prob)
