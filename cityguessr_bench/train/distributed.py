"""What one process adds to the loss of a global batch that several share.

Gradients are averaged over P processes. A batch of N clips is sliced; process p has n_p of them, n_p may differ by one.
So that the average is the gradient of one process with all N clips, a mean over the slice counts P * n_p / N, and the
averaged numbers are the losses of the whole batch. Scenes have their own count (losses.scene_loss), a sum its factor P.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data import Places
from ..loader import share
from ..losses import LossParts, Reduction


@dataclass(frozen=True)
class Slice:
    """One process's part of a global batch."""

    n_mine: int
    """Clips; with 0 the process still computes one, which counts nothing (loader.TrainingSteps)."""
    n_all: int
    n_labelled: int
    """Clips of the whole batch with a scene label."""
    n_processes: int

    @classmethod
    def of(cls, whole: Places, n_labelled: int, rank: int, n_processes: int) -> Slice:
        """Of a global batch, `n_labelled` clips of which have a scene label."""
        return cls(len(share(whole, rank, n_processes)), len(whole), n_labelled, n_processes)

    @property
    def scene_count(self) -> float:
        """For losses.scene_loss."""
        return self.n_labelled / self.n_processes

    @property
    def weight(self) -> float:
        """Of a mean over this slice."""
        return self.n_processes * self.n_mine / self.n_all

    def weighted(self, parts: LossParts, tla_reduction: Reduction) -> LossParts:
        """The losses of this slice, scaled so that their average over all processes is that of the whole batch.

        Args:
            parts: of losses.total_loss with this slice's `scene_count` and `n_processes`.
        """
        if self.n_mine * self.n_processes == self.n_all:
            return parts
        present = float(self.n_mine > 0)
        by_level = {level: loss * self.weight for level, loss in parts.by_level.items()}
        geo = parts.geo * self.weight
        scene = None if parts.scene is None else parts.scene * present
        tla = None if parts.tla is None else parts.tla * (self.weight if tla_reduction == "mean" else present)
        total: Tensor = geo
        for part in (scene, tla):
            total = total if part is None else total + part
        return LossParts(total, geo, by_level, scene, tla)
