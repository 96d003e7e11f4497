"""Optimisers and the learning rate of a step."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..run_config import TrainConfig


def make_optimiser(model: nn.Module, config: TrainConfig, *, fused: bool = False) -> torch.optim.Optimizer:
    """Adam as paper and released code have it, or AdamW, which does not pull biases and norms towards 0.

    Args:
        fused: one kernel updates all weights. The same up to rounding; for a GPU, where the many small ones take time.
    """
    one_kernel = fused or None  # None, not False: torch chooses between its other two ways
    trained = [p for p in model.parameters() if p.requires_grad]
    if config.optimiser == "adam":
        return torch.optim.Adam(trained, lr=config.lr, fused=one_kernel)
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=one_kernel)


def rate(step: int, n_steps: int, config: TrainConfig) -> float:
    """The learning rate of a step, counted from 0: warm-up in a straight line, then constant or half a cosine to 0."""
    n_warm = round(config.warmup * n_steps)
    if step < n_warm:
        return config.lr * (step + 1) / n_warm
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - n_warm) / max(1, n_steps - n_warm)))
