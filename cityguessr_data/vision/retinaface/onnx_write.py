"""Our folded network as an ONNX graph that takes frames as they are decoded: the face detector on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from cityguessr_data.vision.onnx_writer import OnnxWriter

from .net import ContextModule, FeaturePyramid, ResNetBody, RetinaFace

if TYPE_CHECKING:
    from .preprocess import Normalisation

INPUT, DELTAS, LOGITS = "frames", "deltas", "logits"
"""Names of the graph's input and outputs."""


def onnx_bytes(network: RetinaFace, normalisation: Normalisation) -> bytes:
    """The serialised graph of a network whose batch norms are folded (fold_batch_norms); landmarks are left out.

    Input `frames`: (B, H, W, 3) uint8, red, green, blue: normalising in the graph saves three passes over memory.
    Outputs: `deltas` (B, N, 4), and `logits` (B, N, 2) of background and face: OpenVINO's softmax makes a probability
    of 0 of what is no number, and a face would pass unseen. B, H and W are free; N is in the order of boxes.priors().

    Raises:
        TypeError: a layer that is not part of the folded network, e.g. a batch norm.
    """
    writer = _Writer(
        "RetinaFace",
        {INPUT: ("uint8", ["batch", "height", "width", 3])},
        {DELTAS: ["batch", "anchors", 4], LOGITS: ["batch", "anchors", 2]},
    )
    maps = writer.pyramid(network.fpn, writer.body(network.body, writer.normalised(INPUT, normalisation)))
    levels = [
        writer.context(ssh, fed) for ssh, fed in zip((network.ssh1, network.ssh2, network.ssh3), maps, strict=True)
    ]
    writer.heads(network.box_heads, levels, 4, DELTAS)
    writer.heads(network.class_heads, levels, 2, LOGITS)
    return writer.finished()


class _Writer(OnnxWriter):
    """The parts of RetinaFace that are no plain layers."""

    def normalised(self, x: str, normalisation: Normalisation) -> str:
        """(B, H, W, 3) uint8 to (B, 3, H, W) float32, the numbers of preprocess.as_network_input."""
        x = self.node("Transpose", self.node("Cast", x, to=1), perm=[0, 3, 1, 2])
        if normalisation.bgr:
            x = self.node("Gather", x, self.constant(np.array([2, 1, 0], np.int64)), axis=1)
        x = self.node("Sub", x, self.constant(np.array(normalisation.mean, np.float32).reshape(1, 3, 1, 1)))
        if normalisation.scale == (1.0, 1.0, 1.0):
            return x
        return self.node("Div", x, self.constant(np.array(normalisation.scale, np.float32).reshape(1, 3, 1, 1)))

    def body(self, body: nn.Module, x: str) -> list[str]:
        """The maps of strides 8, 16, 32."""
        if isinstance(body, ResNetBody):
            for name in ("conv1", "bn1", "relu", "maxpool", "layer1"):
                x = self.layer(body.get_submodule(name), x)
        stages = ("layer2", "layer3", "layer4") if isinstance(body, ResNetBody) else ("stage1", "stage2", "stage3")
        maps = []
        for name in stages:
            x = self.layer(body.get_submodule(name), x)
            maps.append(x)
        return maps

    def pyramid(self, fpn: FeaturePyramid, maps: list[str]) -> list[str]:
        lateral = zip((fpn.output1, fpn.output2, fpn.output3), maps, strict=True)
        fine, middle, coarse = (self.layer(module, x) for module, x in lateral)
        middle = self.layer(fpn.merge2, self.node("Add", middle, self.enlarged(coarse, middle)))
        fine = self.layer(fpn.merge1, self.node("Add", fine, self.enlarged(middle, fine)))
        return [fine, middle, coarse]

    def enlarged(self, x: str, like: str) -> str:
        """`x` at the size of `like` by torch's `nearest`: source cell = floor(cell * size of x / size of like)."""
        size = self.node("Shape", like, start=2, end=4)
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", "", size, axes=[2, 3], **how)

    def context(self, ssh: ContextModule, x: str) -> str:
        reduced = self.layer(ssh.reduce, x)
        fields = [
            self.layer(ssh.context3, x),
            self.layer(ssh.context5, reduced),
            self.layer(ssh.context7, self.layer(ssh.deepen, reduced)),
        ]
        return self.node("Relu", self.node("Concat", *fields, axis=1))

    def heads(self, heads: nn.ModuleList, levels: list[str], values: int, name: str = "") -> str:
        """(B, N, values), the anchors of one cell next to each other."""
        shape = self.constant(np.array([0, -1, values], np.int64))  # 0: the batch as it comes
        per_level = []
        for head, level in zip(heads, levels, strict=True):
            last = self.node("Transpose", self.layer(head, level), perm=[0, 2, 3, 1])
            per_level.append(self.node("Reshape", last, shape))
        return self.node("Concat", *per_level, name=name, axis=1)
