"""Whole house fronts: storeys, a ground floor and a roof line in the city's style, painted by the video's look."""

from __future__ import annotations

import numpy as np

from .canvas import RGBA, Canvas, Colour, shade
from .look import VideoLook
from .style import CityStyle
from .windows import bay

LAMPLIGHT = (255.0, 214.0, 130.0)


def facade(
    style: CityStyle, look: VideoLook, draw: np.random.Generator, width_m: float, storeys: int, light: float, ppm: float
) -> tuple[RGBA, RGBA]:
    """A house front and the plain wall of its side.

    Args:
        light: factor of the sun on this side of the street.

    Returns:
        Two RGBA textures at `ppm`: the front with its roof (`width_m` wide), and the side wall up to the eaves.
    """
    paint = look.walls[int(draw.integers(len(look.walls)))]
    wall = shade(paint, look.ambient * light * draw.uniform(0.85, 1.1))
    glass = shade((70, 85, 105), look.ambient * draw.uniform(0.6, 1.3))
    ground_m = 1.15 * style.storey_m
    eaves_m = ground_m + (storeys - 1) * style.storey_m
    roof_m = _ROOF_M.get(style.roof, 0.0) * min(width_m, 12.0)
    c = Canvas(width_m, eaves_m + roof_m, ppm)
    n_bays = max(1, round(width_m / style.bay_m))
    bay_m = width_m / n_bays
    tiles = [[bay(style, bay_m, wall, g, ppm, odd).pixels for g in (glass, LAMPLIGHT)] for odd in (False, True)]
    for storey in range(storeys - 1):
        for i in range(n_bays):
            lit = int(draw.random() < look.lit)
            c.paste(i * bay_m, ground_m + storey * style.storey_m, tiles[(i + storey) % 2][lit])
    _ground_floor(c, style, look, wall, glass, ground_m)
    _roof(c, style, wall, eaves_m, roof_m)
    c.rect(0, 0, 0.12, eaves_m, shade(wall, 0.6))
    side = Canvas(8.0, eaves_m, ppm)
    side.rect(0, 0, 8.0, eaves_m, shade(wall, 0.62))
    for storey in range(storeys):
        for i in range(2):
            x, y = 1.6 + 3.2 * i, 1.0 + storey * style.storey_m
            side.rect(x, y, x + 1.2, y + 0.45 * style.storey_m, shade(glass, 0.7))
    return c.pixels, side.pixels


def _ground_floor(c: Canvas, style: CityStyle, look: VideoLook, wall: Colour, glass: Colour, h: float) -> None:
    w = c.width_m
    dark = shade(wall, 0.22)
    shop = LAMPLIGHT if look.lit > 0.1 else shade(glass, 0.9)
    c.rect(0, 0, w, h, shade(wall, 0.85))
    n = max(1, round(w / 3.6))
    unit = w / n
    for i in range(n):
        x = i * unit
        mid = x + 0.5 * unit
        match style.ground_floor:
            case "arcade":
                r = 0.38 * unit
                spring = h - r - 0.25
                c.rect(mid - r, 0, mid + r, spring, dark)
                c.oval(mid, spring, r, r, dark, (0, 180))
                c.oval(mid, spring, r + 0.12, r + 0.12, shade(wall, 1.3), (0, 180), 0.14)
            case "awning":
                c.rect(x + 0.2, 0.5, x + unit - 0.2, 0.62 * h, shop)
                for k in range(8):
                    left = x + k * unit / 8
                    stripe = shade(wall, 1.45) if k % 2 else shade(wall, 0.4)
                    c.poly(
                        [(left, 0.58 * h), (left + unit / 8, 0.58 * h), (left + unit / 8, 0.8 * h), (left, 0.8 * h)],
                        stripe,
                    )
                    c.oval(left + unit / 16, 0.58 * h, unit / 16, 0.2, stripe)
            case "shutter":
                c.rect(x + 0.25, 0, x + unit - 0.25, 0.72 * h, shade(wall, 0.6))
                for k in range(1, 9):
                    c.line(x + 0.25, k * 0.08 * h, x + unit - 0.25, k * 0.08 * h, shade(wall, 0.38), 0.06)
                c.rect(x + 0.25, 0.72 * h, x + unit - 0.25, 0.78 * h, dark)
            case "stoop":
                for k in range(4):
                    c.rect(
                        x + 0.1 + 0.15 * k, 0, x + 0.5 * unit - 0.15 * k, 0.3 * (k + 1), shade(wall, 1.25 - 0.12 * k)
                    )
                c.rect(x + 0.18 * unit, 1.2, x + 0.42 * unit, 0.85 * h, dark)
                c.rect(x + 0.6 * unit, 0.3 * h, x + 0.9 * unit, 0.8 * h, glass)
            case "column":
                c.rect(x, 0, x + unit, 0.82 * h, dark)
                for k in range(2):
                    left = x + (0.12 + 0.5 * k) * unit
                    c.rect(left, 0, left + 0.16 * unit, 0.8 * h, shade(wall, 1.35))
                    c.rect(left - 0.12, 0.76 * h, left + 0.16 * unit + 0.12, 0.84 * h, shade(wall, 1.45))
            case "garage":
                c.rect(x + 0.3, 0, x + 0.7 * unit, 0.6 * h, shade(wall, 0.45))
                for k in range(1, 4):
                    c.line(x + 0.3, k * 0.15 * h, x + 0.7 * unit, k * 0.15 * h, shade(wall, 0.8), 0.08)
                c.rect(x + 0.78 * unit, 0, x + 0.95 * unit, 0.55 * h, dark)
            case _:  # glass
                c.rect(x + 0.08, 0.15, x + unit - 0.08, 0.86 * h, shop)
                c.line(mid, 0.15, mid, 0.86 * h, shade(wall, 1.2), 0.08)
                c.line(x, 0.6 * h, x + unit, 0.6 * h, shade(wall, 1.2), 0.08)
    c.rect(0, h - 0.22, w, h, shade(wall, 1.25))
    c.rect(0, h - 0.3, w, h - 0.22, shade(wall, 0.5))


