"""FaceDetector: what it promises its caller, and that it fails closed."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from cityguessr_data.core.errors import ErrorClass, InputError, MachineError, VideoError, WeightsError
from cityguessr_data.vision.retinaface import DetectorConfig, FaceDetector
from cityguessr_data.vision.retinaface.net import RetinaFace
from cityguessr_data.vision.retinaface.preprocess import NORMALISATIONS, as_network_input, scaled
from cityguessr_data.vision.retinaface.pypi_adapter import PypiDetector
from tests.support_peers import RETINAFACE_PYTORCH, asset, peer_folder, peer_modules, published_resnet50, tiny_graph

RGB = npt.NDArray[np.uint8]
MOBILE = DetectorConfig("mobilenet0.25", device="cpu")
BACKENDS = ["torch", "onnx", *(["openvino"] if find_spec("openvino") else [])]


def photo(name: str) -> RGB:
    image = cv2.imread(str(asset(f"faces/{name}")))
    return np.ascontiguousarray(image[:, :, ::-1])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def detector(graph: Path) -> FaceDetector:
    return FaceDetector(MOBILE, graph)


def saved_network(path: Path, fill: float | None = None, head: str = "box_heads") -> Path:
    """Weights of an untrained MobileNet; `fill` is put into one bias of a head, or one weight of the body."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = RetinaFace("mobilenet0.25").state_dict()
    if fill is not None:
        state["body.stage1.0.0.weight" if head == "body" else f"{head}.1.bias"].view(-1)[2] = fill
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "yolo"},
        {"backend": "tf"},
        {"device": "mps"},
        {"precision": "int8"},
        {"size_px": 16},
        {"scale": 0.0},
        {"scale": float("nan")},
        {"nms_iou": 0.0},
        {"keep_score": 1.0},
    ],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        DetectorConfig(**wrong)


def test_the_defaults_are_the_papers() -> None:
    config = DetectorConfig()
    assert (config.name, config.nms_iou, config.keep_score, config.size_px) == ("resnet50", 0.3, 0.05, 1280)


