"""The rule by which device, library and precision are picked, and that every library gives the numbers of torch."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import onnx
import pytest
import torch
import torchvision

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.vision import runtimes
from cityguessr_data.vision.folding import fold_batch_norms
from cityguessr_data.vision.resnet_onnx import resnet_bytes
from cityguessr_data.vision.runtimes import library_of, open_graph, precision_of

LIBRARIES = ["onnx", *(["openvino"] if find_spec("openvino") else [])]


@pytest.mark.parametrize(
    ("installed", "device", "precision", "picked"),
    [
        (True, "cpu", "auto", "openvino"),
        (True, "cpu", "bf16", "openvino"),
        (True, "cuda", "auto", "torch"),
        (True, "cuda", "fp16", "torch"),
        (False, "cpu", "auto", "onnx"),
        (False, "cpu", "bf16", "torch"),
    ],
)
def test_auto_follows_its_rule(
    monkeypatch: pytest.MonkeyPatch, installed: bool, device: str, precision: str, picked: str
) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: object() if installed else None)
    assert library_of("auto", device, precision) == picked


def test_precision_is_the_same_on_every_machine() -> None:
    """It decides which faces are found."""
    assert [precision_of(name) for name in ("auto", "fp32", "bf16", "fp16")] == ["fp32", "fp32", "bf16", "fp16"]


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no fp16"):
        library_of("auto", "cpu", "fp16")
    with pytest.raises(InputError, match="ONNX Runtime computes in fp32"):
        library_of("onnx", "cpu", "bf16")
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"OpenVINO is not installed.*cgtool\[openvino\]"):
        library_of("openvino", "cpu", "fp32")


@pytest.mark.skipif("openvino" not in LIBRARIES, reason="OpenVINO is not installed")
def test_openvino_says_what_it_does_not_have() -> None:
    graph = resnet_bytes(folded("resnet18"), 365)
    with pytest.raises(MachineError, match="OpenVINO has no CUDA"):
        open_graph(graph, "openvino", "cuda")


def folded(arch: str) -> torchvision.models.ResNet:
    """A ResNet with batch norms that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.get_model(arch, weights=None, num_classes=365)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.running_mean, std=0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 2)
    network.eval()
    fold_batch_norms(network)
    return network


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_a_resnet_has_the_numbers_of_torch(arch: str, library: str) -> None:
    network = folded(arch)
    graph = resnet_bytes(network, 365)
    onnx.checker.check_model(graph, full_check=True)
    images = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(images)).numpy()
    (found,) = open_graph(graph, library, threads=2)(images)
    assert wanted.std() > 0.05
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    (one,) = open_graph(graph, library, threads=1)(images[:1])
    np.testing.assert_allclose(one, wanted[:1], atol=1e-4 * np.abs(wanted).max())
