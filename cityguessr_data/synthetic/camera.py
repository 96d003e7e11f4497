"""The camera as it moves and adapts: white balance, saturation and exposure drift along a video, the hand sways.

The drift is as wide as the differences between videos: no colour stays long enough to tell one video from another.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .look import VideoLook

_PERIODS_S = (5.0, 17.0)
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Drift:
    """Slow waves between -1 and 1, one a row: two sines of unrelated periods each."""

    per_s: npt.NDArray[np.float64]
    phases: npt.NDArray[np.float64]

    def at(self, time_s: float) -> npt.NDArray[np.float64]:
        """All waves at a time, shape (n,)."""
        waves: npt.NDArray[np.float64] = np.sin(2 * np.pi * (self.per_s * time_s + self.phases)).mean(axis=1)
        return waves


def draw_drift(draw: np.random.Generator, n_waves: int) -> Drift:
    """Waves with random periods and phases."""
    return Drift(1 / draw.uniform(*_PERIODS_S, (n_waves, 2)), draw.random((n_waves, 2)))


N_WAVES = 7
"""Red, green, blue, saturation, exposure, pan, tilt."""


def develop(
    picture: npt.NDArray[np.uint8], look: VideoLook, waves: npt.NDArray[np.float64], drift: float
) -> npt.NDArray[np.uint8]:
    """White balance, saturation and exposure of this moment, uint8 RGB in and out; `drift` 0-1 scales the changes."""
    waves = drift * waves
    saturation = np.clip(1.0 - 0.4 * drift + 0.8 * waves[3], 0.0, 1.2)
    balance = np.array(look.tint) * (1 + 0.3 * waves[:3]) * (1 + 0.15 * waves[4])
    matrix = balance[:, None] * (saturation * np.eye(3) + (1 - saturation) * _LUMA[None, :])
    levels = 255 * (np.arange(256) / 255) ** (look.gamma * 2 ** (0.6 * waves[4]))
    toned = cv2.LUT(cv2.transform(picture, matrix), np.round(levels).astype(np.uint8))
    return np.asarray(toned, np.uint8)


def view_shift(look: VideoLook, waves: npt.NDArray[np.float64], time_s: float) -> npt.NDArray[np.float64]:
    """Where the view points beside straight ahead (right, down), as parts of the frame's width: a slow look round, and
    the steps of who holds the camera."""
    steps = look.sway * np.sin(2 * np.pi * np.array([0.9, 1.8]) * time_s)
    wander: npt.NDArray[np.float64] = np.array([0.05, 0.03]) * waves[5:7]
    return wander + steps
