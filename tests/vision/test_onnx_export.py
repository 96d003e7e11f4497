"""The graph that we write of our network: valid ONNX, free in batch and size, and the numbers of the torch back end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from cityguessr_data.core.errors import MachineError
from cityguessr_data.vision.retinaface import DetectorConfig, FaceDetector
from cityguessr_data.vision.retinaface.net import Backbone, RetinaFace
from cityguessr_data.vision.retinaface.onnx_backend import OnnxBackend
from cityguessr_data.vision.retinaface.onnx_write import onnx_bytes
from cityguessr_data.vision.retinaface.torch_backend import TorchBackend, load_network
from tests.support_peers import given_weights

SHAPES = [(1, 480, 640), (1, 251, 333), (2, 251, 333), (1, 1, 1), (1, 9, 100)]
"""Frames, height, width in px."""


def saved_network(backbone: Backbone, path: Path) -> Path:
    """Random weights with running statistics that are not the identity, and a class bias that makes faces rare."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RetinaFace(backbone)
        for name, tensor in network.state_dict().items():
            if name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif name.startswith("class_heads") and name.endswith("weight"):
                tensor.normal_(0, 0.1 if backbone == "resnet50" else 2.0)
            elif name.startswith("class_heads"):
                tensor.copy_(torch.tensor([2.0, -2.0, 2.0, -2.0]))
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module", params=["resnet50", "mobilenet0.25", "mobilenet0.25 as published"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, Path]:
    if request.param == "mobilenet0.25 as published":
        return "mobilenet0.25", given_weights("retinaface_mobilenet0.25.pth")
    return request.param, saved_network(request.param, tmp_path_factory.mktemp("weights") / "w.pth")


def blocks(n: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Frames (n, height, width, 3) of coloured blocks with soft edges: something at every scale of the network."""
    rng = np.random.default_rng(7)
    coarse = [rng.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in range(n)]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_number_is_that_of_torch(network: tuple[Backbone, Path], shape: tuple[int, int, int]) -> None:
    frames = torch.from_numpy(blocks(*shape))
    deltas, probs = OnnxBackend(*network, "cpu")(frames)
    torch_deltas, torch_probs = TorchBackend(*network, "cpu")(frames)
    assert (deltas.dtype, probs.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(deltas, torch_deltas, rtol=0, atol=1e-4)
    torch.testing.assert_close(probs, torch_probs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_the_boxes_are_those_of_torch(network: tuple[Backbone, Path], shape: tuple[int, int, int]) -> None:
    name, weights = network
    found = [
        FaceDetector(DetectorConfig(name, backend=backend, device="cpu"), weights).detect(blocks(*shape))
        for backend in ("torch", "onnx")
    ]
    for by_torch, by_onnx in zip(*found, strict=True):
        print(name, shape, len(by_torch), by_torch.scores[:3])
        assert len(by_onnx) == len(by_torch)
        np.testing.assert_allclose(by_onnx.boxes, by_torch.boxes, rtol=0, atol=0.5)
        np.testing.assert_allclose(by_onnx.scores, by_torch.scores, rtol=0, atol=1e-3)
