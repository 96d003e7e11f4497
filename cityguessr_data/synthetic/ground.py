"""The ground as one long texture: carriageway, lane markings, crossings, kerbs, pavements, and what lies beyond."""

from __future__ import annotations

import numpy as np

from .canvas import RGBA, Canvas, shade
from .look import VideoLook
from .route import Route, Stretch
from .style import CityStyle
from .walls import SIDE_STREET_M

HALF_GROUND_M = 26.0
"""The texture covers this far to the left and the right of the road's middle."""


def pavement_m(style: CityStyle) -> float:
    """Width of one pavement."""
    return 0.28 * style.half_width_m


def ground_texture(
    style: CityStyle,
    look: VideoLook,
    route: Route,
    side_streets_m: tuple[tuple[float, ...], tuple[float, ...]],
    draw: np.random.Generator,
    ppm: float,
) -> RGBA:
    """RGBA texture: columns along the route from 0 m, rows from HALF_GROUND_M on the right to as much on the left.

    A canvas's y is `HALF_GROUND_M - X`, where X is the position to the right of the road's middle.
    """
    c = Canvas(route.length_m, 2 * HALF_GROUND_M, ppm)
    for stretch in route.stretches:
        _stretch(c, style, look, stretch)
    for side, starts in zip((-1, 1), side_streets_m, strict=True):
        for start in starts:
            _side_street(c, style, look, route, side, start)
    grain = draw.integers(-7, 8, c.pixels.shape[:2], dtype=np.int16)[..., None]
    c.pixels[..., :3] = np.clip(c.pixels[..., :3].astype(np.int16) + grain, 0, 255)
    return c.pixels


def _band(c: Canvas, x0: float, x1: float, right0: float, right1: float, colour: tuple[float, float, float]) -> None:
    """A rectangle between two positions to the right of the middle, along the route from x0 to x1."""
    c.rect(x0, HALF_GROUND_M - right1, x1, HALF_GROUND_M - right0, colour)


def _stretch(c: Canvas, style: CityStyle, look: VideoLook, s: Stretch) -> None:
    asphalt, stone = shade(look.road, look.ambient), shade(look.paving, look.ambient)
    half, kerb_at = style.half_width_m, style.half_width_m - pavement_m(style)
    beyond = {"park": shade(look.leaves, 1.1 * look.ambient), "bridge": shade(look.sky_low, 0.55)}.get(
        s.scene, shade(stone, 0.8)
    )
    a, b = s.start_m, s.end_m
    _band(c, a, b, -HALF_GROUND_M, HALF_GROUND_M, beyond)
    if s.scene == "highway":
        _band(c, a, b, -half, half, asphalt)
        for lane in (-0.5, 0.5):
            _dashes(c, a, b, lane * half, 0.15, 3.0, 9.0, shade(look.marking, look.ambient))
        _band(c, a, b, -0.3, 0.3, shade(stone, 0.7))
        for edge in (-0.93, 0.93):
            _band(c, a, b, edge * half - 0.1, edge * half + 0.1, shade(look.marking, look.ambient))
        return
    _band(c, a, b, -half, half, stone)
    for side in (-1, 1):
        _paving(c, style, a, b, side, half, kerb_at, stone)
    if s.scene == "market":  # paved from house to house
        for z in np.arange(a, b, 2.0):
            _band(c, float(z), float(z) + 0.12, -half, half, shade(stone, 0.75))
        return
    _band(c, a, b, -kerb_at, kerb_at, asphalt)
    _markings(c, style, a, b, kerb_at, shade(look.marking, look.ambient))
    for side in (-1, 1):
        _kerb(c, style, a, b, side * kerb_at, stone)


def _dashes(
    c: Canvas,
    a: float,
    b: float,
    right: float,
    width: float,
    dash: float,
    period: float,
    colour: tuple[float, float, float],
) -> None:
    for z in np.arange(a, b, period):
        _band(c, float(z), float(z) + dash, right - width / 2, right + width / 2, colour)


