"""What one training step of one clip costs: by arithmetic, and counted while torch does it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cityguessr_data.core.types import LEVELS

from ..run_config import RunConfig
from ..tables.cost import macs


def by_arithmetic(config: RunConfig) -> float | None:
    """Operations of a clip, forward and backward: three times a forward pass, two for each multiply-add.

    Returns:
        None for a model whose arithmetic is not known (tables/cost.py).
    """
    one = macs(config)
    return None if one is None else 6 * one


def counted(model: nn.Module, clip: Tensor, scenes: Tensor) -> float:
    """Operations of a real forward and backward pass of one clip, counted one product after the other.

    Attention is computed without the fused kernels for it: the counter does not know all of them, and of those that it
    knows it counts what they compute twice to save memory.

    Args:
        model: on the device of the clip; its gradients are gone afterwards.
        clip: (1, T, 3, H, W), or features (1, T, D).
        scenes: (1, 16).
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        scores = model(clip, scenes)
        answers = [scores.logits[level] for level in LEVELS]
        answers += [part for part in (scores.scene_logits, scores.text_vector) if part is not None]
        whole: Any = torch.stack([answer.float().sum() for answer in answers]).sum()
        whole.backward()
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())
