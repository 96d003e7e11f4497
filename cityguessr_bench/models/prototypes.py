"""Retrieval against class prototypes: the place whose training clips have, on the mean, the most similar features.

The other thing that one does with a frozen encoder, and the simplest: no gradient, one pass, nothing to tune. A clip's
vector is the mean of its frames' features, of unit length; a class's prototype is the mean of its training clips'
vectors, of unit length again; a clip's score is the cosine of the two, at each level by itself. (VidTAG retrieves too,
from a gallery of places and with learnt vectors.)

Divided by a constant, the cosines are logits like any model's. The constant is the 0.01 at which CLIP's own training
stops sharpening. It decides no arg-max, but every probability: those of this model are not calibrated, and the sums and
products of an evaluation mode depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS, Level

from .config import ModelConfig
from .frozen import check_features, checked

TEMPERATURE = 0.01
UNSEEN = -1 / TEMPERATURE - 100
"""The logit of a class without a training clip: 100 below the lowest that a cosine gives, so that its probability is 0
and its logarithm still a finite number."""


class Prototypes(nn.Module):
    """One unit vector a class; all zero where the class has no training clip. 322,560 numbers for vectors of 768 and
    166/157/91/6 classes.

    They are no trained parameters: `fit_pass` makes them, and train/one_pass.py calls it in place of epochs.

    Raises:
        InputError: settings without features, or with a branch that it does not have.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_features(config)
        self.expected = (config.frames, config.feature_dim)
        self.heads = nn.ParameterDict(
            {
                level: nn.Parameter(torch.zeros(n_classes, config.feature_dim), requires_grad=False)
                for level, n_classes in config.classes.items()
            }
        )

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Features (B, T, D), any float -> scores, always in float32; scenes are not looked at.

        Raises:
            ValueError: features of another shape, or pixels.
        """
        checked(clips, self.expected)
        with torch.autocast(clips.device.type, enabled=False):  # bf16 cannot tell cosines apart that differ by 0.01
            vectors = clip_vectors(clips)
            return GeoOutput({level: self._scores(vectors, level) for level in LEVELS})

    def fit_pass(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Make the prototypes of all classes, anew.

        Args:
            batches: every training clip once: features (B, T, D), and labels (B, 4) in the order of LEVELS.
        """
        sums = {level: torch.zeros_like(self.heads[level], dtype=torch.float64) for level in LEVELS}
        for clips, labels in batches:
            checked(clips, self.expected)
            vectors = clip_vectors(clips).double()
            for at, level in enumerate(LEVELS):
                sums[level].index_add_(0, labels[:, at].to(vectors.device), vectors)
        for level in LEVELS:
            self.heads[level].copy_(functional.normalize(sums[level], dim=1))  # a sum points where the mean does

    def _scores(self, vectors: Tensor, level: Level) -> Tensor:
        prototypes = self.heads[level]
        seen = prototypes.any(dim=1)
        cosines = vectors @ prototypes.T
        return torch.where(seen, cosines / TEMPERATURE, UNSEEN)


def clip_vectors(clips: Tensor) -> Tensor:
    """Features (B, T, D) -> the mean over time, float32 (B, D) of unit length."""
    return functional.normalize(clips.float().mean(dim=1), dim=1)