def test_each_backbone_sees_pixels_as_it_was_trained() -> None:
    frame = torch.tensor([[[[10, 20, 30]]]], dtype=torch.uint8)
    mobile = as_network_input(frame, NORMALISATIONS["mobilenet0.25"]).flatten().tolist()
    assert mobile == [30 - 104, 20 - 117, 10 - 123]
    resnet = as_network_input(frame, NORMALISATIONS["resnet50"]).flatten().tolist()
    by_hand = [(10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225]
    assert resnet == pytest.approx(by_hand, abs=1e-5)


def test_only_large_frames_are_scaled() -> None:
    assert scaled(np.zeros((2, 1440, 2560, 3), np.uint8), 1280).shape == (2, 720, 1280, 3)
    assert scaled(np.zeros((1, 1000, 10, 3), np.uint8), 500).shape == (1, 500, 5, 3)
    small = np.zeros((1, 90, 160, 3), np.uint8)
    assert scaled(small, 1280) is small
    assert scaled(small, 1280, 1.5).shape == (1, 135, 240, 3)
    assert scaled(np.zeros((1, 1440, 2560, 3), np.uint8), 1280, 1.5).shape == (1, 1080, 1920, 3)


@pytest.mark.parametrize(
    "frames", [np.zeros((9, 9, 3), np.uint8), np.zeros((1, 9, 9, 3)), np.zeros((1, 0, 9, 3), np.uint8)]
)
def test_frames_of_another_shape_are_refused(frames: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected frames \(B, H, W, 3\) uint8 RGB"):
        FaceDetector(MOBILE, saved_network(tmp_path / "w.pth")).detect(frames)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_that_are_not_finite_fail_the_video(tmp_path: Path, backend: Any) -> None:
    """A library that takes them for 0 would find no face, and nothing would be blurred."""
    config = dataclasses.replace(MOBILE, backend=backend)
    frames = np.full((1, 64, 64, 3), 128, np.uint8)
    assert FaceDetector(config, saved_network(tmp_path / "good.pth")).detect(frames)
    for fill, head in [(1e6, "box_heads"), (1e38, "box_heads")]:  # what comes of them is not
        with pytest.raises(VideoError) as caught:
            FaceDetector(config, saved_network(tmp_path / "bad.pth", fill, head)).detect(frames)
        assert caught.value.error_class is ErrorClass.DETECTOR
    for fill in (float("nan"), float("inf"), -float("inf")):
        for head in ("box_heads", "class_heads", "body"):
            with pytest.raises(WeightsError, match="numbers that are not finite"):
                FaceDetector(config, saved_network(tmp_path / "bad.pth", fill, head))


def test_a_network_that_cannot_run_fails_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = FaceDetector(MOBILE, saved_network(tmp_path / "w.pth"))

    def out_of_memory(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(detector, "forward", out_of_memory)
    with pytest.raises(VideoError, match="not enough memory") as caught:
        detector.detect(np.zeros((1, 64, 64, 3), np.uint8))
    assert caught.value.error_class is ErrorClass.DETECTOR


def test_digest_and_description_name_the_weights(tmp_path: Path) -> None:
    path = saved_network(tmp_path / "w.pth")
    detector = FaceDetector(MOBILE, path)
    assert detector.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    described = detector.describe()
    assert described["weights_sha256"] == detector.digest
    assert (described["detector"], described["device"], described["size_px"]) == (
        "retinaface-mobilenet0.25",
        "cpu",
        1280,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_holds_no_weights_of_the_network_is_refused(tmp_path: Path, backend: Any) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(WeightsError, match=r"broken.onnx is not an ONNX graph"):
        FaceDetector(DetectorConfig("mobilenet0.25", backend=backend, device="cpu"), tmp_path / "broken.onnx")
    with pytest.raises(WeightsError, match="does not hold RetinaFace resnet50"):
        FaceDetector(DetectorConfig("resnet50", backend=backend, device="cpu"), saved_network(tmp_path / "w.pth"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gpu_that_is_not_there_is_said(backend: Any, graph: Path) -> None:
    with pytest.raises(MachineError, match="CUDA"):
        FaceDetector(DetectorConfig("mobilenet0.25", backend=backend, device="cuda"), graph)


def test_detections_are_sorted_clipped_and_repeatable(detector: FaceDetector) -> None:
    frame = photo("0_Parade_marchingband_1_149.jpg")
    frame = frame[:, 215:]  # cuts through the face at x = 213
    found = detector.detect(frame[None])[0]
    assert len(found) > 20
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.05
    assert found.boxes.min() >= 0
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (found.boxes[:, 2:] <= [frame.shape[1], frame.shape[0]]).all()
    again = detector.detect(frame[None])[0]
    np.testing.assert_array_equal(again.boxes, found.boxes)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_a_batch_gives_what_its_frames_give_alone(detector: FaceDetector) -> None:
    first = photo("0_Parade_marchingband_1_149.jpg")[:, :640]
    batch = np.stack([first, first[:, ::-1], np.zeros_like(first)])
    for frame, found in zip(batch, detector.detect(batch), strict=True):
        alone = detector.detect(frame[None])[0]
        np.testing.assert_array_equal(alone.boxes, found.boxes)
        np.testing.assert_array_equal(alone.scores, found.scores)
    assert detector.detect(np.zeros((0, 64, 64, 3), np.uint8)) == []


def test_a_black_frame_has_no_face(detector: FaceDetector) -> None:
    assert (detector.detect(np.zeros((1, 360, 640, 3), np.uint8))[0].scores < 0.5).all()


@pytest.mark.parametrize("factor", [2, 3])
def test_boxes_are_in_px_of_the_frame_whatever_its_size(detector: FaceDetector, graph: Path, factor: int) -> None:
    """A photo enlarged `factor` times and shrunk back inside is the photo: its boxes are the photo's times `factor`."""
    frame = photo("ternaus_13.jpg")
    height, width = frame.shape[:2]
    large = cv2.resize(frame, (width * factor, height * factor), interpolation=cv2.INTER_NEAREST)
    small = DetectorConfig("mobilenet0.25", device="cpu", size_px=width)
    found, expected = FaceDetector(small, graph).detect(large[None])[0], detector.detect(frame[None])[0]
    np.testing.assert_allclose(found.boxes, expected.boxes * factor, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def albumentations_stub() -> dict[str, ModuleType]:
    """The three classes that retinaface-pytorch takes from albumentations, as its documentation describes them."""

    class LongestMaxSize:
        def __init__(self, max_size: int, p: float) -> None:
            self.max_size = max_size

        def __call__(self, image: Any) -> Any:
            height, width = image.shape[:2]
            scale = self.max_size / max(height, width)
            return image if scale == 1 else cv2.resize(image, (round(width * scale), round(height * scale)))

    class Normalize:
        def __init__(self, p: float) -> None:
            pass

        def __call__(self, image: Any) -> Any:
            scaled = image.astype(np.float32) / np.float32(255)
            return (scaled - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])

    class Compose:
        def __init__(self, steps: list[Any]) -> None:
            self.steps = steps

        def __call__(self, image: Any) -> dict[str, Any]:
            for step in self.steps:
                image = step(image)
            return {"image": image}

    module = ModuleType("albumentations")
    vars(module).update(LongestMaxSize=LongestMaxSize, Normalize=Normalize, Compose=Compose)
    return {"albumentations": module}


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning")
@pytest.mark.filterwarnings("ignore:Arguments other than a weight enum:UserWarning")
def test_the_adapter_gives_what_the_package_gives(tmp_path: Path) -> None:
    """Untrained ResNet-50 with a class bias that leaves some detections; the package rounds to two digits."""
    path = tmp_path / "resnet50.pth"
    torch.save(published_resnet50(), path)
    blocks = np.random.default_rng(0).integers(0, 256, (2, 15, 20, 3), dtype=np.uint8)
    frames = np.kron(blocks, np.ones((1, 16, 16, 1), np.uint8))
    config = DetectorConfig("resnet50", device="cpu", keep_score=0.5, nms_iou=0.8)
    with peer_modules(peer_folder(RETINAFACE_PYTORCH), "retinaface.predict_single", stubs=albumentations_stub()):
        adapter = PypiDetector(config, path)
        theirs = adapter.detect(frames)
        assert adapter.describe()["detector"] == "retinaface-pytorch"
    ours = FaceDetector(config, path).detect(frames)
    assert adapter.digest == FaceDetector(config, path).digest
    for our, their in zip(ours, theirs, strict=True):
        assert len(our) == len(their) > 10
        np.testing.assert_allclose(our.boxes, their.boxes, atol=0.5)
        np.testing.assert_allclose(our.scores, their.scores, atol=0.0051)


def test_the_adapter_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retinaface", None)
    with pytest.raises(MachineError, match="pip install --no-deps retinaface-pytorch"):
        PypiDetector(DetectorConfig("resnet50", device="cpu"), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"no mobilenet0\.25"):
        PypiDetector(MOBILE, tmp_path / "w.pth")


def test_no_face_of_the_package_is_no_detection() -> None:
    adapter = PypiDetector.__new__(PypiDetector)
    adapter.config = DetectorConfig("resnet50", device="cpu")
    model = SimpleNamespace(predict_jsons=lambda *_, **__: [{"bbox": [], "score": -1, "landmarks": []}])
    assert len(adapter._detect_one(model, np.zeros((8, 8, 3), np.uint8))) == 0
