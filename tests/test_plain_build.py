"""The reference that builds are measured against finds the faces that ours finds, and does the whole job."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.data import astronaut

from benchmarks.plain_build import PlainBuild, PlainDetector, PlainScenes, blur_faces
from benchmarks.random_networks import write_resnet18, write_retinaface
from cityguessr_data.vision.retinaface import DetectorConfig, FaceDetector
from cityguessr_data.vision.retinaface.net import Backbone
from tests.support_peers import asset, given_weights
from tests.support_video import numbered_video, read_number

RGB = npt.NDArray[np.uint8]


def photo(height: int, width: int) -> RGB:
    return cv2.resize(astronaut(), (width, height), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def mobile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobile.pth"
    write_retinaface("mobilenet0.25", photo(160, 208)[np.newaxis], path)
    return path


def assert_equal_faces(backbone: Backbone, weights: Path, rgb: RGB, at_least: int) -> None:
    """In fp32, box by box in the order of their scores."""
    boxes, scores = PlainDetector(backbone, weights, confidence=0.05).detect(rgb)
    ours = FaceDetector(DetectorConfig(backbone, backend="torch", device="cpu"), weights).detect(rgb[np.newaxis])[0]
    height, width = rgb.shape[:2]
    assert len(scores) == len(ours) >= at_least
    np.testing.assert_allclose(boxes.clip(0, [width, height, width, height]), ours.boxes, atol=0.5)
    np.testing.assert_allclose(scores, ours.scores, atol=1e-3)


@pytest.mark.parametrize("size", [(160, 208), (149, 203)])
def test_the_reference_finds_the_same_boxes_with_random_mobilenet(tmp_path: Path, size: tuple[int, int]) -> None:
    rgb = photo(*size)
    write_retinaface("mobilenet0.25", rgb[np.newaxis], tmp_path / "mobile.pth")
    assert_equal_faces("mobilenet0.25", tmp_path / "mobile.pth", rgb, at_least=10)


def test_the_reference_finds_the_same_boxes_with_random_resnet50(tmp_path: Path) -> None:
    rgb = photo(128, 160)
    write_retinaface("resnet50", rgb[np.newaxis], tmp_path / "resnet50.pth")
    assert_equal_faces("resnet50", tmp_path / "resnet50.pth", rgb, at_least=10)


def test_the_reference_finds_the_same_faces_with_real_weights() -> None:
    weights = given_weights("retinaface_mobilenet0.25.pth")
    bgr = cv2.imread(str(asset("faces/0_Parade_marchingband_1_149.jpg")))
    assert_equal_faces("mobilenet0.25", weights, np.ascontiguousarray(bgr[..., ::-1]), at_least=24)


def test_random_networks_are_the_same_again_and_leave_the_asked_number_of_candidates(
    mobile: Path, tmp_path: Path
) -> None:
    rgb = photo(160, 208)
    with torch.random.fork_rng():
        torch.manual_seed(1234)  # another state than the one before the first time
        before = torch.random.get_rng_state()
        write_retinaface("mobilenet0.25", rgb[np.newaxis], tmp_path / "again.pth")
        assert torch.equal(torch.random.get_rng_state(), before)
    first, second = (torch.load(path, weights_only=True) for path in (mobile, tmp_path / "again.pth"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    detector = PlainDetector("mobilenet0.25", mobile, confidence=0.499, nms_iou=1.0)  # the 40th stands at 0.5
    assert len(detector.detect(rgb)[1]) == 40


def test_faces_are_pasted_from_a_blur_of_the_whole_picture() -> None:
    bgr = photo(96, 128)
    blurred = cv2.GaussianBlur(bgr, (63, 63), 21)
    hidden = blur_faces(bgr, np.array([[-5.0, 10.2, 20.5, 29.4], [100.0, 80.0, 140.0, 120.0]], np.float32))
    inside = np.zeros((96, 128), bool)
    inside[10:30, :21] = inside[80:, 100:] = True
    assert np.array_equal(hidden[inside], blurred[inside])
    assert np.array_equal(hidden[~inside], bgr[~inside])


def test_the_script_saves_the_frames_that_a_build_samples(mobile: Path, tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "v.mp4", 40)
    write_resnet18(tmp_path / "scenes.pth")
    script = PlainBuild(PlainDetector("mobilenet0.25", mobile, confidence=1.0), PlainScenes(tmp_path / "scenes.pth"))
    found = script.clip(video, 10, 25, 4, tmp_path)
    saved = [cv2.imread(str(tmp_path / f"{place:03d}.jpg")) for place in (1, 2, 3, 4)]
    assert [read_number(rgb) for rgb in saved] == [10, 16, 22, 28]  # 10 + p * 25 // 4
    assert all(0 <= scene < 365 for _, _, scene in found)
    assert set(script.seconds) == {"seek and decode", "detect", "blur", "scene", "save"}
    with pytest.raises(ValueError, match="frame 40 cannot be read"):
        script.clip(video, 30, 20, 2, tmp_path)
