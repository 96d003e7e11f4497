"""The graph that we write of our network: valid ONNX, free in batch and size, and the numbers of the torch back end."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from cityguessr_data.core.errors import MachineError
from cityguessr_data.vision.folding import fold_batch_norms
from cityguessr_data.vision.retinaface import DetectorConfig, FaceDetector
from cityguessr_data.vision.retinaface.graph_backend import GraphBackend
from cityguessr_data.vision.retinaface.net import Backbone, RetinaFace
from cityguessr_data.vision.retinaface.onnx_write import onnx_bytes
from cityguessr_data.vision.retinaface.preprocess import NORMALISATIONS, as_network_input
from cityguessr_data.vision.runtimes import open_graph
from tests.support_peers import asset, given_weights, tiny_graph

RGB = npt.NDArray[np.uint8]

SHAPES = [(1, 480, 640), (1, 251, 333), (2, 251, 333)]
"""Frames, height, width in px."""


def blocks(n: int, height: int, width: int) -> RGB:
    """Frames (n, height, width, 3) of soft coloured blocks, each of other colours."""
    coarse = np.random.default_rng(7).integers(0, 256, (n, 9, 12, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])


def crowd(n: int, height: int, width: int) -> RGB:
    """Frames (n, height, width, 3): a photo with 24 faces, then its mirror image."""
    image = cv2.imread(str(asset("faces/0_Parade_marchingband_1_149.jpg")))
    assert image is not None
    one = cv2.resize(image[:, :, ::-1], (width, height), interpolation=cv2.INTER_AREA)
    return np.stack([one, one[:, ::-1]][:n])


def untrained(backbone: Backbone) -> RetinaFace:
    """Random weights whose every layer depends on the pixels, and whose deltas and logits are of a trained size."""
    images = as_network_input(torch.from_numpy(blocks(4, 130, 190)), NORMALISATIONS[backbone])
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = RetinaFace(backbone, landmarks=False)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d) and module.bias is None:
                torch.nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.5  # half way from mean 0, variance 1: no faint channel is blown up
        network.train()(images)
        deltas, logits = network.eval()(images)
        for heads, values, centre in (
            (network.box_heads, deltas, [0.0] * 8),
            (network.class_heads, logits, [2.0, -2.0] * 2),
        ):
            for head in heads.children():
                assert isinstance(head, torch.nn.Conv2d) and head.bias is not None
                head.weight.mul_(0.7 / values.std())
                head.bias.copy_(torch.tensor(centre))
    return network.requires_grad_(False)


@dataclass(frozen=True)
class Case:
    by_torch: FaceDetector
    by_graph: FaceDetector
    trained: bool

    def frames(self, shape: tuple[int, int, int]) -> RGB:
        return crowd(*shape) if self.trained else blocks(*shape)


WEIGHTS = ("resnet50", "mobilenet0.25", "the published .pth", "the published .onnx")


@pytest.fixture(scope="module", params=[(w, b) for w in WEIGHTS for b in ("onnx", "openvino")], ids=", ".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("weights")
    which, backend = request.param
    if backend == "openvino":
        pytest.importorskip("openvino")
    backbone: Backbone = "resnet50" if which == "resnet50" else "mobilenet0.25"
    trained = which.startswith("the published")
    if which == "the published .pth":
        weights = given_weights("retinaface_mobilenet0.25.pth")
    elif which == "the published .onnx":
        weights = tiny_graph(folder)
    else:
        weights = folder / "w.pth"
        torch.save(untrained(backbone).state_dict(), weights)
        if backbone == "resnet50":  # as it is published
            weights = weights.with_suffix(".zip")
            with zipfile.ZipFile(weights, "w") as archive:
                archive.write(folder / "w.pth", "w.pth")
    configs = (
        DetectorConfig(backbone, backend="torch", device="cpu"),
        DetectorConfig(backbone, backend=backend, device="cpu"),
    )
    by_torch, by_graph = (FaceDetector(config, weights) for config in configs)
    assert (by_torch.backend, by_graph.backend) == ("torch", backend)
    return Case(by_torch, by_graph, trained)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1, 1), (2, 9, 100)])
def test_every_number_is_that_of_torch(case: Case, shape: tuple[int, int, int]) -> None:
    frames = torch.from_numpy(case.frames(shape))
    deltas, logits = case.by_graph.forward(frames)
    torch_deltas, torch_logits = case.by_torch.forward(frames)
    torch.testing.assert_close(deltas, torch_deltas, rtol=0, atol=1e-4)
    torch.testing.assert_close(logits.softmax(-1), torch_logits.softmax(-1), rtol=0, atol=1e-4)
    assert min(shape[1:]) < 200 or deltas.std() > 0.1, "numbers that are all alike compare nothing"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_boxes_are_those_of_torch(case: Case, shape: tuple[int, int, int]) -> None:
    frames = case.frames(shape)
    for by_torch, by_graph in zip(case.by_torch.detect(frames), case.by_graph.detect(frames), strict=True):
        assert len(by_graph) == len(by_torch) > 3
        # scores alike may come in another order
        apart_px = np.abs(by_graph.boxes[:, None] - by_torch.boxes[None]).max(-1)
        same = (apart_px <= 0.5) & (np.abs(by_graph.scores[:, None] - by_torch.scores[None]) <= 1e-3)
        assert same.any(0).all() and same.any(1).all()


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet0.25"])
def test_the_graph_is_valid_free_in_size_and_old_enough(backbone: Backbone) -> None:
    network = RetinaFace(backbone).eval()
    fold_batch_norms(network)
    graph = onnx_bytes(network, NORMALISATIONS[backbone])
    onnx.checker.check_model(graph, full_check=True)
    model = onnx.load_from_string(graph)
    assert model.ir_version <= 10 and model.opset_import[0].version <= 21  # what ONNX Runtime 1.20 reads
    batch, height, width, colours = model.graph.input[0].type.tensor_type.shape.dim
    assert all(dim.dim_param for dim in (batch, height, width))
    assert colours.dim_value == 3


def test_batch_norms_must_be_folded() -> None:
    with pytest.raises(TypeError, match=r"expected a layer of a folded network, got Conv2d\(3, 8"):
        onnx_bytes(RetinaFace("mobilenet0.25").eval(), NORMALISATIONS["mobilenet0.25"])


def test_a_runtime_that_cannot_run_the_graph_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "w.pth"
    torch.save(RetinaFace("mobilenet0.25").state_dict(), weights)
    monkeypatch.setattr("cityguessr_data.vision.onnx_writer._OPSET", 99)
    with pytest.raises(MachineError, match=r"cannot run the face detector .*--detector-backend torch"):
        GraphBackend("mobilenet0.25", weights, "onnx", "cpu", "fp32")


def test_it_uses_the_threads_of_its_worker(tmp_path: Path) -> None:
    """A worker is told its share of the cores by OMP_NUM_THREADS."""
    torch.save(RetinaFace("mobilenet0.25").state_dict(), tmp_path / "w.pth")
    code = (
        "import sys; from pathlib import Path\n"
        "from cityguessr_data.vision.retinaface.graph_backend import GraphBackend\n"
        "backend = GraphBackend('mobilenet0.25', Path(sys.argv[1]), 'onnx', 'cpu', 'fp32')\n"
        "print(backend._graph._session.get_session_options().intra_op_num_threads)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "w.pth")]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_library_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another processor or release may: faces that it does not find would stay bare."""
    weights = tmp_path / "w.pth"
    torch.save(RetinaFace("mobilenet0.25").state_dict(), weights)
    right = open_graph

    class Wrong:
        device = "cpu"

        def __init__(self, *args: Any) -> None:
            self._graph = right(*args)

        def __call__(self, fed: RGB) -> list[npt.NDArray[np.float32]]:
            deltas, logits = self._graph(fed)
            return [deltas, logits - np.float32([0.0, 0.5])]

    monkeypatch.setattr("cityguessr_data.vision.retinaface.graph_backend.open_graph", Wrong)
    with pytest.raises(MachineError, match="computes another face detector than PyTorch"):
        GraphBackend("mobilenet0.25", weights, "onnx", "cpu", "fp32")
