"""The way a camera goes: stretches of different scenes, and what scene each frame truly shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .config import SyntheticConfig, rng
from .look import VideoLook

SCENES: dict[str, int] = {
    "street": 319,
    "residential": 283,
    "market": 223,
    "park": 254,
    "bridge": 66,
    "highway": 175,
}
"""Scene of a stretch -> its Places365 category (0-364, the order of categories_places365.txt)."""

LOOK_AHEAD_M = 20.0
"""A frame shows less of where the camera is than of what lies a little ahead: the truth is read there."""

TAIL_M = 240.0
"""Road built beyond the last position, so that the last frame has something to look at."""

MAX_TRAVEL_M = 1500.0
"""Longest way of a camera; in a long video it goes slower, so that the textures of the road stay of bounded size."""

_STREET_M, _OTHER_M = (120.0, 260.0), (60.0, 100.0)
"""Lengths of stretches: long enough to fill the view, and about two thirds of all frames are street."""

_OTHERS = ("residential", "market", "park", "bridge", "highway")


@dataclass(frozen=True)
class Stretch:
    """A part of the road from `start_m` to `end_m` with one scene."""

    start_m: float
    end_m: float
    scene: str


@dataclass(frozen=True)
class Route:
    """All stretches of a video's road, in order and without holes; the first starts at 0."""

    stretches: tuple[Stretch, ...]
    speed_mps: float
    fps: int

    @property
    def length_m(self) -> float:
        """Length of road that is built."""
        return self.stretches[-1].end_m

    def position_m(self, frame: int) -> float:
        """Where the camera is at a frame."""
        return frame / self.fps * self.speed_mps

    def scene_at(self, position_m: float) -> str:
        """Scene of the stretch around a position."""
        return next((s.scene for s in self.stretches if position_m < s.end_m), self.stretches[-1].scene)

    def scenes(self, n_frames: int) -> npt.NDArray[np.int16]:
        """The Places365 category (0-364) that each frame shows, shape (n_frames,)."""
        ids = [SCENES[self.scene_at(self.position_m(i) + LOOK_AHEAD_M)] for i in range(n_frames)]
        return np.array(ids, dtype=np.int16)


def video_route(config: SyntheticConfig, look: VideoLook, city: int, video: int) -> Route:
    """Street, then another scene, then street ...; lengths and scenes are drawn alike for all cities."""
    draw = rng(config.seed, "route", city, video)
    speed_mps = min(look.speed_mps, MAX_TRAVEL_M / config.duration_s)
    length_m = speed_mps * config.duration_s + TAIL_M
    stretches: list[Stretch] = []
    start_m = 0.0
    scene = "street" if draw.random() < 0.75 else str(draw.choice(_OTHERS))
    while start_m < length_m:
        end_m = start_m + float(draw.uniform(*(_STREET_M if scene == "street" else _OTHER_M)))
        stretches.append(Stretch(start_m, end_m, scene))
        start_m, scene = end_m, str(draw.choice(_OTHERS)) if scene == "street" else "street"
    return Route(tuple(stretches), speed_mps, config.fps)
