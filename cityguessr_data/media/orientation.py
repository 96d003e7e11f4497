"""Turns decoded pictures upright: phones store them as the sensor saw them, with a matrix that says how to show them.

PyAV hands out the matrix but does not apply it, so we do. Only quarter turns and mirrorings are applied: other angles
do not occur in files of cameras and sites.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..core.types import RGB

Orientation = tuple[int, int, int, int]
"""Signs (a, b, c, d) of the display matrix: a stored pixel (x, y) is shown at (a*x + c*y, b*x + d*y)."""

UPRIGHT: Orientation = (1, 0, 0, 1)


def orientation_of(frame: Any) -> Orientation:
    """The orientation of a decoded PyAV frame; UPRIGHT where it has no matrix, or one that is no quarter turn."""
    side = next((s for s in frame.side_data if s.type.name == "DISPLAYMATRIX"), None)
    if side is None or len(bytes(side)) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("<9i", bytes(side)[:36])
    signs = (_sign(a, b, c, d), _sign(b, a, c, d), _sign(c, a, b, d), _sign(d, a, b, c))
    straight = signs[0] != 0 and signs[3] != 0 and signs[1] == signs[2] == 0
    turned = signs[1] != 0 and signs[2] != 0 and signs[0] == signs[3] == 0
    return signs if straight or turned else UPRIGHT


def displayed_size(width: int, height: int, orientation: Orientation) -> tuple[int, int]:
    """Width and height as shown."""
    return (width, height) if orientation[0] else (height, width)


def upright(rgb: RGB, orientation: Orientation) -> RGB:
    """`rgb` (H, W, 3) as it is meant to be seen, contiguous; (W, H, 3) after a quarter turn."""
    a, b, c, d = orientation
    if orientation == UPRIGHT:
        return np.ascontiguousarray(rgb)
    if a == 0:
        rgb, flip_x, flip_y = rgb.transpose(1, 0, 2), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return np.ascontiguousarray(rgb[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _sign(value: int, *others: int) -> int:
    """-1, 0 or 1; 0 where `value` is small beside the largest of the matrix."""
    return 0 if abs(value) * 100 < max(map(abs, others)) or value == 0 else (1 if value > 0 else -1)
