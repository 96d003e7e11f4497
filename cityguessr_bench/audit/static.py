"""Static overlays: what stays the same at its place in the frame through all clips of a source video.

The bonnet and the dashboard of the filming car, a channel's logo, a caption, black bars. A street goes by, so a pixel
of it keeps its colour only by chance; over minutes of film even the sky changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from ..pack.read import Pack
from .masks import Clip, Mask

STEADY = 12
"""How far a colour may be from its usual value, 0 to 255: the noise of compressed film over a logo is less."""
STEADY_SHARE = 0.9
"""Of the frames looked at, so many must be that near: a caption may be gone for a while."""
MOST_HIDDEN = 0.5
"""Of a video that stands still in more of its frame than this, the camera did not move: no overlay can be told."""
_MOST_FRAMES = 96
_LEAST_CLIPS = 2


def steady_pixels(frames: Clip) -> npt.NDArray[np.bool_]:
    """Where a video's frames hardly change: (H, W).

    Args:
        frames: (N, 3, H, W), from all over the video.
    """
    usual = np.rint(np.median(frames, axis=0)).astype(np.int16)
    near = (np.abs(frames.astype(np.int16) - usual) <= STEADY).all(axis=1).mean(axis=0) >= STEADY_SHARE
    cleaned = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # without specks
    grown: npt.NDArray[np.bool_] = cv2.dilate(cleaned, np.ones((3, 3), np.uint8)) > 0  # letters have soft edges
    return grown


@dataclass(frozen=True, eq=False)
class StaticMasks:
    """The overlay of every clip's video, found once a video, from all its clips in the pack, whatever their part."""

    pack: Pack
    of_one_clip: set[str] = field(default_factory=set)
    """Videos of which the pack has one clip: nothing is hidden there, for a car at a red light would be."""
    still: set[str] = field(default_factory=set)
    """Videos that stand still in more than MOST_HIDDEN of their frame: nothing is hidden there either."""
    _kept: dict[str, Mask] = field(default_factory=dict)
    _places: dict[str, list[int]] = field(default_factory=dict)

    def __call__(self, clip: Clip, place: int) -> Mask:
        """(1, H, W) of the clip at `place` of the pack; all False where its video is not known."""
        video_id = self.pack.index["video_id"][place].as_py()
        if video_id is None:
            return np.zeros((1, *clip.shape[2:]), bool)
        if video_id not in self._kept:
            self._kept[video_id] = self._found(video_id, clip.shape[2:])
        return self._kept[video_id]

    def _found(self, video_id: str, shape: Sequence[int]) -> Mask:
        if not self._places:
            for place, name in enumerate(self.pack.index["video_id"].to_pylist()):
                self._places.setdefault(name, []).append(place)
        places = self._places[video_id]
        if len(places) < _LEAST_CLIPS:
            self.of_one_clip.add(video_id)
            return np.zeros((1, *shape), bool)
        steady = steady_pixels(_spread(self.pack, places))
        if steady.mean() > MOST_HIDDEN:
            self.still.add(video_id)
            return np.zeros((1, *shape), bool)
        return steady[None]


def _spread(pack: Pack, places: Sequence[int]) -> Clip:
    """Up to _MOST_FRAMES frames, as many of each clip, and clips spread over the video where there are very many."""
    n_clips = min(len(places), _MOST_FRAMES)
    chosen = [places[i * len(places) // n_clips] for i in range(n_clips)]
    each = _MOST_FRAMES // n_clips
    parts = []
    for place in chosen:
        frames = pack.clip(place)
        n = min(each, len(frames))
        parts.append(frames[[i * len(frames) // n for i in range(n)]])
    return np.concatenate(parts)
