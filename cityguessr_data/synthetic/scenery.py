"""Where things stand along a route, and how those that move do so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import props
from .canvas import RGBA, shade
from .ground import pavement_m
from .look import VideoLook
from .route import Route
from .signs import sign
from .style import CityStyle


@dataclass(frozen=True)
class Thing:
    """A flat texture that faces the camera; its bottom left corner in metres (x to the right of the road's middle)."""

    z_m: float
    """At time 0."""
    x_m: float
    y_m: float
    width_m: float
    height_m: float
    textures: tuple[RGBA, ...]
    """More than one: phases of a step, two a second."""
    speed_mps: float = 0.0
    """Along the route; negative towards the camera."""
    loop_m: float = 0.0
    """Things that come towards us come again after this length; 0: never."""
    depth_m: float = 0.0
    """Length of a box behind (front seen) or before (back seen) the texture, for vehicles."""
    flank: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Colour of the box's sides."""

    def position_m(self, time_s: float) -> float:
        """Where it is on the route."""
        return (self.z_m + self.speed_mps * time_s) % self.loop_m if self.loop_m else self.z_m


def _thing(z: float, x_centre: float, y: float, texture: RGBA, ppm: float) -> Thing:
    height, width = texture.shape[0] / ppm, texture.shape[1] / ppm
    return Thing(z, x_centre - width / 2, y, width, height, (texture,))


def standing(style: CityStyle, look: VideoLook, route: Route, draw: np.random.Generator, ppm: float) -> list[Thing]:
    """Lamps, trees, signs, stalls and what hangs across the road."""
    half, kerb_at = style.half_width_m, style.half_width_m - pavement_m(style)
    things: list[Thing] = []
    left_lamp = props.lamp(style, look, ppm)
    right_lamp = np.ascontiguousarray(left_lamp[:, ::-1])
    trees = [props.tree(style, look, draw, ppm) for _ in range(3)]
    signs = [sign(style, look, draw, ppm) for _ in range(8)]
    across = props.overhead(style, look, draw, 1.9 * half, ppm)
    for i, z in enumerate(np.arange(float(draw.uniform(0, style.lamp_every_m)), route.length_m, style.lamp_every_m)):
        things.append(_thing(float(z), -kerb_at - 0.6, 0, left_lamp, ppm))
        if style.lamp != "utility":
            things.append(_thing(float(z), kerb_at + 0.6, 0, right_lamp, ppm))
        if across is not None and i % 2 == 0 and route.scene_at(float(z)) in ("street", "market"):
            things.append(_thing(float(z), 0, 5.4, across, ppm))
    if style.tree != "none":
        for z in np.arange(float(draw.uniform(0, style.tree_every_m)), route.length_m, style.tree_every_m):
            if route.scene_at(float(z)) in ("street", "residential", "park"):
                for side in (-1, 1):
                    things.append(_thing(float(z) + side, side * (kerb_at + 0.9), 0, trees[int(draw.integers(3))], ppm))
    if style.sign not in ("none", "board"):
        for side in (-1, 1):
            for z in np.arange(float(draw.uniform(0, style.sign_every_m)), route.length_m, style.sign_every_m):
                if route.scene_at(float(z)) in ("street", "market"):
                    texture = signs[int(draw.integers(8))]
                    things.append(_thing(float(z), side * (half - 0.8), 3.0, texture, ppm))
    for stretch in route.stretches:
        if stretch.scene == "market":
            stalls = [props.stall(look, draw, ppm) for _ in range(4)]
            for z in np.arange(stretch.start_m, stretch.end_m, 4.0):
                for side in (-1, 1):
                    things.append(_thing(float(z), side * (half - 2.2), 0, stalls[int(draw.integers(4))], ppm))
    return things


def moving(style: CityStyle, look: VideoLook, route: Route, draw: np.random.Generator, ppm: float) -> list[Thing]:
    """Traffic in both directions and people on the pavements; half of the vehicles are of the city's own kind."""
    half, kerb_at = style.half_width_m, style.half_width_m - pavement_m(style)
    things: list[Thing] = []
    own_side = -1 if style.left_hand else 1
    for direction in (1, -1):
        for _ in range(round(look.traffic * route.length_m / 100)):
            kind = style.vehicle if draw.random() < 0.5 else "car"
            width, height, length = props.VEHICLE_M[kind]
            paint = shade(draw.uniform(40, 235, 3), 1.0)
            texture = props.vehicle(kind, paint, look, direction < 0, ppm)
            lane = 0.5 * kerb_at + float(draw.uniform(-0.3, 0.3))
            x = direction * own_side * lane - width / 2
            # Those that go our way keep ahead of us: none comes through the camera from behind.
            ahead = direction > 0
            speed = route.speed_mps * float(draw.uniform(1.0, 1.2)) if ahead else -float(draw.uniform(5, 11))
            z = float(draw.uniform(18.0 if ahead else 0.0, route.length_m))
            flank = shade(paint, 0.7 * look.ambient)
            loop = 0.0 if ahead else route.length_m
            things.append(Thing(z, x, 0, width, height, (texture,), speed, loop, length, flank))
    for side in (-1, 1):
        for _ in range(round(look.people * route.length_m / 100)):
            walk = props.person(draw, look, ppm)
            x = side * float(draw.uniform(kerb_at + 0.3, half - 0.5)) - 0.5
            speed = float(draw.choice([-1.3, 1.3]))
            things.append(Thing(float(draw.uniform(0, route.length_m)), x, 0, 1.0, 1.8, walk, speed, route.length_m))
    return things
