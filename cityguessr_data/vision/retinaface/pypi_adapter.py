"""The detector of an installed `retinaface-pytorch`, behind the same call: to compare with, and for those who want it.

The package takes one image a call, rebuilds its anchors in Python, rounds boxes and scores to two digits (a score of
0.496 comes out as 0.5) and stretches small images; the last is undone here. It cannot be installed beside a current
torch in the usual way: `pip install --no-deps retinaface-pytorch`, and `albumentations`, which it imports.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cityguessr_data.core.errors import ErrorClass, InputError, MachineError, VideoError
from cityguessr_data.core.fingerprint import file_sha256
from cityguessr_data.vision.runtimes import find_device, precision_of
from cityguessr_data.vision.weights import load_state_dict

from .detector import Detections, DetectorConfig, check_frames

if TYPE_CHECKING:
    import numpy.typing as npt


class PypiDetector:
    """Same `.detect`, `.digest` and `.describe()` as FaceDetector; ResNet-50 in PyTorch only.

    Raises:
        MachineError: the package cannot be imported. InputError: a configuration that it does not have.
    """

    def __init__(self, config: DetectorConfig, weights: Path) -> None:
        if precision_of(config.precision) != "fp32":
            raise InputError("retinaface-pytorch computes in fp32 only", "Leave --precision out with it")
        if config.name != "resnet50":
            raise InputError(f"retinaface-pytorch has no {config.name}", "Use the detector resnet50 with it")
        try:
            from retinaface.predict_single import Model
        except ImportError as exc:
            raise MachineError(
                f"retinaface-pytorch cannot be imported ({exc})",
                "pip install --no-deps retinaface-pytorch && pip install albumentations",
            ) from exc

        self.config = config
        self.weights = weights
        self.digest = file_sha256(weights)
        self.batch = 1
        self.device = find_device(config.device).type
        self._model_class: Any = Model
        self._model: Any = Model(max_size=config.size_px, device=self.device)
        self._model.load_state_dict(load_state_dict(weights))
        self._model.eval()
        self._by_size = {config.size_px: self._model}

    def describe(self) -> dict[str, str | int | float]:
        """Everything that determines the detections."""
        return {
            "detector": "retinaface-pytorch",
            "backend": "pypi",
            "device": self.device,
            "size_px": self.config.size_px,
            "nms_iou": self.config.nms_iou,
            "keep_score": self.config.keep_score,
            "weights": self.weights.name,
            "weights_sha256": self.digest,
        }

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detections]:
        """As FaceDetector.detect; boxes and scores are rounded to two digits by the package.

        Raises:
            ValueError: not (B, H, W, 3) uint8. VideoError: class `detector`; the package failed.
        """
        check_frames(rgb)
        height, width = rgb.shape[1:3]
        model = self._model_for(min(self.config.size_px, max(height, width)))
        try:
            return [self._detect_one(model, frame) for frame in rgb]
        except Exception as exc:
            message = f"retinaface-pytorch failed ({exc})"
            raise VideoError(ErrorClass.DETECTOR, message, "Nothing was saved; use our own detector") from exc

    def _model_for(self, max_size_px: int) -> Any:
        """The package resizes to exactly `max_size`, also upwards: a model for each frame size, with one network."""
        if max_size_px not in self._by_size:
            model = self._model_class(max_size=max_size_px, device=self.device)
            model.model = self._model.model
            self._by_size[max_size_px] = model
        return self._by_size[max_size_px]

    def _detect_one(self, model: Any, frame: npt.NDArray[np.uint8]) -> Detections:
        height, width = frame.shape[:2]
        found = model.predict_jsons(
            frame, confidence_threshold=self.config.keep_score, nms_threshold=self.config.nms_iou
        )
        found = [one for one in found if one["bbox"]]  # "no face" is one entry with an empty box
        boxes = np.array([one["bbox"] for one in found], dtype=np.float32).reshape(-1, 4)
        scores = np.array([one["score"] for one in found], dtype=np.float32)
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("numbers that are not finite")
        boxes = boxes.clip(0, np.array([width, height, width, height], dtype=np.float32))
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(boxes[inside], scores[inside])