_ROOF_M = {
    "gable": 0.55,
    "mansard": 0.3,
    "dome": 0.5,
    "crenel": 0.09,
    "pagoda": 0.32,
    "sawtooth": 0.22,
    "stepped": 0.5,
    "tank": 0.25,
    "hip": 0.28,
    "flat": 0.05,
}
"""Height of a roof as a part of the house's width."""


def _roof(c: Canvas, style: CityStyle, wall: Colour, y: float, r: float) -> None:
    w, tile, light = c.width_m, shade(wall, 0.5), shade(wall, 1.3)
    match style.roof:
        case "gable":
            c.poly([(0, y), (0.5 * w, y + r), (w, y)], wall)
            c.line(0, y, 0.5 * w, y + r, tile, 0.4)
            c.line(0.5 * w, y + r, w, y, tile, 0.4)
            c.oval(0.5 * w, y + 0.35 * r, 0.1 * r, 0.12 * r, shade(wall, 0.25))
        case "stepped":
            for k in range(5):
                c.rect(0.1 * k * w, y + 0.2 * k * r, w - 0.1 * k * w, y + 0.2 * (k + 1) * r, wall)
                c.rect(0.1 * k * w, y + 0.2 * (k + 1) * r - 0.15, w - 0.1 * k * w, y + 0.2 * (k + 1) * r, light)
        case "mansard":
            c.poly([(0, y), (0.06 * w, y + r), (0.94 * w, y + r), (w, y)], tile)
            n = max(1, round(w / 3.5))
            for k in range(n):
                x = (k + 0.5) * w / n
                c.rect(x - 0.55, y + 0.1 * r, x + 0.55, y + 0.7 * r, light)
                c.rect(x - 0.35, y + 0.15 * r, x + 0.35, y + 0.6 * r, shade(wall, 0.2))
        case "dome":
            c.rect(0.15 * w, y, 0.85 * w, y + 0.15 * r, light)
            c.oval(0.5 * w, y + 0.15 * r, 0.33 * w, 0.65 * r, tile, (0, 180))
            c.line(0.5 * w, y + 0.8 * r, 0.5 * w, y + r, light, 0.2)
        case "crenel":
            n = max(2, round(w / 1.6))
            for k in range(n):
                c.rect(k * w / n, y, (k + 0.5) * w / n, y + r, wall)
        case "pagoda":
            c.poly(
                [
                    (0, y + 0.25 * r),
                    (0.12 * w, y),
                    (0.88 * w, y),
                    (w, y + 0.25 * r),
                    (0.72 * w, y + r),
                    (0.28 * w, y + r),
                ],
                tile,
            )
            c.line(0, y + 0.25 * r, 0.12 * w, y, light, 0.2)
            c.line(0.88 * w, y, w, y + 0.25 * r, light, 0.2)
            c.line(0.24 * w, y + r, 0.76 * w, y + r, light, 0.3)
        case "sawtooth":
            n = max(2, round(w / 3.0))
            for k in range(n):
                c.poly([(k * w / n, y), (k * w / n, y + r), ((k + 1) * w / n, y)], tile)
        case "tank":
            c.rect(0, y, w, y + 0.2 * r, light)
            c.rect(0.2 * w, y + 0.4 * r, 0.5 * w, y + r, tile)
            for x in (0.23, 0.35, 0.47):
                c.line(x * w, y + 0.2 * r, x * w, y + 0.4 * r, tile, 0.15)
        case "hip":
            c.poly([(0, y), (0.25 * w, y + r), (0.75 * w, y + r), (w, y)], tile)
            c.rect(0.6 * w, y + 0.5 * r, 0.68 * w, y + r, shade(wall, 0.8))
        case _:  # flat
            c.rect(0, y, w, y + r, light)
