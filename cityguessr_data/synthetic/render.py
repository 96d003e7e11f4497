"""Turns one video of the synthetic world into frames: a fixed camera geometry, long textures, one remap a surface.

Columns of a house front and rows of the ground lie at one depth each, so where every px looks is worked out once a
video; a frame only adds the way the camera has gone. Each surface has coarser copies for far parts, against flicker.
Standing and moving things are flat pictures pasted from far to near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .camera import N_WAVES, develop, draw_drift, view_shift
from .config import SyntheticConfig, rng
from .ground import HALF_GROUND_M, ground_texture
from .look import VideoLook, video_look
from .paste import paste, pyramid
from .route import Route, video_route
from .scenery import Thing, moving, standing
from .sky import sky
from .style import CityStyle
from .surface import Surface
from .walls import SIDE_WALL_M, WALL_M, StreetSide, street_side

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

NEAR_M, FAR_M = 2.5, 130.0
"""Things nearer or farther than this are not drawn."""

_SWAY_MARGIN = 0.06


class VideoRenderer:
    """All frames of one video. Building it draws the textures (0.2-2 s); then `frame(i)` is a pure function of i."""

    def __init__(self, config: SyntheticConfig, style: CityStyle, city: int, video: int) -> None:
        self.config, self.style = config, style
        self.look: VideoLook = video_look(config, city, video)
        self.route: Route = video_route(config, self.look, city, video)
        self._city, self._video = city, video
        scale = 2 if config.width < 320 else 1  # small frames are drawn twice as large, then averaged: smooth edges
        self._width = round(config.width * scale * (1 + 2 * _SWAY_MARGIN))
        self._height = round(config.height * scale * (1 + 2 * _SWAY_MARGIN))
        self._scale = scale
        self._focal_px = 0.5 * config.width * scale / np.tan(np.radians(self.look.fov_deg) / 2)
        self._cx, self._cy = 0.5 * self._width, self.look.horizon * self._height
        own_side = -1 if style.left_hand else 1
        self._camera_x = own_side * 0.22 * style.half_width_m + self.look.lateral_m
        ppm = float(np.clip(self._focal_px / 28, 5.0, 18.0))
        draw = rng(config.seed, "scenery", city, video)
        self._sides: tuple[StreetSide, StreetSide] = (
            street_side(style, self.look, self.route, draw, self.look.sun[0], ppm),
            street_side(style, self.look, self.route, draw, self.look.sun[1], ppm),
        )
        streets = (self._sides[0].side_streets_m, self._sides[1].side_streets_m)
        ground = ground_texture(style, self.look, self.route, streets, draw, ppm)
        self._surfaces = [self._ground_surface(ground, ppm)]
        self._surfaces += [
            self._wall_surface(s.texture, sign, ppm) for s, sign in zip(self._sides, (-1, 1), strict=True)
        ]
        self._sky = sky(style, self.look, rng(config.seed, "sky", city, video), self._width, self._height, self._cy)
        self._things = standing(style, self.look, self.route, draw, ppm) + moving(
            style, self.look, self.route, draw, ppm
        )
        self._pictures = {id(t): pyramid(t) for thing in self._things for t in thing.textures}
        self._pictures |= {id(w.texture): pyramid(w.texture) for side in self._sides for w in side.side_walls}
        self._rain = self._rain_layer()
        grain = rng(config.seed, "noise", city, video).normal(
            0, self.look.noise, (2 * config.height, 2 * config.width, 1)
        )
        self._noise = np.repeat(np.round(grain).astype(np.int16), 3, axis=2)
        self._drift = draw_drift(rng(config.seed, "drift", city, video), N_WAVES)

    # -- geometry: worked out once -----------------------------------------------------------------------------------

    def _fog(self, z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1.0 - np.exp(-self.look.fog_per_m * z)

    def _wall_surface(self, texture: npt.NDArray[np.uint8], sign: int, ppm: float) -> Surface:
        """A wall at `half_width_m`: column x is at depth f * distance / |x - cx|."""
        x = np.arange(self._width) + 0.5
        ahead = sign * (x - self._cx) > 0.5
        columns = np.flatnonzero(ahead)
        distance = self.style.half_width_m - sign * self._camera_x
        z = self._focal_px * distance / np.abs(x[columns] - self._cx)
        y = np.arange(self._height)[:, None] + 0.5
        height_m = self.look.camera_m - (y - self._cy) * z[None, :] / self._focal_px
        v = (WALL_M - height_m) * ppm
        return Surface(
            texture, columns[0], True, z, v, z / np.abs(x[columns] - self._cx), 1 - self._fog(z), self.look.fog, ppm
        )

    def _ground_surface(self, texture: npt.NDArray[np.uint8], ppm: float) -> Surface:
        """The ground: row y is at depth f * camera height / (y - cy)."""
        first = int(np.ceil(self._cy + 1.0))
        y = np.arange(first, self._height) + 0.5
        z = self._focal_px * self.look.camera_m / (y - self._cy)
        right = self._camera_x + (np.arange(self._width)[None, :] + 0.5 - self._cx) * z[:, None] / self._focal_px
        v = np.clip((HALF_GROUND_M + right) * ppm, 1, texture.shape[0] - 2)
        return Surface(texture, first, False, z, v, z / (y - self._cy), 1 - self._fog(z), self.look.fog, ppm)

    # -- one frame ---------------------------------------------------------------------------------------------------

    def frame(self, index: int) -> RGB:
        """Frame `index` (0 .. frames_per_video - 1), uint8 RGB, shape (height, width, 3). Same index, same bits."""
        time_s = index / self.config.fps
        camera_z = self.route.position_m(index)
        canvas = self._sky.copy()
        self._surfaces[0].draw(canvas, camera_z)
        for side, sign in zip(self._sides, (-1, 1), strict=True):
            self._draw_side_walls(canvas, side, sign, camera_z)
        for surface in self._surfaces[1:]:
            surface.draw(canvas, camera_z)
        self._draw_wires(canvas, camera_z)
        seen = [(t.position_m(time_s) - camera_z, t) for t in self._things]
        for z, thing in sorted((s for s in seen if NEAR_M < s[0] < FAR_M), key=lambda s: -s[0]):
            self._draw_thing(canvas, z, thing, time_s)
        return self._finish(canvas, index)

    def _project(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        scale = self._focal_px / z_m
        return self._cx + (x_m - self._camera_x) * scale, self._cy + (self.look.camera_m - y_m) * scale

    def _draw_side_walls(self, canvas: RGB, side: StreetSide, sign: int, camera_z: float) -> None:
        near = [(w.z_m - camera_z, w) for w in side.side_walls]
        half = self.style.half_width_m
        for z, wall in sorted((w for w in near if NEAR_M < w[0] < FAR_M), key=lambda w: -w[0]):
            left, right = (half, half + SIDE_WALL_M) if sign > 0 else (-half - SIDE_WALL_M, -half)
            x0, y0 = self._project(left, wall.height_m, z)
            x1, y1 = self._project(right, 0, z)
            paste(
                canvas, self._pictures[id(wall.texture)], (x0, y0, x1, y1), self.look.fog, float(self._fog(np.array(z)))
            )

    def _draw_thing(self, canvas: RGB, z: float, thing: Thing, time_s: float) -> None:
        fog = float(self._fog(np.array(z)))
        if thing.depth_m:
            self._draw_flank(canvas, z, thing, fog)
        phase = int(2 * time_s + thing.z_m) % len(thing.textures)
        x0, y0 = self._project(thing.x_m, thing.y_m + thing.height_m, z)
        x1, y1 = self._project(thing.x_m + thing.width_m, thing.y_m, z)
        paste(canvas, self._pictures[id(thing.textures[phase])], (x0, y0, x1, y1), self.look.fog, fog)

    def _draw_flank(self, canvas: RGB, z: float, thing: Thing, fog: float) -> None:
        """The side of a vehicle that the camera sees, behind its face."""
        inner = thing.x_m if self._camera_x < thing.x_m else thing.x_m + thing.width_m
        if thing.x_m <= self._camera_x <= thing.x_m + thing.width_m:
            return
        for low, high, factor in ((0.2, 0.96, 1.0), (0.55, 0.86, 0.35)):
            near, far = z, z + thing.depth_m
            if factor < 1:
                near, far = z + 0.12 * thing.depth_m, z + 0.85 * thing.depth_m
            corners = [(near, low), (far, low), (far, high), (near, high)]
            points = [self._project(inner, part * thing.height_m, at) for at, part in corners]
            colour = [(1 - fog) * factor * c + fog * f for c, f in zip(thing.flank, self.look.fog, strict=True)]
            cv2.fillConvexPoly(canvas, np.round(points).astype(np.int32), colour, cv2.LINE_AA)

    def _draw_wires(self, canvas: RGB, camera_z: float) -> None:
        """Wires along the road: two over the rails of trams, a sagging bundle beside utility poles."""
        if self.style.overhead == "tram":
            for x in (-1.6, 1.6):
                self._polyline(canvas, [(x, 5.6, z) for z in (2.5, 10.0, 40.0, 150.0)])
        if self.style.overhead == "tangle":
            step = self.style.lamp_every_m / 4
            start = -(camera_z % self.style.lamp_every_m)
            for x in (-0.8, 0.8):
                for height, sag in ((6.4, 0.9), (6.9, 0.5), (7.5, 0.7), (8.2, 0.4)):
                    way = [(start + k * step, k % 4) for k in range(30)]
                    points = [
                        (x * self.style.half_width_m, height - sag * (0, 0.75, 1, 0.75)[phase], z)
                        for z, phase in way
                        if z > 2
                    ]
                    self._polyline(canvas, points)

    def _polyline(self, canvas: RGB, points: list[tuple[float, float, float]]) -> None:
        pixels = np.round([self._project(*p) for p in points]).astype(np.int32)
        cv2.polylines(canvas, [pixels], False, (35, 35, 35), 1 if self._width < 900 else 2, cv2.LINE_AA)

    # -- the camera --------------------------------------------------------------------------------------------------

    def _rain_layer(self) -> npt.NDArray[np.uint8] | None:
        if not self.look.rain:
            return None
        draw = rng(self.config.seed, "rain", self._city, self._video)
        layer = np.zeros((2 * self._height, 2 * self._width, 3), np.uint8)
        length = self._height / 12
        for x, y in draw.uniform(0, 1, (700, 2)) * (2 * self._width, 2 * self._height):
            end = (round(x + 0.15 * length), round(y + length))
            cv2.line(layer, (round(x), round(y)), end, (48, 50, 54), self._scale, cv2.LINE_AA)
        return layer

    def _finish(self, canvas: RGB, index: int) -> RGB:
        """Hand shake, rain, scaling, white balance and sensor noise."""
        draw = rng(self.config.seed, "sensor", self._city, self._video, index)
        if self._rain is not None:
            top, left = (int(draw.integers(n)) for n in (self._height, self._width))
            cv2.add(canvas, self._rain[top : top + self._height, left : left + self._width], dst=canvas)
        width, height = self.config.width, self.config.height
        time_s = index / self.config.fps
        waves = self._drift.at(time_s)
        margin = 0.5 * np.array([self._width - width * self._scale, self._height - height * self._scale])
        shift = view_shift(self.look, waves, time_s) * self._width
        left, top = np.round(margin + np.clip(shift, -margin, margin)).astype(int)
        picture = canvas[top : top + height * self._scale, left : left + width * self._scale]
        if self._scale > 1:
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        picture = develop(picture, self.look, waves, self.config.drift_percent / 100)
        top, left = int(draw.integers(height)), int(draw.integers(width))
        noisy = cv2.add(picture, self._noise[top : top + height, left : left + width], dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8)
