"""From the network's numbers to boxes: anchors of a frame size, decoding, non-maximum suppression. Pure functions.

Anchors and variances are those of both published RetinaFace checkpoints. Everything is in pixels of the network's
input, which gives the same numbers as their normalised form: (c / W + d * v * w / W) * W = c + d * v * w.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

STRIDES_PX = (8, 16, 32)
ANCHOR_SIZES_PX = ((16, 32), (64, 128), (256, 512))
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2

MAX_CANDIDATES = 10_000
"""At most so many boxes, the best by score, go into NMS: it bounds the time of one frame. A street frame gives a few
hundred at 0.05; only what scores below the best ten thousand of one frame is lost."""


@lru_cache(maxsize=8)
def priors(height_px: int, width_px: int) -> Tensor:
    """Anchor boxes of an input of this size.

    Returns:
        (N, 4) float32 on the CPU: centre x, centre y, width, height in px. Order: stride, row, column, size. The maps
        are ceil(size / stride) cells, so any size is allowed. Do not write into it: it is shared between calls.
    """
    levels = []
    for stride, sizes in zip(STRIDES_PX, ANCHOR_SIZES_PX, strict=True):
        rows, columns = -(-height_px // stride), -(-width_px // stride)
        y, x, size = torch.meshgrid(
            (torch.arange(rows, dtype=torch.float32) + 0.5) * stride,
            (torch.arange(columns, dtype=torch.float32) + 0.5) * stride,
            torch.tensor(sizes, dtype=torch.float32),
            indexing="ij",
        )
        levels.append(torch.stack([x, y, size, size], dim=-1).reshape(-1, 4))
    return torch.cat(levels)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes that the deltas describe (SSD's coding, Liu et al. 2016, eq. 2, with the variances above).

    Args:
        deltas: (..., 4) dx, dy, log-width, log-height, in units of the anchor and the variances.
        anchors: (..., 4) centre x, centre y, width, height in px.
    Returns:
        (..., 4) x0, y0, x1, y1 in px, not clipped.
    """
    centre = anchors[..., :2] + deltas[..., :2] * CENTRE_VARIANCE * anchors[..., 2:]
    size = anchors[..., 2:] * torch.exp(deltas[..., 2:] * SIZE_VARIANCE)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def select(deltas: Tensor, scores: Tensor, anchors: Tensor, keep_score: float, nms_iou: float) -> tuple[Tensor, Tensor]:
    """The detections of one frame: score at least `keep_score`, after greedy NMS at `nms_iou`, best first.

    Greedy NMS decides a box only by boxes of a higher score. So the boxes of 0.5 and over are the same whether those of
    0.05 took part or not: keeping more for the review changes nothing above the blurring threshold.

    Args:
        deltas: (N, 4). scores: (N,) probabilities of a face. anchors: (N, 4), as priors() gives them.
    Returns:
        boxes (K, 4) x0, y0, x1, y1 in px, not clipped, and scores (K,), sorted by score.
    """
    from torchvision.ops import nms

    kept = torch.nonzero(scores >= keep_score).squeeze(1)
    kept = kept[torch.sort(scores[kept], descending=True, stable=True).indices[:MAX_CANDIDATES]]
    boxes, scores = decode(deltas[kept], anchors[kept]), scores[kept]
    chosen = nms(boxes, scores, nms_iou)
    return boxes[chosen], scores[chosen]


def to_frame(
    boxes: Tensor, scores: Tensor, scale_xy: tuple[float, float], frame_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Boxes of the network's input in px of the frame, clipped to it; what lies wholly outside is dropped.

    Args:
        boxes: (K, 4) px of the input. scale_xy: frame width / input width, frame height / input height.
    """
    height_px, width_px = frame_hw
    boxes = boxes * boxes.new_tensor([*scale_xy, *scale_xy])
    boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width_px, height_px, width_px, height_px]))
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return boxes[inside], scores[inside]
