"""Hiding pixels of a clip: the border, any mask, and the control that hides as many pixels elsewhere.

Hiding anything costs accuracy, for there is less to see and a grey patch looks strange. Only what a mask costs beyond
its control is the worth of what it hides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Clip = npt.NDArray[np.uint8]
"""(T, 3, H, W), red, green, blue."""
Mask = npt.NDArray[np.bool_]
"""(T, H, W), or (1, H, W) where all frames have the same: True is hidden."""

BORDER = 0.08
"""Width of the border, as a share of the frame's side, on each side."""
_GREY = 128
_MOST_OVERLAP = 0.1
"""A shifted mask that covers no more of the mask itself is elsewhere."""


def border(height: int, width: int) -> Mask:
    """The outer BORDER of each side of a frame, one pixel at least: (1, H, W)."""
    mask = np.ones((1, height, width), bool)
    dy, dx = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    mask[:, dy : height - dy, dx : width - dx] = False
    return mask


def hidden(clip: Clip, mask: Mask) -> Clip:
    """A copy in which the masked pixels of each frame have the mean colour of its others.

    Not of all pixels: a red logo would leave a red tint behind, and could still be told. Of a frame that is hidden
    whole nothing is left, and it is grey.
    """
    seen = ~np.broadcast_to(mask[:, None], (len(clip), 1, *clip.shape[2:]))
    n_seen = seen.sum(axis=(2, 3), keepdims=True)
    total = (clip * seen).sum(axis=(2, 3), keepdims=True, dtype=np.int64)
    mean = np.where(n_seen > 0, np.rint(total / np.maximum(n_seen, 1)), _GREY).astype(np.uint8)
    changed: Clip = np.where(seen, clip, mean)
    return changed


def elsewhere(mask: Mask, rng: np.random.Generator) -> Mask:
    """The control: as many pixels in every frame, none of them in the mask.

    It is the mask itself, shifted with wrap-around by the same step in all frames: sideways if that will do, so that
    what was at a height stays there, else in both directions. Where it still falls on the mask it is taken away, and
    grown at its edges by as much. Of a mask over half of the frame the control is all the rest, which is less.
    """
    shifted = _shifted(mask, rng) & ~mask
    return np.stack([_grown(one, ~own, int(own.sum()), rng) for one, own in zip(shifted, mask, strict=True)])


def _shifted(mask: Mask, rng: np.random.Generator) -> Mask:
    _, height, width = mask.shape
    sideways = rng.permutation(np.arange(width // 4, width - width // 4))[:6].tolist()
    steps = [(0, width // 2), *((0, dx) for dx in sideways), (height // 2, 0), (height // 2, width // 2)]
    steps += [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(8)]
    best, least = mask, np.inf
    for dy, dx in steps:
        shifted = np.roll(mask, (dy, dx), (1, 2))
        overlap = (shifted & mask).sum() / max(1, mask.sum())
        if overlap < least:
            best, least = shifted, overlap
        if least <= _MOST_OVERLAP:
            break
    return best


def _grown(area: Mask, free: Mask, n: int, rng: np.random.Generator) -> Mask:
    """`area`, within `free`, grown ring by ring to `n` pixels."""
    area = area.copy()
    while (lacking := n - int(area.sum())) > 0:
        rest = free & ~area
        ring = rest & _neighbours(area)
        if not rest.any():
            break
        if not ring.any():  # a new patch is begun
            ring, lacking = rest, 1
        places = np.flatnonzero(ring)
        if len(places) > lacking:
            places = rng.choice(places, lacking, replace=False)
        area.reshape(-1)[places] = True
    return area


def _neighbours(area: Mask) -> Mask:
    """Pixels beside those of (H, W), above, below, left and right."""
    near = np.zeros_like(area)
    near[1:] |= area[:-1]
    near[:-1] |= area[1:]
    near[:, 1:] |= area[:, :-1]
    near[:, :-1] |= area[:, 1:]
    return near
