"""The face detector that the anonymise stage calls: RGB frames in, boxes in px of those frames out.

It fails closed: numbers that are not finite, or frames of a wrong shape, raise; frames are never passed on as if they
had no face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from cityguessr_data.core.errors import ErrorClass, InputError, VideoError
from cityguessr_data.core.fingerprint import file_sha256
from cityguessr_data.vision.runtimes import DeviceName, PrecisionName, find_device, library_of, precision_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Forward = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

DetectorName = Literal["resnet50", "mobilenet0.25"]
BackendName = Literal["auto", "torch", "onnx", "openvino", "pypi"]

_GPU_BATCH = 16  # frames a pass on a GPU; on a CPU one, where more gain nothing and cost memory


@dataclass(frozen=True)
class DetectorConfig:
    """What determines the detections, but for the weights."""

    name: DetectorName = "resnet50"
    size_px: int = 1280
    """Longest side of the network's input: larger frames are scaled down to it, smaller ones are left as they are."""
    scale: float = 1.0
    """Size of that input as a multiple of what `size_px` leaves: 1.5 finds smaller faces, at 2.25 times the cost."""
    nms_iou: float = 0.3
    keep_score: float = 0.05
    """Every detection of this score and over is returned; which are blurred is decided later."""
    backend: BackendName = "auto"
    """`auto`: by the rule of runtimes.py. `pypi` is the `retinaface-pytorch` package, where a user has it installed."""
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    """`auto` is fp32."""

    def __post_init__(self) -> None:
        choices = (
            ("name", DetectorName),
            ("backend", BackendName),
            ("device", DeviceName),
            ("precision", PrecisionName),
        )
        for field, allowed in choices:
            if getattr(self, field) not in get_args(allowed):
                known = ", ".join(get_args(allowed))
                raise InputError(f"detector {field} {getattr(self, field)!r} is unknown", f"Use one of {known}")
        if self.size_px < 32:
            raise InputError(f"detector size {self.size_px} px is too small", "Use 32 or more")
        if not 0.1 <= self.scale <= 4:
            raise InputError(f"a detector scale of {self.scale} makes no sense", "Use 0.1 to 4; 1 is the frame's size")
        if not 0 < self.nms_iou <= 1 or not 0 < self.keep_score < 1:
            message = f"NMS {self.nms_iou} and score {self.keep_score} must lie between 0 and 1"
            raise InputError(message, "The usual values are 0.3 and 0.05")


@dataclass(frozen=True)
class Detections:
    """Detections of one frame, best first."""

    boxes: npt.NDArray[np.float32]
    """(N, 4) float32: x0, y0, x1, y1 in px of the frame, clipped to it, x1 and y1 exclusive."""
    scores: npt.NDArray[np.float32]
    """(N,) float32, probability of a face."""

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector:
    """RetinaFace with the weights of one file, ready to run.

    Raises:
        WeightsError: the file is not that network's.
        MachineError: the device asked for is not there, or ONNX Runtime cannot run the network.
    """

    def __init__(self, config: DetectorConfig, weights: Path) -> None:
        self.config = config
        self.weights = weights
        self.digest = file_sha256(weights)
        """SHA-256 of the weights file."""
        device = find_device(config.device)
        self.precision = precision_of(config.precision)
        """fp32, bf16 or fp16."""
        self.backend = library_of(config.backend, device.type, self.precision)
        """torch, onnx or openvino."""
        self.forward: Forward
        """The bare network: uint8 frames (B, H, W, 3) as it takes them to deltas and logits."""
        if self.backend == "torch":
            from .torch_backend import TorchBackend

            torch_backend = TorchBackend(config.name, weights, device, self.precision)
            self.forward, self.device = torch_backend, torch_backend.device_name
        else:
            from .graph_backend import GraphBackend

            graph_backend = GraphBackend(config.name, weights, self.backend, config.device, self.precision)
            self.forward, self.device = graph_backend, graph_backend.device_name
        self.batch = _GPU_BATCH if self.device == "cuda" else 1
        """Frames that are best given at a time."""

    def describe(self) -> dict[str, str | int | float]:
        """Everything that determines the detections, for dataset.json and for messages."""
        return {
            "detector": f"retinaface-{self.config.name}",
            "backend": self.backend,
            "precision": self.precision,
            "device": self.device,
            "size_px": self.config.size_px,
            "scale": self.config.scale,
            "nms_iou": self.config.nms_iou,
            "keep_score": self.config.keep_score,
            "weights": self.weights.name,
            "weights_sha256": self.digest,
        }

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detections]:
        """Detections of every frame.

        Args:
            rgb: (B, H, W, 3) uint8, colour order red, green, blue.
        Returns:
            B Detections: all of score >= keep_score after NMS, sorted by score.
        Raises:
            ValueError: another shape or dtype.
            VideoError: class `detector`; the network gave numbers that are not finite, or could not run.
        """
        check_frames(rgb)
        step = self.batch
        return [one for i in range(0, len(rgb), step) for one in self._detect_pass(rgb[i : i + step])]

    def _detect_pass(self, rgb: npt.NDArray[np.uint8]) -> list[Detections]:
        import torch

        from .boxes import priors, select, to_frame
        from .preprocess import scaled

        height, width = rgb.shape[1:3]
        small = scaled(rgb, self.config.size_px, self.config.scale)
        in_height, in_width = small.shape[1:3]
        try:
            deltas, logits = self.forward(torch.from_numpy(np.require(small, requirements=["C", "W"])))
        except Exception as exc:
            raise _failed(f"face detection could not run ({exc})") from exc
        if not (torch.isfinite(deltas).all() and torch.isfinite(logits).all()):
            raise _failed("face detection gave numbers that are not finite")
        scores = torch.sigmoid(logits[..., 1] - logits[..., 0])  # a softmax of two, at a fraction of its time
        anchors = priors(in_height, in_width).to(deltas.device)
        found = []
        for frame_deltas, frame_scores in zip(deltas, scores, strict=True):
            boxes, kept = select(frame_deltas, frame_scores, anchors, self.config.keep_score, self.config.nms_iou)
            if not torch.isfinite(boxes).all():
                raise _failed("face detection gave a box without end")
            boxes, kept = to_frame(boxes, kept, (width / in_width, height / in_height), (height, width))
            found.append(Detections(boxes.cpu().numpy(), kept.cpu().numpy()))
        return found


def _failed(message: str) -> VideoError:
    return VideoError(ErrorClass.DETECTOR, message, "Run `cgtool weights verify`, or try --device cpu")


def check_frames(rgb: npt.NDArray[np.uint8]) -> None:
    """Refuse what is no batch of RGB frames.

    Raises:
        ValueError: saying what was expected and what came.
    """
    if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape[1:3]:
        raise ValueError(f"expected frames (B, H, W, 3) uint8 RGB, got {rgb.shape} {rgb.dtype}")
