"""A small drawing board in metres, y upwards from the bottom left: all textures are drawn with it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

RGBA = npt.NDArray[np.uint8]
"""uint8, shape (H, W, 4): red, green, blue, opacity."""
Colour = Sequence[float] | npt.NDArray[np.float64]


class Canvas:
    """A transparent texture of `width_m` x `height_m` metres at `ppm` px a metre."""

    def __init__(self, width_m: float, height_m: float, ppm: float) -> None:
        self.width_m, self.height_m, self.ppm = width_m, height_m, ppm
        self.pixels: RGBA = np.zeros((max(2, round(height_m * ppm)), max(2, round(width_m * ppm)), 4), dtype=np.uint8)

    def _xy(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.ppm), self.pixels.shape[0] - round(y * self.ppm)

    @staticmethod
    def _rgba(colour: Colour) -> tuple[float, float, float, float]:
        r, g, b = (float(min(255.0, max(0.0, c))) for c in colour[:3])
        return (r, g, b, 255.0)

    def _thick(self, width_m: float) -> int:
        return max(1, round(width_m * self.ppm))

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle, at least one px wide and high."""
        left, top = self._xy(x0, y1)
        right, bottom = self._xy(x1, y0)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        self.pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = self._rgba(colour)

    def clear(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Make a rectangle transparent."""
        left, top = self._xy(x0, y1)
        right, bottom = self._xy(x1, y0)
        self.pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 0

    def poly(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.pixels, [np.array([self._xy(*p) for p in points], np.int32)], self._rgba(colour))

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, width_m: float = 0.08) -> None:
        """A straight line."""
        cv2.line(self.pixels, self._xy(x0, y0), self._xy(x1, y1), self._rgba(colour), self._thick(width_m))

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        arc: tuple[int, int] = (0, 360),
        width_m: float = 0,
    ) -> None:
        """An ellipse around (x, y); `arc` in degrees, 0 to the right, 90 upwards; filled where `width_m` is 0."""
        axes = max(1, round(rx * self.ppm)), max(1, round(ry * self.ppm))
        thickness = self._thick(width_m) if width_m else -1
        cv2.ellipse(self.pixels, self._xy(x, y), axes, 0, -arc[1], -arc[0], self._rgba(colour), thickness)

    def paste(self, x: float, y: float, texture: RGBA) -> None:
        """Put a texture with its bottom left corner at (x, y), opaque px over what is there; cut at the edges."""
        left, bottom = self._xy(x, y)
        top = bottom - texture.shape[0]
        cut_top, cut_left = max(0, -top), max(0, -left)
        target = self.pixels[max(0, top) : max(0, bottom), max(0, left) : left + texture.shape[1]]
        piece = texture[cut_top : cut_top + target.shape[0], cut_left : cut_left + target.shape[1]]
        target = target[: piece.shape[0], : piece.shape[1]]
        cv2.copyTo(np.ascontiguousarray(piece), np.ascontiguousarray(piece[..., 3]), target)


def shade(colour: Colour, factor: float) -> tuple[float, float, float]:
    """A colour made darker (factor under 1) or lighter, 0-255."""
    r, g, b = (min(255.0, max(0.0, c * factor)) for c in colour[:3])
    return (r, g, b)
