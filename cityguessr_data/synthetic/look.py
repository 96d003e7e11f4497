"""What differs from video to video in the synthetic world: light, weather, paint, camera and traffic.

All of it is drawn from the same distributions for every city: these are the nuisances a model must see through.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from .config import SyntheticConfig, rng

RGBf = tuple[float, float, float]
"""A colour, 0-255 each, red, green, blue."""


@dataclass(frozen=True)
class VideoLook:
    """Light, weather, paint, camera and traffic of one video."""

    time: str
    """day, overcast, dusk or night."""
    ambient: float
    """Factor on all surfaces."""
    sun: tuple[float, float]
    """Factors on the left and the right house fronts."""
    fog_per_m: float
    rain: bool
    sky_top: RGBf
    sky_low: RGBf
    fog: RGBf
    walls: tuple[RGBf, ...]
    """The paints of this video's houses."""
    leaves: RGBf
    road: RGBf
    paving: RGBf
    marking: RGBf
    lit: float
    """Share of windows with light in them."""
    tint: RGBf
    """Factors of the white balance, around 1."""
    gamma: float
    noise: float
    """Standard deviation of the sensor noise, 0-255."""
    camera_m: float
    """Height of the camera."""
    fov_deg: float
    """Horizontal field of view."""
    horizon: float
    """Row of the horizon as a part of the frame's height."""
    lateral_m: float
    """Offset of the camera within its lane."""
    sway: float
    """Hand shake as a part of the frame's width."""
    speed_mps: float
    traffic: float
    """Vehicles per 100 m and direction."""
    people: float
    """People per 100 m and side."""


def _paint(
    draw: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 1.0),
) -> RGBf:
    r, g, b = colorsys.hsv_to_rgb(draw.uniform(*hue), draw.uniform(*saturation), draw.uniform(*value))
    return (255 * r, 255 * g, 255 * b)


def video_look(config: SyntheticConfig, city: int, video: int) -> VideoLook:
    """The look of one video; independent of the city by construction (the city only changes the seed)."""
    draw = rng(config.seed, "look", city, video)
    time = str(draw.choice(["day", "overcast", "dusk", "night"], p=[0.4, 0.25, 0.2, 0.15]))
    ambient = {"day": 1.0, "overcast": 0.8, "dusk": 0.7, "night": 0.6}[time] * draw.uniform(0.85, 1.1)
    sky_low = {
        "day": _paint(draw, (0.02, 0.2), (0.85, 1.0)),
        "overcast": _paint(draw, (0.0, 0.1), (0.55, 0.85)),
        "dusk": _paint(draw, (0.3, 0.6), (0.5, 0.85)),
        "night": _paint(draw, (0.2, 0.6), (0.08, 0.25)),
    }[time]
    deep = draw.uniform(0.35, 0.95)
    sky_top = (sky_low[0] * deep * 0.8, sky_low[1] * deep, min(255.0, sky_low[2] * (0.5 + 0.6 * deep)))
    bright_side = draw.uniform(0.75, 1.0)
    sun = (1.0, bright_side) if draw.random() < 0.5 else (bright_side, 1.0)
    walls = tuple(_paint(draw, (0.0, 0.5), (0.35, 1.0)) for _ in range(24))
    return VideoLook(
        time=time,
        ambient=float(ambient),
        sun=sun,
        fog_per_m=float(draw.choice([0.001, 0.004, 0.011], p=[0.5, 0.3, 0.2]) * draw.uniform(0.7, 1.3)),
        rain=bool(draw.random() < 0.15),
        sky_top=sky_top,
        sky_low=sky_low,
        fog=(0.9 * sky_low[0], 0.9 * sky_low[1], 0.9 * sky_low[2]),
        walls=walls,
        leaves=_paint(draw, (0.15, 0.6), (0.25, 0.65), (0.02, 0.45)),
        road=_paint(draw, (0.0, 0.15), (0.25, 0.55)),
        paving=_paint(draw, (0.0, 0.3), (0.4, 0.8)),
        marking=(240.0, 240.0, 235.0) if draw.random() < 0.6 else (235.0, 190.0, 70.0),
        lit=float({"day": 0.0, "overcast": 0.05, "dusk": 0.35, "night": 0.6}[time]),
        tint=(float(draw.uniform(0.8, 1.15)), float(draw.uniform(0.9, 1.08)), float(draw.uniform(0.78, 1.18))),
        gamma=float(draw.uniform(0.75, 0.95 if time == "night" else 1.1)),
        noise=float(draw.uniform(0.5, 3.0)),
        camera_m=float(draw.uniform(1.6, 2.1)),
        fov_deg=float(draw.uniform(64.0, 72.0)),
        horizon=float(draw.uniform(0.61, 0.66)),
        lateral_m=float(draw.uniform(-0.6, 0.6)),
        sway=float(draw.uniform(0.0, 0.006)),
        speed_mps=float(draw.uniform(8.0, 15.0)),
        traffic=float(draw.uniform(0.5, 3.0)),
        people=float(draw.uniform(0.5, 5.0)),
    )
