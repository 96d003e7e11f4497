"""From uint8 frames to what the backbone takes, on the device where the clips are: a quarter of the bytes to move."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import ModelConfig


class ClipNormaliser(nn.Module):
    """Scales to [0, 1], then (x - mean) / std where the config has them; repeats the last frame to whole tubelets.

    Mean and std are the config's, so they are not part of a saved state: no checkpoint can bring others.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.expected = (config.frames, 3, config.size_px, config.size_px)
        self.n_repeats = config.backbone_frames - config.frames
        self.standardised = config.mean is not None
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
        return (pixels - self.mean) / self.std if self.standardised else pixels
