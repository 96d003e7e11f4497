"""Compares detections: which faces two detectors agree on, and which of the true ones one finds. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Boxes = npt.NDArray[np.floating]
    """(N, 4): x0, y0, x1, y1 in px."""

LEAST_IOU = 0.5
"""Two boxes that overlap so much are of one face."""


@dataclass(frozen=True)
class Found:
    """Detections of one frame."""

    boxes: Boxes
    scores: npt.NDArray[np.floating]
    """(N,)."""

    def over(self, score: float) -> Found:
        """Those of at least this score."""
        return Found(self.boxes[self.scores >= score], self.scores[self.scores >= score])


@dataclass(frozen=True)
class Difference:
    """Of one detector from a reference, over the faces of one score and over; frames add up."""

    n_faces: int = 0
    """That the reference found."""
    lost: int = 0
    """Of these, those that the other did not find with that score or over."""
    new: int = 0
    """That only the other found."""
    score: float = 0.0
    """The largest difference of the score of one face. A face that is lost may be there with a lower score."""
    box_px: float = 0.0
    """The largest difference of one coordinate."""

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.n_faces + other.n_faces,
            self.lost + other.lost,
            self.new + other.new,
            max(self.score, other.score),
            max(self.box_px, other.box_px),
        )


def iou(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """(N, M) shared area over joint area, for boxes (N, 4) and (M, 4)."""
    a, b = np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (a, b)]
    overlap: npt.NDArray[np.float64] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
    return overlap


def pairs(first: Boxes, second: Boxes) -> list[tuple[int, int]]:
    """One to one, the best overlap first, all of LEAST_IOU or over: places in `first` and in `second`."""
    overlap = iou(first, second)
    found = []
    while overlap.size and overlap.max() >= LEAST_IOU:
        i, j = (int(place) for place in np.unravel_index(overlap.argmax(), overlap.shape))
        found.append((i, j))
        overlap[i], overlap[:, j] = -1, -1
    return found


def difference(reference: Found, other: Found, score: float) -> Difference:
    """What the other makes of one frame, over the faces of `score` and over; both tell lower ones too."""
    sure, other_sure = reference.over(score), other.over(score)
    agreed = pairs(sure.boxes, other_sure.boxes)
    same = pairs(sure.boxes, other.boxes)  # a face whose score has fallen below is still the same face
    return Difference(
        n_faces=len(sure.scores),
        lost=len(sure.scores) - len(agreed),
        new=len(other_sure.scores) - len(agreed),
        score=max((abs(float(sure.scores[i] - other.scores[j])) for i, j in same), default=0.0),
        box_px=max((float(np.abs(sure.boxes[i] - other.boxes[j]).max()) for i, j in same), default=0.0),
    )


def n_recalled(boxes: Boxes, truth: Boxes) -> int:
    """How many true boxes are found, one to one."""
    return len(pairs(truth, boxes))
