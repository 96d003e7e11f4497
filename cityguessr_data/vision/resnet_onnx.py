"""A torchvision ResNet classifier as an ONNX graph: the scene models on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .onnx_writer import OnnxWriter

if TYPE_CHECKING:
    from torchvision.models import ResNet

INPUT, LOGITS = "images", "logits"
"""Names of the graph's input and output."""
_ORDER = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc")


def resnet_bytes(network: ResNet, n_classes: int) -> bytes:
    """The serialised graph of a ResNet whose batch norms are folded (fold_batch_norms).

    Input `images`: (B, 3, H, W) float32, normalised. Output `logits`: (B, n_classes). B, H and W are free.

    Raises:
        TypeError: a layer that is not part of a folded ResNet.
    """
    writer = OnnxWriter("ResNet", {INPUT: ("float32", ["batch", 3, "height", "width"])}, {LOGITS: ["batch", n_classes]})
    x = INPUT
    for name in _ORDER[:-1]:
        x = writer.layer(network.get_submodule(name), x)
    writer.node("Identity", writer.layer(network.fc, x), name=LOGITS)
    return writer.finished()
