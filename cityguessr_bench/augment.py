"""Augmentation: changes how a place looks, never where it is. The same for all frames of a clip.

`light` crops and shifts light and colour; `strong` also mixes the colours with each other and turns half of the clips
into negatives, for small data from which a network must learn that paint and daylight say nothing.

Never a flip: the side of the road, and the direction of all lettering, are cues of the place. The numbers are drawn
clip by clip in the loader (`draw`), and used on the device where the clips are (`look`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_CROP = 0.5
"""Side of the crop over that of the frame: from here to 1, height and width drawn apart."""
COLOUR = 0.4
"""Contrast and the gain of each channel are exp(u), u even from -COLOUR to COLOUR."""
BRIGHTNESS = 0.12
"""Brightness is exp(z), z normal with this deviation."""
GREY = 0.5
"""Share of the clips that are mixed towards grey, by an even share of 0 to 1."""

MIXED = 0.5
"""`strong`: share of the clips whose colours are mixed, each new one a random blend of the three old ones."""
NEGATIVE = 0.5
"""`strong`: share of the clips that become negatives."""

Kind = Literal["none", "light", "strong"]
N_NUMBERS = 20
"""height, width, x, y of the crop; brightness; contrast; gain of R, G, B; grey; 3 x 3 of the mix, by rows; negative."""


def draw(rng: np.random.Generator, kind: Kind = "light") -> npt.NDArray[np.float32]:
    """The numbers of one clip, (N_NUMBERS,) float32, in the order of N_NUMBERS.

    The crop's sides are shares of the frame's; x and y are the centre's offset, with -1 and 1 at the frame's borders.
    """
    sides = rng.uniform(SMALLEST_CROP, 1, 2)
    height, width = sides
    x, y = rng.uniform(-1, 1, 2) * (1 - width, 1 - height)
    brightness = np.exp(rng.normal(0, BRIGHTNESS))
    contrast, *gains = np.exp(rng.uniform(-COLOUR, COLOUR, 4))
    grey = rng.uniform() * (rng.uniform() < GREY)
    mix, negative = np.eye(3), False
    if kind == "strong":
        blend = rng.uniform(size=(3, 3)) ** 2
        mix = blend / blend.sum(axis=1, keepdims=True) if rng.uniform() < MIXED else mix
        negative = rng.uniform() < NEGATIVE
    numbers = [height, width, x, y, brightness, contrast, *gains, grey, *mix.ravel(), negative]
    return np.array(numbers, np.float32)


def look(clips: Tensor, numbers: Tensor) -> Tensor:
    """Clips (B, T, 3, H, W) uint8 and numbers (B, N_NUMBERS) -> floats (B, T, 3, H, W) in [0, 1].

    Raises:
        ValueError: other shapes or types.
    """
    if clips.ndim != 5 or clips.dtype != torch.uint8 or numbers.shape != (len(clips), N_NUMBERS):
        raise ValueError(f"expected uint8 clips (B, T, 3, H, W) and numbers (B, {N_NUMBERS}), got {clips.shape}")
    pixels = _crop(clips.float().div_(255), numbers[:, :4])  # in place from here on: the values are of the batch's size
    brightness, contrast, gains, grey, mix, negative = (
        part.reshape(len(clips), 1, -1, 1, 1) for part in torch.split(numbers[:, 4:], [1, 1, 3, 1, 9, 1], dim=1)
    )
    mean = pixels.mean(dim=(1, 3, 4), keepdim=True)  # of each channel over the whole clip
    pixels.sub_(mean).mul_(contrast).add_(mean * brightness).mul_(gains)
    pixels.lerp_(pixels.mean(dim=2, keepdim=True), grey).clamp_(0, 1)
    pixels = torch.einsum("bij,btjhw->btihw", mix.reshape(-1, 3, 3), pixels)
    return pixels.lerp_(1 - pixels, negative)


def _crop(pixels: Tensor, crop: Tensor) -> Tensor:
    """Cut out and resize back, bilinear. Both scales are positive: a mirrored picture cannot come out."""
    b, t, c, h, w = pixels.shape
    height, width, x, y = crop.unbind(dim=1)
    nothing = torch.zeros_like(x)
    rows = torch.stack([torch.stack([width, nothing, x], 1), torch.stack([nothing, height, y], 1)], 1)
    grid = functional.affine_grid(rows, [b, t * c, h, w], align_corners=False)
    cut = functional.grid_sample(pixels.flatten(1, 2), grid, padding_mode="border", align_corners=False)
    return cut.view(b, t, c, h, w)
