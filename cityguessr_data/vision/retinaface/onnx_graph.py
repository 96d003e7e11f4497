"""Reads the weights out of a published RetinaFace ONNX graph, so that the same file serves our PyTorch module.

The exporter folded every batch norm into its convolution and kept the module's path as the node's name. The rules below
turn that path into the name in our folded module. One quirk is expected: the graph computes each SSH reduction twice,
the second time under `..._1` with the same weights; the copy is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

NODE_MAP: tuple[tuple[str, str], ...] = (
    (r"^/fx/.*/(stage\d\.\d+)\.(\d)\.0/Conv$", r"body.\1.@\2"),  # half 0 or 1 of a separable convolution
    (r"^/fx/.*/(stage1\.0)\.0/Conv$", r"body.\1.0"),  # the stem
    (r"^/fpn/.*/(\w+)\.0/Conv$", r"fpn.\1.0"),
    (r"^/(ssh\d)/.*/conv3X3\.0/Conv$", r"\1.context3.0"),
    (r"^/(ssh\d)/.*/conv5X5_1\.0/Conv$", r"\1.reduce.0"),
    (r"^/(ssh\d)/.*/conv5X5_2\.0/Conv$", r"\1.context5.0"),
    (r"^/(ssh\d)/.*/conv7X7_2\.0/Conv$", r"\1.deepen.0"),
    (r"^/(ssh\d)/.*/conv7x7_3\.0/Conv$", r"\1.context7.0"),
    (r"^/(class|bbox|landmark)_head/.*\.(\d)/Conv$", r"\1_heads.\2"),
)
"""(node name, prefix of our state dict); `@0` and `@1` stand for the places 0 and 3 in a separable block."""

_DUPLICATE = re.compile(r"^/ssh\d/conv5X5_1/conv5X5_1\.0_1/Conv$")


def our_name(node_name: str) -> str:
    """The place in our module of the convolution with this node name.

    Raises:
        WeightsError: a name that no rule knows; the graph is of another network.
    """
    for pattern, replacement in NODE_MAP:
        name, hits = re.subn(pattern, replacement, node_name)
        if hits:
            return name.replace("@0", "0").replace("@1", "3").replace("bbox_heads", "box_heads")
    raise WeightsError(f"ONNX node {node_name} is not part of RetinaFace MobileNet-0.25", "Use the published graph")


def folded_state_dict(path: Path) -> dict[str, Tensor]:
    """Weights and biases of every convolution of the graph, under the names of the folded module.

    Raises:
        WeightsError: the file is no ONNX graph, or not of this network.
    """
    import numpy as np
    import onnx
    import torch
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as exc:  # protobuf's DecodeError, or OSError
        raise WeightsError(f"{path} is not an ONNX graph ({exc})", "Fetch the file again") from exc
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    state = {}
    for node in graph.node:
        if node.op_type != "Conv" or _DUPLICATE.match(node.name):
            continue
        for part, tensor_name in zip(("weight", "bias"), node.input[1:], strict=True):
            array = numpy_helper.to_array(tensors[tensor_name])
            state[f"{our_name(node.name)}.{part}"] = torch.from_numpy(np.array(array))
    return state
