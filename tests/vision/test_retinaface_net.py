"""The network: shapes, folding, batching, and that nothing but the right weights loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cityguessr_data.core.errors import WeightsError
from cityguessr_data.vision.folding import fold_batch_norms
from cityguessr_data.vision.retinaface.boxes import priors
from cityguessr_data.vision.retinaface.net import Backbone, RetinaFace, rename_published
from cityguessr_data.vision.retinaface.onnx_graph import folded_state_dict, our_name
from cityguessr_data.vision.retinaface.torch_backend import load_network
from tests.support_peers import given_weights, tiny_graph

BACKBONES: list[Backbone] = ["mobilenet0.25", "resnet50"]


def random_network(backbone: Backbone, seed: int = 0) -> RetinaFace:
    """Random weights and random running statistics, in eval mode; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RetinaFace(backbone).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.0)
                torch.nn.init.uniform_(module.bias, -0.5, 0.5)
                assert module.running_mean is not None and module.running_var is not None
                torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
                torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.requires_grad_(False)


def noise(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (37, 70)])
def test_one_output_an_anchor_at_any_size(backbone: Backbone, size: tuple[int, int]) -> None:
    deltas, logits, landmarks = random_network(backbone)(noise(2, *size))
    n = len(priors(*size))
    assert (deltas.shape, logits.shape, landmarks.shape) == ((2, n, 4), (2, n, 2), (2, n, 10))


def test_landmarks_can_be_left_out() -> None:
    assert len(RetinaFace("mobilenet0.25", landmarks=False).eval()(noise(1, 32, 32))) == 2


@pytest.mark.parametrize("backbone", BACKBONES)
def test_folding_batch_norms_changes_nothing(backbone: Backbone) -> None:
    network = random_network(backbone)
    before = network(noise(1, 64, 96))
    fold_batch_norms(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    for was, now in zip(before, network(noise(1, 64, 96)), strict=True):
        torch.testing.assert_close(now, was, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_frame_does_not_depend_on_its_neighbours_in_the_batch(backbone: Backbone) -> None:
    network, images = random_network(backbone), noise(3, 64, 64)
    for i in range(3):
        for whole, single in zip(network(images), network(images[i : i + 1]), strict=True):
            torch.testing.assert_close(whole[i : i + 1], single, rtol=1e-4, atol=1e-4)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        RetinaFace("resnet18")  # type: ignore[arg-type]


def test_published_names_become_ours() -> None:
    published = {
        "module.body.conv1.weight": torch.zeros(1),
        "ssh1.conv5X5_1.1.running_mean": torch.zeros(1),
        "ssh2.conv7x7_3.0.weight": torch.zeros(1),
        "BboxHead.2.conv1x1.bias": torch.zeros(1),
    }
    expected = ["body.conv1.weight", "ssh1.reduce.1.running_mean", "ssh2.context7.0.weight", "box_heads.2.bias"]
    assert list(rename_published(published)) == expected


def test_a_missing_tensor_or_another_network_is_refused(tmp_path: Path) -> None:
    state = random_network("mobilenet0.25").state_dict()
    torch.save({k: v for k, v in state.items() if k != "ssh2.context7.0.weight"}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"short.pth does not hold RetinaFace mobilenet0.25"):
        load_network("mobilenet0.25", tmp_path / "short.pth")
    torch.save(state, tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match="does not hold RetinaFace resnet50"):
        load_network("resnet50", tmp_path / "whole.pth")


def test_the_published_mobilenet_file_loads_whole() -> None:
    state = torch.load(given_weights("retinaface_mobilenet0.25.pth"), map_location="cpu", weights_only=True)
    network = RetinaFace("mobilenet0.25")
    network.load_state_dict(rename_published(state), strict=True)
    loaded = network.state_dict()
    assert len(loaded) == len(state)
    assert torch.equal(loaded["ssh3.deepen.0.weight"], state["ssh3.conv7X7_2.0.weight"])


def test_the_published_graph_fills_the_folded_network_exactly(tmp_path: Path) -> None:
    state = folded_state_dict(tiny_graph(tmp_path))
    network = RetinaFace("mobilenet0.25").eval()
    fold_batch_norms(network)
    assert sorted(state) == sorted(network.state_dict())
    network.load_state_dict(state, strict=True)


def test_a_graph_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not part of RetinaFace"):
        our_name("/features/features.0/Conv")
    (tmp_path / "broken.onnx").write_bytes(b"this is no graph")
    with pytest.raises(WeightsError):
        load_network("mobilenet0.25", tmp_path / "broken.onnx")
