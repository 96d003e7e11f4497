"""What a model says of a batch: the type between the models, the losses and the evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cityguessr_data.core.types import Level


@dataclass(frozen=True)
class GeoOutput:
    """What a model says of B clips: raw scores, no softmax."""

    logits: dict[Level, Tensor]
    """(B, C_level) by level, city first."""
    pv_attended: Tensor | None = None
    """PV' (B, d); None where neither branch needs it."""
    scene_logits: Tensor | None = None
    """PV'_s (B, n_scenes); None where scenes are off."""
    text_vector: Tensor | None = None
    """PV'_t (B, d_t), any length; None where TLA is off."""
