"""Shop signs in the city's shape with marks in the city's script: strokes that look like writing and say nothing."""

from __future__ import annotations

import numpy as np

from .canvas import RGBA, Canvas, Colour
from .look import VideoLook
from .style import CityStyle

_INKS: tuple[Colour, ...] = ((250, 250, 245), (25, 25, 30), (200, 40, 40), (30, 60, 150), (245, 205, 50), (20, 110, 60))


def sign(style: CityStyle, look: VideoLook, draw: np.random.Generator, ppm: float) -> RGBA:
    """One sign as an RGBA texture; its shape and script are the city's, its colours are drawn."""
    board, ink = (_INKS[int(i)] for i in draw.permutation(len(_INKS))[:2])
    glow = 1.0 if look.lit > 0.2 else look.ambient
    board, ink = tuple(glow * v for v in board), tuple(glow * v for v in ink)
    match style.sign:
        case "blade":
            c = Canvas(0.9, 3.4, ppm)
            c.rect(0, 0, 0.9, 3.4, board)
            for i in range(4):
                glyph(c, style.glyph, draw, 0.15, 0.15 + 0.8 * i, 0.6, 0.65, ink)
        case "round":
            c = Canvas(1.5, 1.5, ppm)
            c.oval(0.75, 0.75, 0.75, 0.75, ink)
            c.oval(0.75, 0.75, 0.62, 0.62, board)
            glyph(c, style.glyph, draw, 0.4, 0.4, 0.7, 0.7, ink)
        case "cluster":
            c = Canvas(1.5, 4.2, ppm)
            for i in range(3):
                x = float(draw.uniform(0, 0.5))
                plate = tuple(glow * v for v in _INKS[int(draw.integers(len(_INKS)))])
                c.rect(x, 1.4 * i, x + 1.0, 1.4 * i + 1.2, plate)
                glyph(c, style.glyph, draw, x + 0.15, 1.4 * i + 0.2, 0.7, 0.8, ink)
        case "flag":
            c = Canvas(1.2, 2.4, ppm)
            c.rect(0, 2.3, 1.2, 2.4, (60, 60, 60))
            c.poly([(0.1, 2.3), (1.1, 2.3), (1.1, 0.5), (0.6, 0.0), (0.1, 0.5)], board)
            for i in range(2):
                glyph(c, style.glyph, draw, 0.3, 0.75 + 0.75 * i, 0.6, 0.6, ink)
        case "triangle":
            c = Canvas(1.7, 1.6, ppm)
            c.poly([(0, 0), (1.7, 0), (0.85, 1.6)], ink)
            c.poly([(0.2, 0.12), (1.5, 0.12), (0.85, 1.33)], board)
            glyph(c, style.glyph, draw, 0.6, 0.2, 0.5, 0.6, ink)
        case _:  # board: also painted flat over the shops
            c = Canvas(2.8, 0.9, ppm)
            c.rect(0, 0, 2.8, 0.9, board)
            for i in range(4):
                glyph(c, style.glyph, draw, 0.15 + 0.66 * i, 0.15, 0.5, 0.6, ink)
    return c.pixels


def glyph(
    c: Canvas, script: str, draw: np.random.Generator, x: float, y: float, w: float, h: float, ink: Colour
) -> None:
    """One mark of a script within the box (x, y, x+w, y+h), in metres of the canvas."""
    t = 0.13 * w
    mid = x + 0.5 * w
    match script:
        case "block":  # dense strokes in a square
            c.line(x, y + h, x + w, y + h, ink, t)
            c.line(mid, y, mid, y + h, ink, t)
            for level in draw.choice([0.0, 0.25, 0.5, 0.75], 2, replace=False):
                c.line(x, y + level * h, x + w, y + level * h, ink, t)
        case "stem":  # upright stems with one bowl or arm
            c.line(x + t, y, x + t, y + h, ink, t)
            if draw.random() < 0.5:
                c.oval(x + 0.5 * w, y + 0.7 * h, 0.35 * w, 0.28 * h, ink, width_m=t)
            else:
                c.line(x + t, y + h, x + w, y + h, ink, t)
                c.line(x + t, y, x + w, y, ink, t)
        case "dots":  # a low curve with dots above
            c.oval(mid, y + 0.45 * h, 0.5 * w, 0.35 * h, ink, (180, 360), t)
            for k in range(int(draw.integers(1, 4))):
                c.oval(x + (0.25 + 0.25 * k) * w, y + 0.85 * h, 0.7 * t, 0.7 * t, ink)
        case "topbar":  # hangs from a bar
            c.line(x - 0.15 * w, y + h, x + 1.15 * w, y + h, ink, t)
            c.line(x + 0.8 * w, y, x + 0.8 * w, y + h, ink, t)
            c.oval(x + 0.4 * w, y + float(draw.uniform(0.3, 0.6)) * h, 0.3 * w, 0.25 * h, ink, (0, 250), t)
        case "curve":  # loops
            c.oval(x + 0.3 * w, y + 0.3 * h, 0.25 * w, 0.25 * h, ink, width_m=t)
            c.oval(x + 0.65 * w, y + 0.55 * h, 0.3 * w, 0.4 * h, ink, (int(draw.integers(0, 90)), 270), t)
        case _:  # ring: circle over or beside a bar
            c.oval(x + 0.35 * w, y + 0.65 * h, 0.28 * w, 0.28 * h, ink, width_m=t)
            if draw.random() < 0.5:
                c.line(x, y + 0.15 * h, x + w, y + 0.15 * h, ink, t)
            else:
                c.line(x + 0.85 * w, y, x + 0.85 * w, y + h, ink, t)
