"""Things on the road, as flat textures that face the camera: lamps, trees, people, vehicles, what hangs across."""

from __future__ import annotations

import numpy as np

from .canvas import RGBA, Canvas, Colour, shade
from .look import VideoLook
from .style import CityStyle

_LIGHT = (255.0, 235.0, 180.0)


def lamp(style: CityStyle, look: VideoLook, ppm: float) -> RGBA:
    """A street lamp in the city's form, 4 m wide, its arm to the right (towards the road on the left-hand side)."""
    c = Canvas(4.0, 9.0, ppm)
    metal = shade((85, 85, 90), look.ambient)
    head = _LIGHT if look.lit > 0.2 else shade((215, 215, 215), look.ambient)
    match style.lamp:
        case "arm":
            c.line(2, 0, 2, 7.6, metal, 0.16)
            c.line(2, 7.5, 3.7, 8.0, metal, 0.12)
            c.rect(3.2, 7.85, 4.0, 8.1, head)
        case "double":
            c.line(2, 0, 2, 7.8, metal, 0.16)
            c.line(0.4, 7.8, 3.6, 7.8, metal, 0.12)
            c.rect(0.2, 7.5, 0.9, 7.8, head)
            c.rect(3.1, 7.5, 3.8, 7.8, head)
        case "globe":
            c.line(2, 0, 2, 3.6, metal, 0.18)
            for x, y in ((2.0, 4.3), (1.35, 3.7), (2.65, 3.7)):
                c.oval(x, y, 0.36, 0.36, head)
        case "lantern":
            c.line(2, 0, 2, 4.0, metal, 0.22)
            c.rect(1.7, 0, 2.3, 0.7, metal)
            c.poly([(1.75, 4.0), (2.25, 4.0), (2.45, 4.9), (1.55, 4.9)], head)
            c.poly([(1.45, 4.9), (2.55, 4.9), (2.0, 5.4)], metal)
        case "utility":
            wood = shade((95, 75, 55), look.ambient)
            c.line(2, 0, 2, 8.8, wood, 0.26)
            for y in (7.4, 8.3):
                c.line(0.6, y, 3.4, y, wood, 0.16)
                for x in (0.7, 1.4, 2.6, 3.3):
                    c.line(x, y, x, y + 0.35, wood, 0.12)
            c.rect(2.15, 5.6, 2.8, 6.6, shade(wood, 1.3))
        case "tall":
            c.line(2, 0, 2, 8.7, metal, 0.2)
            c.rect(1.2, 8.6, 2.8, 9.0, head)
        case _:  # bow
            c.line(2, 0, 2, 6.0, metal, 0.16)
            c.oval(2.8, 6.0, 0.8, 1.4, metal, (0, 180), 0.14)
            c.oval(3.6, 5.8, 0.3, 0.35, head)
    return c.pixels


