"""A perceptual hash of a frame: near-copies differ in few bits, so duplicates are found without comparing pictures.

The classic DCT hash: 32 x 32 grey, the 8 x 8 lowest frequencies, one bit each for being above their median. Bit order
and scaling are those of the `imagehash` package, so hashes can be compared with other data sets' to a few bits (the
resize filter differs: area here).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

_SIDE_PX = 32
_LOW = 8


def phash(rgb: RGB) -> int:
    """Hash of a frame as a signed 64-bit integer, the type of the frames table's `phash` column.

    Args:
        rgb: uint8 (H, W, 3), red, green, blue.
    Raises:
        ValueError: not such a frame.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected a uint8 frame (H, W, 3), got {rgb.dtype} {rgb.shape}")
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    while min(grey.shape) >= 8 * _SIDE_PX and not any(side % 2 for side in grey.shape):
        # Halving first: an area of areas is the area, and the resize to uneven cells is slow on a large picture
        grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW].astype(np.float64)
    # cv2's DCT is orthonormal; the classic one is not, and its first row and column weigh sqrt(2) more.
    low[0, :] *= math.sqrt(2.0)
    low[:, 0] *= math.sqrt(2.0)
    # Some builds of cv2 may give 1e-6 where 0 is meant; rounded, a flat frame has one hash on all machines.
    low = low.round(2)
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


def distance(a: int, b: int) -> int:
    """In how many of the 64 bits two hashes differ."""
    return ((a ^ b) & (2**64 - 1)).bit_count()
