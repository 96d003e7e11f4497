"""The two sides of the road: one long texture a side with all house fronts, hedges, rails and barriers of the route."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import RGBA, Canvas, shade
from .facade import facade
from .look import VideoLook
from .route import Route, Stretch
from .signs import sign
from .style import CityStyle

WALL_M = 32.0
"""Height of the textures; higher houses are cut, which a camera on the road does not see."""

SIDE_STREET_M = 7.0
SIDE_WALL_M = 8.0


@dataclass(frozen=True)
class SideWall:
    """The side of a house that faces the camera where the house before it is lower or missing."""

    z_m: float
    height_m: float
    texture: RGBA


@dataclass(frozen=True)
class StreetSide:
    """One side of the road; column 0 of the texture is at 0 m of the route, its bottom row on the ground."""

    texture: RGBA
    side_walls: tuple[SideWall, ...]
    """Ordered by z_m."""
    side_streets_m: tuple[float, ...]
    """Where side streets (SIDE_STREET_M wide) begin."""


class _Builder:
    def __init__(
        self, style: CityStyle, look: VideoLook, draw: np.random.Generator, light: float, length_m: float, ppm: float
    ):
        self.style, self.look, self.draw, self.light, self.ppm = style, look, draw, light, ppm
        self.canvas = Canvas(length_m, WALL_M, ppm)
        self.side_walls: list[SideWall] = []
        self.side_streets: list[float] = []
        self.neighbour_m = 0.0  # height of the house before

    def house(self, x: float, scene: str) -> float:
        """One house at x, sometimes a side street after it; returns where the next thing starts."""
        low = scene == "residential"
        width = self.style.plot_m * float(self.draw.uniform(0.8, 1.25)) * (0.8 if low else 1.0)
        storeys = min(2, self.style.storeys) if low else max(2, self.style.storeys + int(self.draw.integers(-1, 2)))
        front, side = facade(self.style, self.look, self.draw, width, storeys, self.light, self.ppm)
        self.canvas.paste(x, 0, front)
        eaves_m = side.shape[0] / self.ppm
        if eaves_m > self.neighbour_m + 0.5:
            self.side_walls.append(SideWall(x, eaves_m, side))
        self.neighbour_m = eaves_m
        if self.style.sign in ("board", "cluster") and not low:
            plate = sign(self.style, self.look, self.draw, self.ppm)
            for k in range(max(1, int(width // 6))):
                self.canvas.paste(x + 1.0 + 6 * k, 1.12 * self.style.storey_m, plate)
        x += width
        if low:
            gap = float(self.draw.uniform(3.0, 7.0))
            self.hedge(x, x + gap, 1.4)
            x += gap
        elif self.draw.random() < self.style.gaps:
            self.side_streets.append(x)
            self.neighbour_m = 0.0
            x += SIDE_STREET_M
        return x

    def hedge(self, x0: float, x1: float, height_m: float) -> None:
        """A row of round bushes."""
        self.neighbour_m = 0.0
        green = shade(self.look.leaves, self.look.ambient * self.light)
        self.canvas.rect(x0, 0, x1, 0.7 * height_m, shade(green, 0.7))
        for x in np.arange(x0, x1, 0.45 * height_m):
            r = height_m * float(self.draw.uniform(0.2, 0.35))
            self.canvas.oval(float(x), height_m - r, r, r, shade(green, float(self.draw.uniform(0.6, 1.2))))

    def trees(self, x0: float, x1: float) -> None:
        """A thicket of tall trees behind a hedge."""
        self.neighbour_m = 0.0
        green = shade(self.look.leaves, self.look.ambient * self.light)
        for x in np.arange(x0, x1, 2.2):
            top, r = float(self.draw.uniform(6, 11)), float(self.draw.uniform(1.4, 2.4))
            self.canvas.rect(float(x) - 0.15, 0, float(x) + 0.15, top - r, shade(green, 0.3))
            for _ in range(6):
                dx, dy = self.draw.uniform(-1.3, 1.3, 2)
                self.canvas.oval(
                    float(x + dx),
                    top - r + float(dy),
                    r * 0.7,
                    r * 0.6,
                    shade(green, float(self.draw.uniform(0.5, 1.2))),
                )
        self.hedge(x0, x1, 1.2)

    def railing(self, x0: float, x1: float) -> None:
        """A bridge's rail and hangers."""
        self.neighbour_m = 0.0
        steel = shade((150, 150, 155), self.look.ambient * self.light)
        span = (x1 - x0) / max(1, round((x1 - x0) / 45))
        for x in np.arange(x0, x1, 1.1):
            self.canvas.line(float(x), 0, float(x), 1.1, steel, 0.08)
            sag = 2 * ((float(x) - x0) % span) / span - 1
            self.canvas.line(float(x), 1.1, float(x), 2.5 + 9 * sag * sag, shade(steel, 0.8), 0.05)
            last = 2 * ((float(x) - x0 - 1.1) % span) / span - 1
            if last < sag:  # not across a tower
                self.canvas.line(float(x) - 1.1, 2.5 + 9 * last * last, float(x), 2.5 + 9 * sag * sag, steel, 0.3)
        for x in np.arange(x0, x1 + 1, span):
            self.canvas.rect(float(x) - 0.7, 0, float(x) + 0.7, 13.0, shade(steel, 0.9))
        self.canvas.rect(x0, 1.0, x1, 1.2, steel)

    def barrier(self, x0: float, x1: float) -> None:
        """A noise barrier of panels behind a guard rail."""
        self.neighbour_m = 0.0
        concrete = shade(self.look.paving, self.look.ambient * self.light)
        self.canvas.rect(x0, 0, x1, 3.2, concrete)
        for x in np.arange(x0, x1, 4.0):
            self.canvas.rect(float(x), 0, float(x) + 0.3, 3.6, shade(concrete, 0.6))
        for y in (0.8, 1.6, 2.4):
            self.canvas.line(x0, y, x1, y, shade(concrete, 0.8), 0.06)
        self.canvas.rect(x0, 0.5, x1, 0.8, shade((200, 200, 205), self.look.ambient))

    def stretch(self, s: Stretch, x: float) -> float:
        """Fill one stretch from x on; returns where it really ended (a house may reach past the end)."""
        if s.scene in ("street", "residential", "market"):
            while x < s.end_m:
                x = self.house(x, s.scene)
            return x
        {"park": self.trees, "bridge": self.railing, "highway": self.barrier}[s.scene](x, s.end_m)
        return max(x, s.end_m)


def street_side(
    style: CityStyle, look: VideoLook, route: Route, draw: np.random.Generator, light: float, ppm: float
) -> StreetSide:
    """Build one side of the whole route at `ppm` px a metre; `light` is the sun's factor on it."""
    builder = _Builder(style, look, draw, light, route.length_m, ppm)
    x = 0.0
    for stretch in route.stretches:
        x = builder.stretch(stretch, x)
    return StreetSide(builder.canvas.pixels, tuple(builder.side_walls), tuple(builder.side_streets))
