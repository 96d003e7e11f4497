"""The two sides of "blur / deface": each holds its model and pictures, and hides all faces in them in a round."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cityguessr_data.vision.agreement import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cityguessr_data.vision.retinaface.detector import FaceDetector

    RGB = npt.NDArray[np.uint8]

STRICT, PAPER = 0.2, 0.5
"""Scores from which the two blurs of ours hide a face."""
DEFACE_THRESHOLD, DEFACE_MASK_SCALE = 0.2, 1.3
"""Its defaults."""


@dataclass(frozen=True)
class Setting:
    """How ours runs."""

    enlarged: float
    """The network's input as a multiple of the picture, on both sides; under 1 it is reduced."""
    score: float
    """STRICT or PAPER, with the blur that belongs to it."""


def save(pictures: Sequence[RGB], to: Path) -> Path:
    """Write pictures of any sizes, for other processes."""
    np.savez(to, *pictures)
    return to


def load(path: Path) -> list[RGB]:
    """The pictures of `save`, in their order."""
    with np.load(path) as stored:
        return [stored[f"arr_{place}"] for place in range(len(stored.files))]


class Deface:
    """The package as its command line runs it: its default threshold, masks and blur.

    Args:
        folder: where the package lies.
        scale: width and height of the network's input; None: those of the picture, its default.
    """

    def __init__(self, folder: Path, pictures: Path, scale: tuple[int, int] | None) -> None:
        sys.path.append(str(folder))
        from deface.centerface import CenterFace
        from deface.deface import anonymize_frame

        self._pictures = load(pictures)
        with contextlib.redirect_stdout(sys.stderr):  # it tells what it runs on
            self._find = CenterFace(None, scale, "onnxrt", "CPUExecutionProvider")
        self._hide = anonymize_frame
        self._found: list[npt.NDArray[np.float32]] = []

    def run(self) -> None:
        """Hide the faces of every picture, in a copy of it."""
        self._found = []
        for picture in self._pictures:
            rgb = picture.copy()
            boxes, _ = self._find(rgb, threshold=DEFACE_THRESHOLD)
            self._hide(boxes, rgb, DEFACE_MASK_SCALE, "blur", True, False, None, 20)
            self._found.append(boxes)

    def told(self) -> list[Found]:
        """What it found, before its masks grow it."""
        return [Found(boxes[:, :4], boxes[:, 4]) for boxes in self._found]


class Ours:
    """MobileNet-0.25 with the back end that `auto` picks, and the blur of the build."""

    def __init__(self, pictures: Path, setting: Setting) -> None:
        from cityguessr_data.vision.blur import BlurConfig

        self._pictures = load(pictures)
        self._setting = setting
        self._detector = detector(setting.enlarged)
        self._blur = BlurConfig("strict" if setting.score == STRICT else "paper")
        self._found: list[Found] = []

    def run(self) -> None:
        """Hide the faces of every picture, in a copy of it."""
        from cityguessr_data.vision.blur import blur_boxes

        self._found = []
        for picture in self._pictures:
            rgb = picture.copy()
            found = detect(self._detector, rgb, self._setting)
            blur_boxes(rgb, found.boxes, self._blur)
            self._found.append(found)

    def told(self) -> list[Found]:
        """What it found, before the blur grows it."""
        return self._found


def detector(scale: float) -> FaceDetector:
    """Ours, whose input is `scale` times the picture, however large that is."""
    from cityguessr_data.vision.retinaface.detector import DetectorConfig, FaceDetector
    from cityguessr_data.vision.weights import find

    config = DetectorConfig("mobilenet0.25", size_px=1 << 14, scale=scale)
    return FaceDetector(config, find("retinaface-mobilenet0.25"))


def detect(by: FaceDetector, rgb: RGB, setting: Setting) -> Found:
    """The faces that `setting` hides, boxes in px of `rgb` (H, W, 3)."""
    found = by.detect(rgb[np.newaxis])[0]
    return Found(found.boxes, found.scores).over(setting.score)
