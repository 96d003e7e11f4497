"""The changes that a run is scored under: of the order of frames, of left and right, and of what can be seen.

A change gets clips (B, T, 3, H, W) uint8 with their places in the pack, and gives clips of the same shape. All chance
is keyed by the clip's id, so that it is the same in every run of the audit and for any batch size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .masks import Clip, Mask, elsewhere, hidden

MaskOf = Callable[[Clip, int], Mask]
"""(the clip's frames, its place in the pack) -> what of it is to be hidden."""
_ORDER, _ELSEWHERE = range(2)
"""What a random number is for."""


def middle_frame(clips: Tensor, _places: Sequence[int]) -> Tensor:
    """The frame at T // 2, T times: no motion, and one view of the street."""
    middle = clips.shape[1] // 2
    return clips[:, middle : middle + 1].expand_as(clips).contiguous()


def mirrored(clips: Tensor, _places: Sequence[int]) -> Tensor:
    """Left and right exchanged: the side of the road, and every letter."""
    return clips.flip(-1)


@dataclass(frozen=True)
class Reordered:
    """The same frames in another order, drawn for each clip; never their own, where there are two or more."""

    clip_ids: Sequence[str]
    """By place."""

    def __call__(self, clips: Tensor, places: Sequence[int]) -> Tensor:
        """(B, T, 3, H, W)."""
        n = clips.shape[1]
        orders = [self._order(self.clip_ids[place], n) for place in places]
        return torch.stack([clip[order] for clip, order in zip(clips, orders, strict=True)])

    def _order(self, clip_id: str, n: int) -> list[int]:
        rng = _rng(_ORDER, clip_id)
        order: list[int] = rng.permutation(n).tolist()
        while n > 1 and order == sorted(order):
            order = rng.permutation(n).tolist()
        return order


@dataclass(eq=False)
class Hiding:
    """Hides what a mask says, or, as the control, as many pixels elsewhere. It counts what it has hidden."""

    mask_of: MaskOf
    clip_ids: Sequence[str]
    control: bool = False
    n_hidden_px: int = 0
    n_px: int = 0
    """Of all frames seen."""
    n_touched: int = 0
    """Clips of which something was hidden."""

    def __call__(self, clips: Tensor, places: Sequence[int]) -> Tensor:
        """(B, T, 3, H, W) uint8."""
        changed = []
        for clip, place in zip(clips.numpy(), places, strict=True):
            mask = self.mask_of(clip, place)
            if self.control and mask.any():
                mask = elsewhere(mask, _rng(_ELSEWHERE, self.clip_ids[place]))
            n_hidden = int(mask.sum()) * (len(clip) // len(mask))
            self.n_hidden_px += n_hidden
            self.n_px += clip.size // 3
            self.n_touched += n_hidden > 0
            changed.append(hidden(clip, mask) if n_hidden else clip)
        return torch.from_numpy(np.stack(changed))

    @property
    def share(self) -> float:
        """Of all pixels, those hidden."""
        return self.n_hidden_px / max(1, self.n_px)


def _rng(purpose: int, clip_id: str) -> np.random.Generator:
    return np.random.default_rng((purpose, zlib.crc32(clip_id.encode())))