def tree(style: CityStyle, look: VideoLook, draw: np.random.Generator, ppm: float) -> RGBA:
    """A street tree of the city's kind, 6 m wide."""
    c = Canvas(6.0, 9.0, ppm)
    green, bark = shade(look.leaves, look.ambient), shade((90, 70, 55), look.ambient)
    tones = (0.55, 0.75, 0.95, 1.2)
    match style.tree:
        case "palm":
            c.line(3, 0, 3.2, 6.6, bark, 0.26)
            for angle in np.linspace(-0.4, np.pi + 0.4, 9):
                dx, dy = 2.5 * np.cos(angle), 1.6 * np.sin(angle)
                tip = (3.2 + dx, 6.6 + dy - 0.7)
                c.poly(
                    [(3.2, 6.4), (3.2 + 0.5 * dx, 7.0 + dy), tip, (3.2 + 0.5 * dx, 6.7 + 0.9 * dy)], shade(green, 0.8)
                )
        case "conifer":
            c.rect(2.8, 0, 3.2, 1.5, bark)
            for k in range(4):
                y, r = 1.0 + 1.7 * k, 2.2 - 0.45 * k
                c.poly([(3 - r, y), (3 + r, y), (3, y + 2.6)], shade(green, tones[k]))
        case "poplar":
            c.rect(2.85, 0, 3.15, 1.5, bark)
            c.oval(3, 5.0, 0.95, 3.9, shade(green, 0.7))
            c.oval(2.8, 5.2, 0.55, 3.3, shade(green, 1.0))
        case "umbrella":
            c.line(3, 0, 3, 5.6, bark, 0.25)
            c.line(3, 4.2, 1.4, 6.0, bark, 0.15)
            c.line(3, 4.2, 4.6, 6.0, bark, 0.15)
            c.oval(3, 6.2, 2.9, 0.9, shade(green, 0.7))
            c.oval(3, 6.5, 2.3, 0.6, green)
        case "bare":
            c.line(3, 0, 3, 3.6, bark, 0.3)
            for angle in np.linspace(0.5, np.pi - 0.5, 6):
                x, y = 3 + 2.2 * np.cos(angle), 3.4 + 3.6 * np.sin(angle)
                c.line(3, 3.2, x, y, bark, 0.12)
                c.line(3 + 0.6 * (x - 3), 3.2 + 0.6 * (y - 3.2), x + 0.8 * np.cos(angle + 1), y - 0.2, bark, 0.08)
        case _:  # round
            c.rect(2.8, 0, 3.2, 3.2, bark)
            for k in range(14):
                dx, dy = draw.uniform(-1.4, 1.4, 2)
                c.oval(3 + dx, 5 + dy, 1.2, 1.1, shade(green, tones[k // 4]))
    return c.pixels


def person(draw: np.random.Generator, look: VideoLook, ppm: float) -> tuple[RGBA, RGBA]:
    """One person in two phases of a step, 1 m wide, 1.8 m high."""
    coat, legs, skin = (shade(draw.uniform(30, 220, 3), look.ambient) for _ in range(3))
    skin = shade((205, 160, 130), look.ambient * draw.uniform(0.4, 1.1))
    steps = []
    for stride in (0.06, 0.2):
        c = Canvas(1.0, 1.8, ppm)
        for side in (-1, 1):
            c.line(0.5 + 0.04 * side, 0.85, 0.5 + stride * side, 0.0, legs, 0.15)
            c.line(0.5 + 0.2 * side, 1.4, 0.5 + (0.2 + 0.5 * stride) * side, 0.85, shade(coat, 0.8), 0.1)
        c.poly([(0.28, 1.45), (0.72, 1.45), (0.66, 0.8), (0.34, 0.8)], coat)
        c.oval(0.5, 1.63, 0.12, 0.16, skin)
        c.oval(0.5, 1.7, 0.13, 0.1, shade(legs, 0.5), (0, 180))
        steps.append(c.pixels)
    return steps[0], steps[1]


VEHICLE_M: dict[str, tuple[float, float, float]] = {
    "car": (1.8, 1.45, 4.2),
    "van": (1.9, 2.2, 4.8),
    "tuktuk": (1.3, 1.75, 2.6),
    "bike": (0.7, 1.65, 1.9),
    "bus": (2.5, 4.2, 10.0),
    "tram": (2.4, 3.3, 14.0),
}
"""Width, height and length of each kind of vehicle."""


def vehicle(kind: str, paint: Colour, look: VideoLook, front: bool, ppm: float) -> RGBA:
    """The front or the back of a vehicle."""
    w, h, _ = VEHICLE_M[kind]
    c = Canvas(w, h, ppm)
    body, glass = shade(paint, look.ambient), shade((40, 50, 60), look.ambient)
    lamp_colour = (255, 250, 220) if front else (220, 40, 30)
    if kind == "bike":
        c.rect(0.28, 0, 0.42, 0.7, (25, 25, 25))
        c.line(0.1, 0.95, 0.6, 0.95, (60, 60, 60), 0.08)
        c.oval(0.35, 1.1, 0.22, 0.35, body)
        c.oval(0.35, 1.5, 0.14, 0.16, shade(body, 0.5))
        c.oval(0.35, 0.8, 0.08, 0.08, lamp_colour)
        return c.pixels
    for x in (0.06 * w, 0.76 * w):
        c.rect(x, 0, x + 0.18 * w, 0.3, (20, 20, 20))
    shoulder = 0.55 * h if kind == "car" else 0.42 * h
    c.rect(0, 0.2, w, shoulder, body)
    inset = 0.14 * w if kind in ("car", "tuktuk") else 0.03 * w
    c.poly([(0.02 * w, shoulder), (inset, h), (w - inset, h), (0.98 * w, shoulder)], shade(body, 1.1))
    top = 0.9 * h
    c.poly(
        [(0.1 * w, shoulder + 0.04), (inset + 0.05 * w, top), (w - inset - 0.05 * w, top), (0.9 * w, shoulder + 0.04)],
        glass,
    )
    if kind in ("bus", "tram"):
        c.rect(0.04 * w, 0.6 * h, 0.96 * w, 0.68 * h, shade(body, 0.8))
    for x in (0.04 * w, 0.78 * w):
        c.rect(x, 0.3 * shoulder + 0.15, x + 0.18 * w, 0.3 * shoulder + 0.35, lamp_colour)
    c.rect(0.36 * w, 0.32, 0.64 * w, 0.46, (235, 235, 225))
    return c.pixels


def overhead(style: CityStyle, look: VideoLook, draw: np.random.Generator, width_m: float, ppm: float) -> RGBA | None:
    """What hangs across the road: bunting, lanterns, a banner; None where the city has nothing, or lengthwise wires."""
    if style.overhead not in ("bunting", "lantern", "banner"):
        return None
    c = Canvas(width_m, 2.0, ppm)
    n = round(width_m / 1.1)
    for k in range(n):
        x = (k + 0.5) * width_m / n
        y = 1.9 - 0.9 * (1 - (2 * x / width_m - 1) ** 2)
        colour = shade(draw.uniform(60, 250, 3), look.ambient)
        if style.overhead == "bunting":
            c.poly([(x - 0.4, y), (x + 0.4, y), (x, y - 0.8)], colour)
        elif style.overhead == "lantern" and k % 2:
            c.oval(x, y - 0.45, 0.38, 0.45, _LIGHT if look.lit > 0.2 else colour)
        c.line(x - 0.6, y, x + 0.6, y, (50, 50, 50), 0.05)
    if style.overhead == "banner":
        c.rect(0.2 * width_m, 0.5, 0.8 * width_m, 1.7, shade(draw.uniform(60, 250, 3), look.ambient))
        c.line(0.25 * width_m, 1.1, 0.75 * width_m, 1.1, (245, 245, 245), 0.25)
    return c.pixels


def stall(look: VideoLook, draw: np.random.Generator, ppm: float) -> RGBA:
    """A market stall, 3 m wide."""
    c = Canvas(3.0, 2.7, ppm)
    cloth = shade(draw.uniform(60, 250, 3), look.ambient)
    c.rect(0.1, 0, 0.2, 2.3, (70, 60, 50))
    c.rect(2.8, 0, 2.9, 2.3, (70, 60, 50))
    c.rect(0.1, 0, 2.9, 0.9, shade(cloth, 0.5))
    for k in range(9):
        c.oval(0.3 + 0.3 * k, 0.95, 0.16, 0.14, shade(draw.uniform(60, 250, 3), look.ambient))
    for k in range(6):
        stripe = cloth if k % 2 else shade((245, 245, 240), look.ambient)
        c.poly([(0.5 * k, 2.0), (0.5 * k + 0.5, 2.0), (0.25 + 0.42 * (k + 1), 2.7), (0.25 + 0.42 * k, 2.7)], stripe)
    return c.pixels
