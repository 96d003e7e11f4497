"""Frames as each backbone was trained to see them: size, colour order, mean and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from .net import Backbone


@dataclass(frozen=True)
class Normalisation:
    """value = (pixel - mean) / scale, pixel 0..255, per channel in the order given."""

    bgr: bool
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]


NORMALISATIONS: dict[Backbone, Normalisation] = {
    # RGB scaled to [0, 1], then ImageNet mean and standard deviation
    "resnet50": Normalisation(
        bgr=False,
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        scale=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    ),
    # blue, green, red less their means, not scaled
    "mobilenet0.25": Normalisation(bgr=True, mean=(104.0, 117.0, 123.0), scale=(1.0, 1.0, 1.0)),
}


def scaled(rgb: npt.NDArray[np.uint8], size_px: int, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """Frames at the size in which the network sees them: the longer side at most `size_px`, then `scale` times that.

    Reduced by area averaging, enlarged by linear interpolation; the same array where nothing changes. No padding: the
    network takes any size.

    Args:
        rgb: (B, H, W, 3) uint8.
    """
    import cv2

    height, width = rgb.shape[1:3]
    factor = min(1.0, size_px / max(height, width)) * scale
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return rgb
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, size, interpolation=how) for frame in rgb])


def as_network_input(rgb: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """(B, H, W, 3) uint8 RGB to (B, 3, H, W) float32 on the same device, in channels-last memory."""
    channels_first = rgb.permute(0, 3, 1, 2).float()
    if normalisation.bgr:
        channels_first = channels_first.flip(1)
    mean = channels_first.new_tensor(normalisation.mean).view(1, 3, 1, 1)
    scale = channels_first.new_tensor(normalisation.scale).view(1, 3, 1, 1)
    return (channels_first - mean) / scale
