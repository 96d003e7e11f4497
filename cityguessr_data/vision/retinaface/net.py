"""RetinaFace as one small batched network: a backbone, a feature pyramid, context modules, and three heads a level.

Written after Deng et al., "RetinaFace: Single-shot Multi-level Face Localisation in the Wild" (CVPR 2020), in the shape
of the two published PyTorch checkpoints, so that their weights load with strict=True: ResNet-50 (`retinaface-pytorch`)
and MobileNet-0.25. KEY_MAP states how their names become ours. No image size is assumed: maps are ceil(size / stride).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Backbone = Literal["resnet50", "mobilenet0.25"]

ANCHORS_PER_CELL = 2

KEY_MAP: tuple[tuple[str, str], ...] = (
    ("module.", ""),  # left by DataParallel
    (".conv3X3.", ".context3."),
    (".conv5X5_1.", ".reduce."),
    (".conv5X5_2.", ".context5."),
    (".conv7X7_2.", ".deepen."),
    (".conv7x7_3.", ".context7."),
    ("ClassHead.", "class_heads."),
    ("BboxHead.", "box_heads."),
    ("LandmarkHead.", "landmark_heads."),
    (".conv1x1.", "."),
)
"""(part of a published name, what it is here), applied in this order."""


def conv_bn(
    n_in: int, n_out: int, kernel: int = 3, stride: int = 1, slope: float | None = 0.0, groups: int = 1
) -> list[nn.Module]:
    """Convolution without bias, batch norm, leaky ReLU of the given slope (0: ReLU; None: no activation)."""
    layers: list[nn.Module] = [
        nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
    ]
    if slope is not None:
        layers.append(nn.LeakyReLU(slope, inplace=True))
    return layers


class MobileNetBody(nn.Module):
    """MobileNet v1 at width 0.25; gives the maps of strides 8, 16, 32 with 64, 128, 256 channels."""

    channels = (64, 128, 256)
    _STAGES: tuple[tuple[tuple[int, int, int], ...], ...] = (
        ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)),
        ((64, 128, 2), *((128, 128, 1),) * 5),
        ((128, 256, 2), (256, 256, 1)),
    )
    """Separable convolutions as (channels in, channels out, stride)."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(*conv_bn(3, 8, stride=2, slope=0.1))
        first, second, third = ([self._separable(*block) for block in stage] for stage in self._STAGES)
        self.stage1 = nn.Sequential(stem, *first)
        self.stage2 = nn.Sequential(*second)
        self.stage3 = nn.Sequential(*third)

    @staticmethod
    def _separable(n_in: int, n_out: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            *conv_bn(n_in, n_in, stride=stride, slope=0.1, groups=n_in),
            *conv_bn(n_in, n_out, kernel=1, slope=0.1),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        c3 = self.stage1(images)
        c4 = self.stage2(c3)
        return [c3, c4, self.stage3(c4)]


class ResNetBody(nn.Module):
    """torchvision's ResNet-50 without its classifier; the maps of strides 8, 16, 32 with 512, 1024, 2048 channels."""

    channels = (512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        whole = resnet50(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = whole.layer1, whole.layer2, whole.layer3, whole.layer4

    def forward(self, images: Tensor) -> list[Tensor]:
        c2 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


class FeaturePyramid(nn.Module):
    """Brings three maps to one width and adds each coarser one, enlarged by nearest neighbour, to the next finer."""

    def __init__(self, channels: Iterable[int], width: int, slope: float) -> None:
        super().__init__()
        c3, c4, c5 = channels
        self.output1 = nn.Sequential(*conv_bn(c3, width, kernel=1, slope=slope))
        self.output2 = nn.Sequential(*conv_bn(c4, width, kernel=1, slope=slope))
        self.output3 = nn.Sequential(*conv_bn(c5, width, kernel=1, slope=slope))
        self.merge1 = nn.Sequential(*conv_bn(width, width, slope=slope))
        self.merge2 = nn.Sequential(*conv_bn(width, width, slope=slope))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[-2:], mode="nearest"))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[-2:], mode="nearest"))
        return [fine, middle, coarse]


class ContextModule(nn.Module):
    """SSH (Najibi et al., 2017): fields of 3x3, 5x5 and 7x7 side by side, the larger ones as stacked 3x3."""

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.context3 = nn.Sequential(*conv_bn(width, half, slope=None))
        self.reduce = nn.Sequential(*conv_bn(width, quarter, slope=slope))
        self.context5 = nn.Sequential(*conv_bn(quarter, quarter, slope=None))
        self.deepen = nn.Sequential(*conv_bn(quarter, quarter, slope=slope))
        self.context7 = nn.Sequential(*conv_bn(quarter, quarter, slope=None))

    def forward(self, features: Tensor) -> Tensor:
        reduced = self.reduce(features)
        fields = [self.context3(features), self.context5(reduced), self.context7(self.deepen(reduced))]
        return F.relu(torch.cat(fields, dim=1))


class RetinaFace(nn.Module):
    """The whole network, without softmax, decoding or NMS.

    Input: (B, 3, H, W) float32, prepared as the backbone wants it (see preprocess.py).
    Output: deltas (B, N, 4), logits (B, N, 2) of background and face, and landmarks (B, N, 10) where asked for. N runs
    over strides 8, 16, 32, then rows, columns and the two anchors of a cell, the order of boxes.priors().
    """

    def __init__(self, backbone: Backbone, landmarks: bool = True) -> None:
        super().__init__()
        if backbone not in ("resnet50", "mobilenet0.25"):
            raise ValueError(f"expected the backbone resnet50 or mobilenet0.25, got {backbone!r}")
        self.backbone = backbone
        self.landmarks = landmarks
        self.body: ResNetBody | MobileNetBody = ResNetBody() if backbone == "resnet50" else MobileNetBody()
        width = 256 if backbone == "resnet50" else 64
        slope = 0.1 if width <= 64 else 0.0
        self.fpn = FeaturePyramid(self.body.channels, width, slope)
        self.ssh1, self.ssh2, self.ssh3 = (ContextModule(width, slope) for _ in range(3))
        self.box_heads = self._heads(width, 4)
        self.class_heads = self._heads(width, 2)
        self.landmark_heads = self._heads(width, 10)

    @staticmethod
    def _heads(width: int, values: int) -> nn.ModuleList:
        return nn.ModuleList(nn.Conv2d(width, ANCHORS_PER_CELL * values, 1) for _ in range(3))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pyramid = self.fpn(self.body(images))
        levels = [self.ssh1(pyramid[0]), self.ssh2(pyramid[1]), self.ssh3(pyramid[2])]
        deltas = _over_levels(self.box_heads, levels, 4)
        logits = _over_levels(self.class_heads, levels, 2)
        if not self.landmarks:
            return deltas, logits
        return deltas, logits, _over_levels(self.landmark_heads, levels, 10)


def _over_levels(heads: nn.ModuleList, levels: list[Tensor], values: int) -> Tensor:
    """(B, N, values): channels last, so that the anchors of one cell stand next to each other."""
    per_level = [
        head(level).permute(0, 2, 3, 1).reshape(level.shape[0], -1, values)
        for head, level in zip(heads, levels, strict=True)
    ]
    return torch.cat(per_level, dim=1)


def rename_published(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under the names of this module (KEY_MAP)."""
    renamed = {}
    for key, tensor in state_dict.items():
        for published, ours in KEY_MAP:
            key = key.replace(published, ours)
        renamed[key] = tensor
    return renamed
