"""Readable text: where a text detector finds writing in the very pixels that the model sees.

Letters too small to be found at that size are too small to be read by the model, so they are left. The mask of a clip
is needed twice, by the row and by its control, and finding it is the slowest part of the audit: it is kept, packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .masks import Clip, Mask

FindText = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.bool_]]
"""uint8 frames (B, H, W, 3), red, green, blue -> bool (B, H, W); vision.text_detector.TextDetector is one."""


@dataclass(frozen=True, eq=False)
class TextMasks:
    """The writing of every clip."""

    find: FindText
    _kept: dict[int, bytes] = field(default_factory=dict)

    def __call__(self, clip: Clip, place: int) -> Mask:
        """(T, H, W) of the clip at `place`; the same frames of it must be given every time."""
        n, _, height, width = clip.shape
        if place not in self._kept:
            found = self.find(np.ascontiguousarray(clip.transpose(0, 2, 3, 1)))
            self._kept[place] = zlib.compress(np.packbits(found).tobytes(), 1)
            return found
        bits = np.frombuffer(zlib.decompress(self._kept[place]), np.uint8)
        return np.unpackbits(bits, count=n * height * width).reshape(n, height, width).astype(bool)
