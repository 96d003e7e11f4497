"""Finds writing in frames: the small text detector of PP-OCRv4 (DB, differentiable binarisation) in ONNX Runtime.

It tells where there is text, and does not read it. The network gives for every pixel the probability that it lies in
the core of a line of text; a line is what is connected there, grown by as much as training shrank it (Liao et al. 2020,
"Real-time scene text detection with differentiable binarization", section 3.4).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import MachineError, WeightsError
from cityguessr_data.core.threads import worker_threads

from .runtimes import onnx_session
from .weights import find

NAME = "text-ppocr"
"""Of the weights."""
SIDE_PX = 640
"""Frames whose shorter side is less are enlarged to this: small letters are missed otherwise."""
_STRIDE_PX = 32
_MIN_PROB = 0.3
_MIN_MEAN_PROB = 0.5
"""Over a line of text: weaker ones are lane markings and railings more often than letters."""
_GROWTH = 1.6
"""Times area over circumference, the distance by which a line's core is grown."""
_BLOB_PX = 40
_BAR_FILL = 0.75
"""A core thicker than _BLOB_PX that fills less of its slanted box than this is fog or leaves: a line is a bar."""
_BATCH = 4


class TextDetector:
    """One detector. The session is made at once.

    Args:
        weights: the ONNX file; None: looked up by its name.
        device: `auto` or `cuda` take a GPU where ONNX Runtime can; `cpu`.
    Raises:
        WeightsError: no weights on this machine, with the command that brings them; or not such a file.
        MachineError: no CUDA where it was asked for.
    """

    def __init__(self, weights: Path | None = None, device: str = "auto") -> None:
        path = weights or find(NAME)
        try:
            self._session = onnx_session(path, "cuda" if device.startswith("cuda") else device, worker_threads())
            (only,) = self._session.get_inputs()
        except MachineError:
            raise
        except Exception as exc:  # onnxruntime's own exceptions share no other base class
            why = " ".join(str(exc).split())[:160]
            raise WeightsError(
                f"{path} is no text detector that ONNX Runtime can run ({why})",
                f"Delete it and run `cgtool weights pull {NAME}`",
            ) from exc
        self._input = only.name

    def __call__(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Where there is writing.

        Args:
            frames: uint8 (B, H, W, 3), red, green, blue.
        Returns:
            bool (B, H, W).
        Raises:
            ValueError: another shape or type.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ValueError(f"expected uint8 (B, H, W, 3), got {frames.dtype} {frames.shape}")
        height, width = frames.shape[1:3]
        masks = np.zeros((len(frames), height, width), bool)
        for start in range(0, len(frames), _BATCH):
            images = np.stack([_as_input(frame) for frame in frames[start : start + _BATCH]])
            (probs,) = self._session.run(None, {self._input: images})
            for row, prob in enumerate(probs[:, 0]):
                masks[start + row] = _resized(lines_of(prob), height, width)
        return masks


def lines_of(probs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Lines of text from the map of their cores.

    Args:
        probs: (h, w), of 0 to 1.
    Returns:
        bool (h, w): every line that is sure enough, grown to its letters' full height.
    """
    cores = (probs > _MIN_PROB).astype(np.uint8)
    n, labels, boxes, _ = cv2.connectedComponentsWithStats(cores, connectivity=8)
    found = np.zeros(probs.shape, bool)
    for label in range(1, n):
        x, y, w, h, area = boxes[label].tolist()
        core = labels[y : y + h, x : x + w] == label
        if probs[y : y + h, x : x + w][core].mean() < _MIN_MEAN_PROB or _is_blob(core):
            continue
        by = max(1, round(_GROWTH * area / (2 * (w + h))))
        grown = cv2.dilate(np.pad(core, by).astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0
        top, left = max(0, y - by), max(0, x - by)
        bottom, right = min(len(probs), y + h + by), min(probs.shape[1], x + w + by)
        found[top:bottom, left:right] |= grown[top - y + by : bottom - y + by, left - x + by : right - x + by]
    return found


def _is_blob(core: npt.NDArray[np.bool_]) -> bool:
    _, sides, _ = cv2.minAreaRect(cv2.findNonZero(core.astype(np.uint8)))
    thin, long = min(sides) + 1, max(sides) + 1
    return bool(thin > _BLOB_PX and core.sum() < _BAR_FILL * thin * long)


def _as_input(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(3, h, w) in the detector's order and range: blue, green, red, of -1 to 1; sides are multiples of 32."""
    height, width = frame.shape[:2]
    scale = max(1.0, SIDE_PX / min(height, width))
    h, w = (max(_STRIDE_PX, round(scale * side / _STRIDE_PX) * _STRIDE_PX) for side in (height, width))
    enlarged = cv2.resize(frame, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray((enlarged[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1))


def _resized(mask: npt.NDArray[np.bool_], height: int, width: int) -> npt.NDArray[np.bool_]:
    """A pixel is text where a quarter of what it stands for is, or more."""
    shrunk = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    text: npt.NDArray[np.bool_] = shrunk >= 0.25
    return text
