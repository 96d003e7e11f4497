"""What a synthetic world is made of, which cities it has, and where its random numbers come from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MAX_CITIES = 166
"""The cities carry names of the taxonomy cityguessr166."""


@dataclass(frozen=True)
class SyntheticConfig:
    """Size and seed of a synthetic world. Two equal configs give the same pixels."""

    cities: int = 12
    videos: int = 5
    """Source videos of each city."""
    clips: int = 4
    """Clips of each video; a video has `clips * frames_per_clip` frames."""
    frames_per_clip: int = 100
    width: int = 224
    """Frame width in px, even (H.264 stores colour at half size)."""
    height: int = 128
    """Frame height in px, even."""
    fps: int = 10
    seed: int = 0
    drift_percent: int = 100
    """How far colour and light wander within a video: 100 makes colour useless, 0 keeps it as at the start."""

    def __post_init__(self) -> None:
        for name in ("cities", "videos", "clips", "frames_per_clip", "fps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", "It must be 1 or more")
        if self.cities > MAX_CITIES:
            raise InputError(f"cities is {self.cities}", f"The synthetic world knows {MAX_CITIES} city names at most")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}", "It must be 0 or more")
        if not 0 <= self.drift_percent <= 100:
            raise InputError(f"drift_percent is {self.drift_percent}", "It must be 0 to 100")
        for name in ("width", "height"):
            if getattr(self, name) < 64 or getattr(self, name) % 2:
                raise InputError(f"{name} is {getattr(self, name)}", "It must be even and 64 px or more")

    @property
    def frames_per_video(self) -> int:
        """Frames of one source video."""
        return self.clips * self.frames_per_clip

    @property
    def duration_s(self) -> float:
        """Length of one source video in seconds."""
        return self.frames_per_video / self.fps


def rng(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """An independent generator for each purpose and key, so that adding a draw in one place moves no other."""
    import numpy as np

    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *keys])


def pick_cities(continent_of: Mapping[str, str], n_cities: int, seed: int) -> tuple[str, ...]:
    """`n_cities` names spread over the continents: one of each continent in turn, in an order drawn from `seed`.

    Raises:
        InputError: fewer names than asked for.
    """
    if n_cities > len(continent_of):
        raise InputError(f"{n_cities} cities asked for, {len(continent_of)} known", "Ask for fewer cities")
    draw = rng(seed, "cities")
    queues: dict[str, list[str]] = {}
    for city in sorted(continent_of):
        queues.setdefault(continent_of[city], []).append(city)
    for queue in queues.values():
        draw.shuffle(queue)
    order = sorted(queues)
    draw.shuffle(order)
    picked: list[str] = []
    while len(picked) < n_cities:
        for continent in order:
            if queues[continent] and len(picked) < n_cities:
                picked.append(queues[continent].pop())
    return tuple(picked)
