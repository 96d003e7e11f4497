"""The sky with clouds, and the city's outline on the horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .look import RGBf, VideoLook
from .style import CityStyle

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB


def sky(style: CityStyle, look: VideoLook, draw: np.random.Generator, width: int, height: int, horizon: float) -> RGB:
    """A backdrop, uint8 RGB, shape (height, width, 3): fading upwards, below the horizon all fog."""
    up = np.clip((horizon - np.arange(height)) / max(1.0, horizon), 0, 1)[:, None, None]
    picture = (1 - up) * np.array(look.sky_low) + up * np.array(look.sky_top)
    clouds = cv2.resize(draw.normal(0, 1, (6, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.asarray(np.clip(picture * (1 + 0.06 * clouds[..., None]), 0, 255), np.uint8)
    fade = min(0.9, 0.35 + 40 * look.fog_per_m)
    r, g, b = ((1 - fade) * 90 * look.ambient + fade * c for c in look.fog)
    _outline(picture, style.skyline, draw, horizon, (r, g, b))
    picture[int(horizon) :] = np.array(look.fog, np.uint8)
    return picture


def _outline(picture: RGB, kind: str, draw: np.random.Generator, horizon: float, colour: RGBf) -> None:
    width = picture.shape[1]
    unit = 0.03 * width
    base = round(horizon)

    def poly(points: list[tuple[float, float]]) -> None:
        cv2.fillPoly(picture, [np.round(points).astype(np.int32)], colour)

    def block(x: float, w: float, h: float) -> None:
        poly([(x, base), (x, base - h), (x + w, base - h), (x + w, base)])

    across = np.arange(0, width, 1.6 * unit)
    if kind == "hills":
        x = np.linspace(0, width, 40)
        y = base - unit * (2.2 + 1.4 * np.sin(x / width * 9 + draw.uniform(0, 6)))
        poly([(0, base), *zip(x, y, strict=True), (width, base)])
    for x in across:
        tall = float(draw.uniform(0.5, 1.0))
        match kind:
            case "peaks":
                poly([(x - 2 * unit, base), (x, base - 5 * unit * tall), (x + 2 * unit, base)])
            case "towers":
                block(x, 1.1 * unit, 6 * unit * tall)
            case "dome":
                block(x, 1.4 * unit, 1.4 * unit)
                cv2.circle(
                    picture, (round(x + 0.7 * unit), round(base - 1.4 * unit)), round(0.8 * unit * tall), colour, -1
                )
            case "spires":
                block(x, 0.9 * unit, 1.8 * unit)
                poly(
                    [
                        (x, base - 1.8 * unit),
                        (x + 0.45 * unit, base - 6 * unit * tall),
                        (x + 0.9 * unit, base - 1.8 * unit),
                    ]
                )
            case "chimneys":
                block(x, 1.5 * unit, 1.2 * unit)
                block(x + 0.5 * unit, 0.3 * unit, 5 * unit * tall)