def _markings(
    c: Canvas, style: CityStyle, a: float, b: float, kerb_at: float, paint: tuple[float, float, float]
) -> None:
    match style.centre_line:
        case "dash":
            _dashes(c, a, b, 0, 0.18, 3.0, 8.0, paint)
        case "short":
            _dashes(c, a, b, 0, 0.3, 1.0, 2.0, paint)
        case "double":
            _band(c, a, b, -0.3, -0.13, paint)
            _band(c, a, b, 0.13, 0.3, paint)
        case "solid":
            _band(c, a, b, -0.12, 0.12, paint)
        case "arrow":
            for z in np.arange(a, b, 10.0):
                for side in (-0.5, 0.5):
                    x, y = float(z), HALF_GROUND_M - side * kerb_at
                    ahead = 1 if (side > 0) != style.left_hand else -1
                    c.line(x, y, x + 3 * ahead, y, paint, 0.2)
                    c.poly([(x + 3 * ahead, y - 0.6), (x + 3 * ahead, y + 0.6), (x + 5 * ahead, y)], paint)
    if style.edge_line:
        for side in (-1, 1):
            right = side * (kerb_at - 0.5)
            _band(c, a, b, right - 0.08, right + 0.08, paint)


def _kerb(c: Canvas, style: CityStyle, a: float, b: float, right: float, stone: tuple[float, float, float]) -> None:
    _band(c, a, b, right - 0.16, right + 0.16, shade(stone, 1.35))
    if style.kerb == "striped":
        _dashes(c, a, b, right, 0.4, 1.0, 2.0, shade(stone, 0.25))
    elif style.kerb == "bollard":
        _dashes(c, a, b, right * 1.06, 0.5, 0.4, 2.5, shade(stone, 0.3))
    elif style.kerb == "high":
        _band(c, a, b, right - 0.4, right + 0.1, shade(stone, 0.55))


def _paving(
    c: Canvas,
    style: CityStyle,
    a: float,
    b: float,
    side: int,
    half: float,
    kerb_at: float,
    stone: tuple[float, float, float],
) -> None:
    near, far = sorted((side * kerb_at, side * half))
    dark = shade(stone, 0.62)
    if style.paving == "tile":
        for z in np.arange(a, b, 1.0):
            _band(c, float(z), float(z) + 0.08, near, far, dark)
        _band(c, a, b, (near + far) / 2 - 0.05, (near + far) / 2 + 0.05, dark)
    elif style.paving == "stripe":
        for z in np.arange(a, b, 2.4):
            _band(c, float(z), float(z) + 1.2, near, far, dark)
    elif style.paving in ("wave", "chevron"):
        bow = 0.5 * (far - near)
        for z in np.arange(a, b, 2.0):
            middle = HALF_GROUND_M - (near + far) / 2
            if style.paving == "wave":
                c.oval(float(z), middle, 0.9, bow, dark, (0, 180), 0.45)
            else:
                c.line(float(z), middle - bow, float(z) + 1.0, middle, dark, 0.35)
                c.line(float(z) + 1.0, middle, float(z), middle + bow, dark, 0.35)


def _side_street(c: Canvas, style: CityStyle, look: VideoLook, route: Route, side: int, start: float) -> None:
    """Asphalt into a side street, and a crossing of the main road before it."""
    kerb_at = style.half_width_m - pavement_m(style)
    near, far = sorted((side * kerb_at, side * HALF_GROUND_M))
    _band(c, start, start + SIDE_STREET_M, near, far, shade(look.road, look.ambient))
    if route.scene_at(start) != "street":
        return
    paint = shade(look.marking, look.ambient)
    a, b = start - 4.0, start - 1.0
    if style.crossing in ("zebra", "ladder"):
        for right in np.arange(-kerb_at + 0.4, kerb_at - 0.4, 1.1):
            _band(c, a, b, float(right), float(right) + 0.55, paint)
    if style.crossing in ("lines", "ladder"):
        for z in (a - 0.2, b):
            _band(c, z, z + 0.25, -kerb_at, kerb_at, paint)
    if style.crossing == "dots":
        for z in (a, b - 0.4):
            for right in np.arange(-kerb_at + 0.3, kerb_at - 0.3, 0.9):
                _band(c, z, z + 0.45, float(right), float(right) + 0.45, paint)
