"""The losses of the paper, Eq. 1 to 4, as pure functions of scores and targets.

Half-precision scores are raised to float32 first: a log-softmax over 166 classes has no digits to spare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cityguessr_data.core.types import LEVELS, Level

from .scores import GeoOutput

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class Targets:
    """What B clips should be."""

    labels: Mapping[Level, Tensor]
    """(B,) int64 by level."""
    scenes: Tensor | None = None
    """(B, n_scenes) soft labels that sum to 1; None where no clip has them."""
    has_scenes: Tensor | None = None
    """(B,) bool: which rows of `scenes` are labels; the others may hold anything, NaN too. None: all are."""
    text: Tensor | None = None
    """(B, d_t) F_t of each clip's city (text_targets.py); None where TLA is off."""


@dataclass(frozen=True)
class LossParts:
    """Scalars, each with its gradient."""

    total: Tensor
    """Eq. 4."""
    geo: Tensor
    """Eq. 1."""
    by_level: dict[Level, Tensor]
    """The four terms of Eq. 1."""
    scene: Tensor | None = None
    """Eq. 2; 0 where no clip of the batch has scene labels, None where the model has no scene branch."""
    tla: Tensor | None = None
    """Eq. 3; None where the model has no text branch."""

    def by_name(self) -> dict[str, Tensor]:
        """For the log, without gradients: total, geo, geo/city .. geo/continent, scene and tla where they are."""
        parts = {"total": self.total, "geo": self.geo, **{f"geo/{level}": v for level, v in self.by_level.items()}}
        parts |= {name: v for name, v in (("scene", self.scene), ("tla", self.tla)) if v is not None}
        return {name: value.detach() for name, value in parts.items()}


def geo_losses(logits: Mapping[Level, Tensor], labels: Mapping[Level, Tensor]) -> dict[Level, Tensor]:
    """The terms of L_geo (Eq. 1): cross entropy of each level, mean over the batch. Their sum is L_geo.

    Args:
        logits: (B, C_level) by level.
        labels: (B,) int64 by level.
    """
    return {level: functional.cross_entropy(_raised(logits[level]), labels[level]) for level in LEVELS}


def scene_loss(
    scene_logits: Tensor, scenes: Tensor, has_scenes: Tensor | None = None, count: Tensor | float | None = None
) -> Tensor:
    """L_scene (Eq. 2): cross entropy with the soft label, -sum_k s_k log softmax(PV'_s)_k, mean over labelled clips.

    Args:
        scene_logits: (B, n_scenes).
        scenes: (B, n_scenes), rows that sum to 1.
        has_scenes: (B,) bool, the rows that count; None: all.
        count: what to divide by instead of the labelled clips here: in several processes, labelled clips in all of
            them over the number of processes, so that averaged gradients are those of one process.
    """
    if has_scenes is None:
        has_scenes = torch.ones(len(scenes), dtype=torch.bool, device=scenes.device)
    log_probs = functional.log_softmax(_raised(scene_logits), dim=1)
    # the row is replaced before it is multiplied: 0 x NaN is NaN, in the value and in the gradient
    kept = torch.where(has_scenes[:, None], scenes.to(log_probs.dtype), 0.0)
    per_clip = -(kept * log_probs).sum(dim=1)
    n = has_scenes.sum() if count is None else torch.as_tensor(count, device=per_clip.device)
    return per_clip.sum() / n.clamp(min=1e-9)  # no labels at all: 0, not 0 / 0


def tla_loss(text_vector: Tensor, text: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L_TLA (Eq. 3): minus the cosine similarity of PV'_t and F_t; mean over the batch, or its sum (released code).

    Args:
        text_vector: (B, d_t).
        text: (B, d_t), of any length.
    """
    if text_vector.shape != text.shape:
        raise ValueError(f"expected text targets {tuple(text_vector.shape)}, got {tuple(text.shape)}")
    vector = _raised(text_vector)
    cosines = functional.cosine_similarity(vector, text.to(vector.dtype), dim=1)
    return -(cosines.sum() if reduction == "sum" else cosines.mean())


def total_loss(
    scores: GeoOutput,
    targets: Targets,
    *,
    tla_reduction: Reduction = "mean",
    scene_count: Tensor | float | None = None,
    n_processes: int = 1,
) -> LossParts:
    """L = L_geo + L_scene + L_TLA (Eq. 4), without the terms whose branch the model does not have.

    Args:
        tla_reduction: `mean` (paper), or `sum` over the batch (released code; a weight of 12 at its batch of 12).
        scene_count: see `scene_loss`.
        n_processes: processes that average their gradients. A sum over the whole batch then needs that factor.

    Raises:
        ValueError: the model has a text branch and there are no text targets, or shapes differ.
    """
    by_level = geo_losses(scores.logits, targets.labels)
    geo = torch.stack(list(by_level.values())).sum()
    total, scene, tla = geo, None, None
    if scores.scene_logits is not None:
        if targets.scenes is None:
            # no labels: nothing to learn, but the branch stays in the graph, as gradients are exchanged for all of it
            scene = _raised(scores.scene_logits).sum() * 0.0
        else:
            scene = scene_loss(scores.scene_logits, targets.scenes, targets.has_scenes, scene_count)
        total = total + scene
    if scores.text_vector is not None:
        if targets.text is None:
            raise ValueError("expected text targets (B, d_t), got None: the model has a text branch")
        tla = tla_loss(scores.text_vector, targets.text, tla_reduction)
        tla = tla * n_processes if tla_reduction == "sum" else tla
        total = total + tla
    return LossParts(total, geo, by_level, scene, tla)


def _raised(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores
