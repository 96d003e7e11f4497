"""Writes our folded network as an ONNX graph in memory, so that ONNX Runtime serves every weights file we can load.

Written node by node rather than by torch.onnx.export: that takes 11-19 s and one more package (onnxscript) for the
graph that this gives in well under a second, and its older form, as quick, is announced to go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torchvision.models.resnet import Bottleneck

from .net import ContextModule, FeaturePyramid, ResNetBody, RetinaFace

if TYPE_CHECKING:
    import numpy.typing as npt

INPUT, DELTAS, PROBS = "images", "deltas", "probs"
"""Names of the graph's input and outputs."""

_OPSET, _IR_VERSION = 18, 8  # named, or the newest onnx would write what the oldest ONNX Runtime we allow cannot read


def onnx_bytes(network: RetinaFace) -> bytes:
    """The serialised graph of a network whose batch norms are folded (fold_batch_norms); landmarks are left out.

    Input `images`: (B, 3, H, W) float32, prepared by preprocess.py. Outputs: `deltas` (B, N, 4), and `probs` (B, N), of
    a face. B, H and W are free; N is in the order of boxes.priors().

    Raises:
        TypeError: a layer that is not part of the folded network, e.g. a batch norm.
    """
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, "height", "width"])]
    outputs = [
        helper.make_tensor_value_info(DELTAS, TensorProto.FLOAT, ["batch", "anchors", 4]),
        helper.make_tensor_value_info(PROBS, TensorProto.FLOAT, ["batch", "anchors"]),
    ]
    model = helper.make_model(
        helper.make_graph([], "RetinaFace", inputs, outputs),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    writer = _Writer(model.graph)
    maps = writer.pyramid(network.fpn, writer.body(network.body, INPUT))
    levels = [
        writer.context(ssh, fed) for ssh, fed in zip((network.ssh1, network.ssh2, network.ssh3), maps, strict=True)
    ]
    writer.heads(network.box_heads, levels, 4, DELTAS)
    probs = writer.node("Softmax", writer.heads(network.class_heads, levels, 2), axis=-1)
    writer.node("Gather", probs, writer.constant(np.array(1, np.int64)), name=PROBS, axis=2)  # 0 is the background
    serialised: bytes = model.SerializeToString()
    return serialised


class _Writer:
    """Adds nodes to `graph` in the order of computing; every method takes and gives names of tensors.

    It writes into the graph of the finished model: making the model last would copy all weights twice more.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add one operation; the name of its result."""
        name = name or f"{kind}_{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        name = f"constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def layer(self, module: nn.Module, x: str) -> str:
        """Any layer of the backbones; a Sequential is its layers one after the other."""
        match module:
            case nn.Sequential():
                for child in module:
                    x = self.layer(child, x)
                return x
            case nn.Identity():  # where a batch norm was
                return x
            case nn.Conv2d(bias=bias) if bias is not None:
                return self.node(
                    "Conv", x, self.constant(module.weight.detach().numpy()), self.constant(bias.detach().numpy()),
                    strides=list(module.stride), pads=[int(p) for p in module.padding] * 2, group=module.groups,
                )  # fmt: skip
            case nn.LeakyReLU(negative_slope=slope) if slope:
                return self.node("LeakyRelu", x, alpha=slope)
            case nn.ReLU() | nn.LeakyReLU():
                return self.node("Relu", x)
            case nn.MaxPool2d(kernel_size=int(kernel), stride=int(stride), padding=int(pad)):
                return self.node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
            case Bottleneck():
                kept = x if module.downsample is None else self.layer(module.downsample, x)
                for convolution in (module.conv1, module.conv2):
                    x = self.node("Relu", self.layer(convolution, x))
                return self.node("Relu", self.node("Add", self.layer(module.conv3, x), kept))
        raise TypeError(f"expected a layer of the folded RetinaFace, got {module}")

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
