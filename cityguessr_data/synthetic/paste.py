"""Pastes a picture with transparent parts into a frame at any size, cut at the frame's edges, with fog before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import RGBA

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB


def pyramid(texture: RGBA) -> tuple[RGBA, ...]:
    """A texture and its halves, quarters ... down to about 8 px, colours premultiplied with the opacity."""
    copies = [texture.copy()]
    copies[0][..., :3] = (texture[..., :3].astype(np.uint16) * texture[..., 3:] // 255).astype(np.uint8)
    while min(copies[-1].shape[:2]) > 8:
        height, width = copies[-1].shape[:2]
        half = cv2.resize(copies[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        copies.append(np.asarray(half, np.uint8))
    return tuple(copies)


def paste(
    frame: RGB,
    copies: tuple[RGBA, ...],
    box: tuple[float, float, float, float],
    fog: tuple[float, float, float],
    density: float,
) -> None:
    """Blend a picture into `frame` in place.

    Args:
        copies: what `pyramid` made.
        box: x0, y0, x1, y1 in px of the frame, reals; may reach outside.
        fog: its colour, 0-255.
        density: share of fog before the picture, 0-1.
    """
    x0, y0, x1, y1 = box
    left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
    right, bottom = min(frame.shape[1], int(np.ceil(x1))), min(frame.shape[0], int(np.ceil(y1)))
    if right <= left or bottom <= top or x1 - x0 < 0.5 or y1 - y0 < 0.5:
        return
    copy = next((c for c in reversed(copies) if c.shape[1] >= x1 - x0), copies[0])
    sx, sy = copy.shape[1] / (x1 - x0), copy.shape[0] / (y1 - y0)
    matrix = np.array([[sx, 0, (left + 0.5 - x0) * sx - 0.5], [0, sy, (top + 0.5 - y0) * sy - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(copy, matrix, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    # Colour and opacity are premultiplied, so fog is a linear map of the four channels.
    foggy = np.zeros((3, 5))
    foggy[:, :3] = np.eye(3) * (1 - density)
    foggy[:, 3] = density * np.array(fog) / 255
    behind = np.zeros((3, 5))
    behind[:, 3:] = (-1, 255)
    target = frame[top:bottom, left:right]
    rest = cv2.multiply(target, cv2.transform(seen, behind), scale=1 / 255)
    cv2.add(rest, cv2.transform(seen, foggy), dst=target)
