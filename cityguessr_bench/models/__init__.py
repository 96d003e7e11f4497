"""The models by name. The registry holds functions that build, so that reading the names imports no torch.

Every model takes clips (B, T, 3, H, W) and answers a GeoOutput (scores.py); CityGuessr is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import InputError

from .config import ModelConfig

if TYPE_CHECKING:
    from torch import nn

Builder = Callable[[ModelConfig], "nn.Module"]

MODELS: dict[str, Builder] = {}


def register(name: str, builder: Builder) -> None:
    """Make a model known by `name`.

    Raises:
        ValueError: the name is taken.
    """
    if name in MODELS:
        raise ValueError(f"the model {name!r} is registered twice")
    MODELS[name] = builder


def build_model(name: str, config: ModelConfig) -> nn.Module:
    """A model of that name with random weights, on the CPU, in float32 (torch's global generator draws them).

    Raises:
        InputError: no model has that name.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}", f"Give one of: {', '.join(sorted(MODELS))}")
    return MODELS[name](config)


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Parameters by part of the model, in its own order, and their sum under `total`."""
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    counts["total"] = sum(p.numel() for p in model.parameters())
    return {name: count for name, count in counts.items() if count}


def _cityguessr(config: ModelConfig) -> nn.Module:
    from .cityguessr import CityGuessr

    return CityGuessr(config)


register("cityguessr", _cityguessr)

__all__ = ["MODELS", "Builder", "ModelConfig", "build_model", "parameter_counts", "register"]
