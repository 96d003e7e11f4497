"""The reference of "build / plain": one script that does the job as published scripts of this field do it.

Each habit below is common in them, none is there to look slow:

* a seek per sampled frame with OpenCV's VideoCapture: scripts that cut data sets of frames out of videos;
* one image a call through an eager fp32 network with batch norms of their own, landmarks too, and the anchors of the
  image built again in Python loops at each call: the packages and test scripts that the RetinaFace weights come with;
* faces hidden by a Gaussian blur of the whole picture, pasted in by a mask where the boxes are: tutorials on
  anonymising with OpenCV (only where a face was found; some blur every picture);
* a torchvision ResNet-18, one picture a call, prepared by Pillow and torchvision's transforms: the demo script that the
  Places365 weights come with;
* cv2.imwrite, one step after the other in one thread. torch and OpenCV use all cores inside of a step.

The network itself is the one of vision/retinaface, so that the same weights load. All that comes after it is written
here a second time, by its published description, and shares nothing with ours.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from cityguessr_data.vision.retinaface.net import Backbone

STRIDES_PX = (8, 16, 32)
SIZES_PX = ((16, 32), (64, 128), (256, 512))


class PlainDetector:
    """RetinaFace in eager fp32, one image a call, at the size of the image.

    Args:
        confidence: boxes of a lower score are dropped before NMS.
    """

    def __init__(self, backbone: Backbone, weights: Path, confidence: float = 0.5, nms_iou: float = 0.3) -> None:
        import torch

        from cityguessr_data.vision.retinaface.torch_backend import load_network

        self.backbone = backbone
        self.confidence = confidence
        self.nms_iou = nms_iou
        network = load_network(backbone, weights, fold=False, landmarks=True)
        self._network = network.to(memory_format=torch.contiguous_format)

    def detect(self, rgb: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Boxes (N, 4) x0, y0, x1, y1 in px, not clipped, and scores (N,), of one picture (H, W, 3); best first."""
        import torch
        from torchvision.ops import nms

        height, width = rgb.shape[:2]
        with torch.no_grad():
            deltas, logits, landmarks = (values[0] for values in self._network(self._prepared(rgb)))
            scores = torch.softmax(logits, dim=-1)[:, 1]
            anchors = anchors_of(height, width)
            boxes = boxes_of(deltas, anchors) * torch.tensor([width, height, width, height])
            points = points_of(landmarks, anchors) * torch.tensor([width, height] * 5)
            kept = torch.where(scores > self.confidence)[0]
            boxes, scores, points = boxes[kept], scores[kept], points[kept]
            order = torch.argsort(scores, descending=True)
            boxes, scores, points = boxes[order], scores[order], points[order]
            chosen = nms(boxes, scores, self.nms_iou)
        return boxes[chosen].numpy(), scores[chosen].numpy()

    def _prepared(self, rgb: npt.NDArray[np.uint8]) -> Tensor:
        import torch

        if self.backbone == "resnet50":
            image = (rgb.astype(np.float32) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        else:
            image = rgb[..., ::-1].astype(np.float32) - (104.0, 117.0, 123.0)
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32)).unsqueeze(0)


def anchors_of(height: int, width: int) -> Tensor:
    """(N, 4): centre x, centre y, width, height, as shares of the picture."""
    import torch

    anchors: list[float] = []
    for stride, sizes in zip(STRIDES_PX, SIZES_PX, strict=True):
        for row, column in product(range(math.ceil(height / stride)), range(math.ceil(width / stride))):
            for size in sizes:
                anchors += [(column + 0.5) * stride / width, (row + 0.5) * stride / height, size / width, size / height]
    return torch.tensor(anchors).view(-1, 4)


def boxes_of(deltas: Tensor, anchors: Tensor) -> Tensor:
    """(N, 4) x0, y0, x1, y1 as shares of the picture; SSD's coding with variances 0.1 and 0.2."""
    import torch

    boxes = torch.cat(
        (anchors[:, :2] + deltas[:, :2] * 0.1 * anchors[:, 2:], anchors[:, 2:] * torch.exp(deltas[:, 2:] * 0.2)), 1
    )
    boxes[:, :2] -= boxes[:, 2:] / 2
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def points_of(landmarks: Tensor, anchors: Tensor) -> Tensor:
    """(N, 10): five points x, y as shares of the picture."""
    import torch

    points = [anchors[:, :2] + landmarks[:, i : i + 2] * 0.1 * anchors[:, 2:] for i in range(0, 10, 2)]
    return torch.cat(points, dim=1)


class PlainScenes:
    """ResNet-18 with 365 classes, one picture a call."""

    def __init__(self, weights: Path) -> None:
        import torch
        from torchvision import transforms
        from torchvision.models import resnet18

        self._network = resnet18(num_classes=365).eval()
        self._network.load_state_dict(torch.load(weights, weights_only=True))
        self._prepare = transforms.Compose(
            [
                transforms.Resize((256, 256)),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def classify(self, rgb: npt.NDArray[np.uint8]) -> tuple[int, float]:
        """The most probable category and its probability."""
        import torch
        from PIL import Image

        with torch.no_grad():
            logits = self._network(self._prepare(Image.fromarray(rgb)).unsqueeze(0))
            probs = torch.softmax(logits, 1).squeeze()
        best = int(probs.argmax())
        return best, float(probs[best])


def blur_faces(bgr: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The picture (H, W, 3) with `boxes` replaced by what a blur of the whole picture has there."""
    import cv2

    if not len(boxes):
        return bgr
    blurred = cv2.GaussianBlur(bgr, (63, 63), 21)
    mask = np.zeros(bgr.shape, np.uint8)
    for x0, y0, x1, y1 in boxes:
        top, left = max(math.floor(y0), 0), max(math.floor(x0), 0)
        mask[top : math.ceil(y1), left : math.ceil(x1)] = 255
    return np.where(mask == 255, blurred, bgr)


class PlainBuild:
    """The whole script: its models, loaded, and the clip it works on."""

    def __init__(self, detector: PlainDetector, scenes: PlainScenes) -> None:
        self.detector = detector
        self.scenes = scenes
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds on the clock by step, summed over all frames so far."""

    def clip(
        self, video: Path, start: int, n_frames: int, samples: int, to: Path
    ) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], int]]:
        """Save `samples` frames of the `n_frames` from frame `start` on as JPEGs in `to`, faces blurred.

        Returns:
            for each the boxes (N, 4) in px and scores (N,) that were blurred, and the scene.
        Raises:
            ValueError: a frame cannot be read.
        """
        import cv2

        capture = cv2.VideoCapture(str(video))
        found = []
        for position in range(samples):
            with self._timed("seek and decode"):
                capture.set(cv2.CAP_PROP_POS_FRAMES, start + position * n_frames // samples)
                read, bgr = capture.read()
            if not read:
                raise ValueError(f"{video.name}: frame {start + position * n_frames // samples} cannot be read")
            with self._timed("detect"):
                boxes, scores = self.detector.detect(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            with self._timed("blur"):
                bgr = blur_faces(bgr, boxes)
            with self._timed("scene"):
                scene, _ = self.scenes.classify(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            with self._timed("save"):
                cv2.imwrite(str(to / f"{position + 1:03d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
            found.append((boxes, scores, scene))
        capture.release()
        return found

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - start
