"""Temporal attention over the cached features of a clip's frames, and the four heads.

A model of today: a large image encoder, trained on far more pictures than any set of films has, stays as it is; what is
learnt is small, and needs no GPU. The idea is VidTAG's (2026), whose frozen CLIP and DINOv2 cut its training from 68
hours to less than 3; its own network on top is another one. Nothing is dropped at random, so that a run that was
stopped goes on with the same numbers; where a pack stores more frames than the model takes, each epoch draws others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.errors import InputError

from .config import ModelConfig
from .heads import HierarchyHeads


class FrozenTemporal(nn.Module):
    """6,924,708 parameters for vectors of 768, 16 frames, width 512, 2 layers of 8 heads, and 166/157/91/6 classes.

    Raises:
        InputError: settings without features, or with a branch that it does not have.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_features(config)
        hidden = config.hidden
        self.expected = (config.frames, config.feature_dim)
        self.project = nn.Sequential(nn.LayerNorm(config.feature_dim), nn.Linear(config.feature_dim, hidden))
        self.time = nn.Parameter(torch.randn(config.frames, hidden) * 0.02)
        layers = [_layer(config) for _ in range(config.layers)]
        self.attention = nn.TransformerEncoder(layers[0], 1, nn.LayerNorm(hidden), enable_nested_tensor=False)
        self.attention.layers = nn.ModuleList(layers)  # else they are copies of one, and start with the same weights
        self.attention.num_layers = config.layers
        self.heads = HierarchyHeads(hidden, config.classes)

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Features (B, T, D), any float -> scores; T = config.frames. Scenes are not looked at.

        Raises:
            ValueError: features of another shape, or pixels.
        """
        checked(clips, self.expected)
        tokens = self.project(clips.to(self.time.dtype)) + self.time
        return GeoOutput(self.heads(self.attention(tokens).mean(dim=1)))


def check_features(config: ModelConfig) -> None:
    """Raise unless settings are of a model that takes features and has the four heads alone.

    Raises:
        InputError: which setting to change.
    """
    if not config.feature_dim:
        raise InputError("this model takes cached features, and is to be given pixels", "Give --set data.features=clip")
    if config.scenes or config.tla:
        name = "network.scenes" if config.scenes else "network.tla"
        raise InputError(f"{name} is true, and this model has the four heads alone", f"Give --set {name}=false")


def checked(clips: Tensor, expected: tuple[int, int]) -> None:
    """Raise unless clips are features (B, T, D).

    Raises:
        ValueError: another shape, or whole numbers.
    """
    if clips.ndim != 3 or tuple(clips.shape[1:]) != expected or not clips.is_floating_point():
        t, d = expected
        raise ValueError(f"expected features (B, {t}, {d}) of floats, got {clips.dtype} {tuple(clips.shape)}")


def _layer(config: ModelConfig) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        config.hidden,
        config.heads,
        config.intermediate,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
