"""From uint8 frames to what the backbone takes, on the device where the clips are: a quarter of the bytes to move."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import ModelConfig

_GRID = 14
"""Cells of a side; a window is 3 of them."""
_LEAST_DEVIATION = 0.03
"""Added to the deviation, of pixels in [0, 1], so that the noise of a plain sky is not blown up."""


class ClipNormaliser(nn.Module):
    """Scales to [0, 1], then (x - mean) / std by the config or by surroundings; repeats the last frame if need be.

    Mean and std are the config's, so they are not part of a saved state: no checkpoint can bring others.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.expected = (config.frames, 3, config.size_px, config.size_px)
        self.n_repeats = config.backbone_frames - config.frames
        self.standardised = config.mean is not None
        self.local_contrast = config.local_contrast
        shape = (3, 1, 1)
        self.register_buffer("mean", torch.tensor(config.mean or (0.0, 0.0, 0.0)).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(config.std or (1.0, 1.0, 1.0)).view(shape), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W), RGB, uint8 in 0..255 or floats already in [0, 1] -> floats (B, T', 3, H, W).

        Raises:
            ValueError: another shape than the config's, or whole numbers that are not uint8.
        """
        if clips.ndim != 5 or tuple(clips.shape[1:]) != self.expected:
            t, c, h, w = self.expected
            raise ValueError(f"expected clips (B, {t}, {c}, {h}, {w}), got {tuple(clips.shape)}")
        if clips.dtype != torch.uint8 and not clips.is_floating_point():
            raise ValueError(f"expected clips of uint8 or of floats in [0, 1], got {clips.dtype}")
        if self.n_repeats:
            clips = torch.cat([clips, clips[:, -1:].expand(-1, self.n_repeats, -1, -1, -1)], dim=1)
        pixels = clips.to(self.mean.dtype)
        if clips.dtype == torch.uint8:
            pixels = pixels / 255
        if self.local_contrast:
            return local_contrast(pixels)
        return (pixels - self.mean) / self.std if self.standardised else pixels


def local_contrast(pixels: Tensor) -> Tensor:
    """Each pixel less the mean of its surroundings, over their deviation: floats (B, T, 3, H, W), the same shape.

    Tint, exposure, haze and the night go; edges and patterns stay. After Jarrett et al. 2009 ("What is the best
    multi-stage architecture for object recognition?", ICCV), here with a square window of 3/14 of the frame's side,
    whose means are taken on a grid and blended between its points.
    """
    frames = pixels.flatten(0, 1)
    mean = _surroundings(frames)
    deviation = (_surroundings(frames.square()) - mean.square()).clamp(min=0).sqrt()
    return ((frames - mean) / (deviation + _LEAST_DEVIATION)).view_as(pixels)


def _surroundings(values: Tensor) -> Tensor:
    """(N, C, H, W) -> the mean of every value's surroundings, the same shape."""
    cells = functional.pad(functional.adaptive_avg_pool2d(values, _GRID), (1, 1, 1, 1), mode="replicate")
    means = functional.avg_pool2d(cells, 3, stride=1)
    return functional.interpolate(means, size=values.shape[-2:], mode="bilinear", align_corners=False)
