"""Writes folded convolutional networks as ONNX graphs in memory, so that the runtimes serve all weights we can load.

Written node by node rather than by torch.onnx.export: that takes 11-19 s and one more package (onnxscript) for the
graph that this gives in well under a second, and its older form, as quick, is announced to go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

if TYPE_CHECKING:
    import numpy.typing as npt

_OPSET, _IR_VERSION = 18, 8  # named, or the newest onnx would write what the oldest ONNX Runtime we allow cannot read

Shape = Sequence[str | int]
"""Of an input or output: a size, or the name of one that is free."""


class OnnxWriter:
    """Adds nodes to `graph` in the order of computing; every method takes and gives names of tensors.

    It writes into the graph of the finished model: making the model last would copy all weights twice more.

    Args:
        inputs: name -> (type, shape): `uint8` or `float32`.
        outputs: name -> shape, float32.
    """

    def __init__(self, name: str, inputs: dict[str, tuple[str, Shape]], outputs: dict[str, Shape]) -> None:
        types = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
        fed = [helper.make_tensor_value_info(key, types[kind], shape) for key, (kind, shape) in inputs.items()]
        given = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()]
        self._model = helper.make_model(
            helper.make_graph([], name, fed, given),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        self._graph: onnx.GraphProto = self._model.graph

    def finished(self) -> bytes:
        """The serialised model."""
        serialised: bytes = self._model.SerializeToString()
        return serialised

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add one operation; the name of its result."""
        name = name or f"{kind}_{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        """Add a tensor of weights."""
        name = f"constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def layer(self, module: nn.Module, x: str) -> str:
        """Any layer of the networks; a Sequential is its layers one after the other.

        Raises:
            TypeError: a layer that is not known here, e.g. a batch norm that was not folded.
        """
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
            case nn.AdaptiveAvgPool2d(output_size=(1, 1)):
                return self.node("GlobalAveragePool", x)
            case nn.Linear():
                tensors = (self.constant(tensor.detach().numpy()) for tensor in (module.weight, module.bias))
                return self.node("Gemm", self.node("Flatten", x), *tensors, transB=1)
            case BasicBlock():
                return self._residual(module, (module.conv1, module.conv2), x)
            case Bottleneck():
                return self._residual(module, (module.conv1, module.conv2, module.conv3), x)
        raise TypeError(f"expected a layer of a folded network, got {module}")

    def _residual(self, block: BasicBlock | Bottleneck, convolutions: Sequence[nn.Module], x: str) -> str:
        """A ReLU after every convolution; the last one's comes after the sum."""
        kept = x if block.downsample is None else self.layer(block.downsample, x)
        for convolution in convolutions[:-1]:
            x = self.node("Relu", self.layer(convolution, x))
        return self.node("Relu", self.node("Add", self.layer(convolutions[-1], x), kept))
