"""What a run costs, by arithmetic on its settings: multiply-adds (MAC) of one clip, and hours on one H100.

    hours = (3 x train clips x epochs + watched clips x epochs + test clips) x 2 x MAC / (0.4 x peak) / 3600

Training counts three times a forward pass (the backward pass is two), a MAC is two operations, and 40 % of the dense
peak is what a well fed network reaches. An estimate: reading and decoding of frames is not in it. Only encoder and
query decoder are counted; heads, Self-Cross Attention and the small networks behind it are far below 1 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cityguessr_data.core.types import LEVELS

from ..run_config import RunConfig

H100_PEAK: dict[str, float] = {"fp32": 67e12, "bf16": 989e12, "fp16": 989e12}
"""Dense operations a second by train.precision, as NVIDIA states them for the SXM model; fp32 without tensor cores."""
UTILISATION = 0.4
FORMULA = (
    "Estimate: (3 x train clips x epochs + watched clips x epochs + test clips) x 2 x MAC of a clip / (0.4 x the dense "
    "peak of one H100: 67 TFLOP/s in fp32, 989 in bf16 and fp16); reading of frames is not in it"
)


@dataclass(frozen=True)
class Counts:
    """Clips of a run."""

    train: int
    test: int
    watched: int
    """Of the part that is scored after every epoch; 0: none."""


def macs(config: RunConfig) -> float | None:
    """Multiply-adds of one forward pass of one clip; None for a model whose arithmetic is not known here."""
    return _MACS[config.model](config) if config.model in _MACS else None


def operations(config: RunConfig, clips: Counts) -> float | None:
    """Of a whole run, two for each MAC."""
    one = macs(config)
    epochs = config.train.epochs
    return None if one is None else 2 * one * (3 * clips.train * epochs + clips.watched * epochs + clips.test)


def h100_hours(config: RunConfig, clips: Counts) -> float | None:
    """The estimate above."""
    total = operations(config, clips)
    return None if total is None else total / (UTILISATION * H100_PEAK[config.train.precision]) / 3600


def _patches(config: RunConfig) -> int:
    """Of one frame."""
    return int((config.data.size_px // config.network.patch_px) ** 2)


def _embedding(config: RunConfig, n_tokens: int, tubelet: int) -> float:
    return n_tokens * 3 * tubelet * config.network.patch_px**2 * config.network.hidden


def _layer(n_tokens: int, h: int, mlp_ratio: int) -> float:
    """One layer of a ViT: query, key, value and output; scores and their use; the MLP."""
    return 4 * n_tokens * h**2 + 2 * n_tokens**2 * h + 2 * mlp_ratio * n_tokens * h**2


def _videomae(config: RunConfig) -> float:
    n = config.network
    n_tokens = -(-config.data.frames // n.tubelet) * _patches(config)
    return _embedding(config, n_tokens, n.tubelet) + n.layers * _layer(n_tokens, n.hidden, n.mlp_ratio)


def _mae(config: RunConfig) -> float:
    """One frame, and the class token."""
    n, n_patches = config.network, _patches(config)
    return _embedding(config, n_patches, 1) + n.layers * _layer(n_patches + 1, n.hidden, n.mlp_ratio)


def _timesformer(config: RunConfig) -> float:
    """Divided attention: over the frames at each place, then over the places (and the class token) of each frame."""
    n, t, s = config.network, config.data.frames, _patches(config)
    h = n.hidden
    over_time = 4 * t * s * h**2 + 2 * t**2 * s * h + t * s * h**2  # and a Linear after it
    over_space = 4 * t * (s + 1) * h**2 + 2 * t * (s + 1) ** 2 * h
    mlp = 2 * n.mlp_ratio * (t * s + 1) * h**2
    return _embedding(config, t * s, 1) + n.layers * (over_time + over_space + mlp)


def _geodecoder(config: RunConfig) -> float:
    """The frame's tokens, and layers of queries that see each other (the last quarter: their level) and the tokens."""
    n = config.network
    h, n_tokens = n.hidden, _patches(config)  # without the class token
    n_each = n.n_scenes if n.scenes else 1
    q = len(LEVELS) * n_each
    n_apart = max(1, n.decoder_layers // 4)
    seen = (n.decoder_layers - n_apart) * q * q + n_apart * q * n_each
    layer = 4 * q * h**2 + 2 * q * h**2 + 2 * n_tokens * h**2 + 2 * q * n_tokens * h + 2 * n.mlp_ratio * q * h**2
    return _mae(config) + n.decoder_layers * layer + 2 * seen * h


_MACS: dict[str, Callable[[RunConfig], float]] = {
    "cityguessr": _videomae,
    "videomae": _videomae,
    "mae": _mae,
    "planet": _mae,
    "isns": _mae,  # a clip passes one of the three networks
    "timesformer": _timesformer,
    "geodecoder": _geodecoder,
}
