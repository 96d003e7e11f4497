"""Blurring: against SciPy's Gaussian filter, and the promises of the docstrings as properties."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cityguessr_data.vision.blur import BlurConfig, blur_boxes, grown_box, pixel_region, touched_region

PAPER, STRICT = BlurConfig(), BlurConfig(mode="strict")
SIZES_PX = (24, 60, 120, 240, 400)


def noise(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """A real face, 130 x 130."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image, which the extra `demo` brings")
    return data.astronaut()[60:190, 165:295]


def frame_with_face(face: np.ndarray, size_px: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The face enlarged or reduced so that a box of `size_px` lies in the middle of it, with a margin of a fifth."""
    whole = round(size_px * 1.4)
    start = (whole - size_px) // 2
    filter_ = cv2.INTER_AREA if whole < len(face) else cv2.INTER_CUBIC
    return cv2.resize(face, (whole, whole), interpolation=filter_), (start, start, start + size_px, start + size_px)


def cells(patch: np.ndarray) -> np.ndarray:
    """What can still be told of a patch: 12 x 12 grey."""
    grey = cv2.cvtColor(np.ascontiguousarray(patch), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.resize(grey, (12, 12), interpolation=cv2.INTER_AREA).ravel()


def scipy_blur(patch: np.ndarray, sigma: float, radius: int) -> np.ndarray:
    return ndimage.gaussian_filter(patch.astype(float), sigma, mode="mirror", radius=radius, axes=(0, 1))


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((10.2, 20.7, 70.1, 80.0), (10, 20, 71, 80)),
        ((-30.5, -4.0, 25.5, 200.2), (0, 0, 26, 201)),
        ((300.0, 200.0, 900.0, 900.0), (300, 200, 320, 240)),
        ((50.0, 60.0, 51.0, 61.0), (50, 60, 51, 61)),
        ((50.5, 60.5, 50.5, 60.5), (50, 60, 51, 61)),
        ((0.0, 0.0, 320.0, 240.0), (0, 0, 320, 240)),
    ],
)
def test_paper_is_a_gaussian_on_the_region_alone(box: tuple[float, ...], pixels: tuple[int, int, int, int]) -> None:
    frame = noise()
    expected = frame.astype(float)
    x0, y0, x1, y1 = pixels
    expected[y0:y1, x0:x1] = scipy_blur(frame[y0:y1, x0:x1], 21.0, 31)

    blur_boxes(frame, [box], PAPER)

    # cv2 blurs bytes in fixed point: 2 grey levels off the real-valued filter at most
    assert np.abs(frame - expected).max() <= 2.0


def test_overlapping_boxes_are_blurred_one_by_one() -> None:
    frame = noise()
    expected = frame.astype(float)
    for x0, y0, x1, y1 in ((20, 20, 90, 80), (60, 40, 150, 120)):
        expected[y0:y1, x0:x1] = scipy_blur(expected[y0:y1, x0:x1], 21.0, 31)
    blur_boxes(frame, [(20, 20, 90, 80), (60, 40, 150, 120)], PAPER)
    assert np.abs(frame - expected).max() <= 3.0


def test_strict_is_a_wide_gaussian_at_full_strength_on_the_box() -> None:
    smooth = ndimage.gaussian_filter(noise(400, 500).astype(float), (6, 6, 0))
    frame = np.clip((smooth - 127.5) * 8 + 127.5, 0, 255).astype(np.uint8)
    frame[:, :250] //= 2  # something that a blur this wide still shows
    box = (180.0, 120.0, 320.0, 290.0)
    x0, y0, x1, y1 = (163, 103, 337, 307)  # grown by 10 % of 170 px
    expected = scipy_blur(frame[y0:y1, x0:x1], 0.75 * 170, math.ceil(3 * 0.75 * 170))[17:-17, 17:-17]

    blur_boxes(frame, [box], STRICT)

    assert np.abs(frame[120:290, 180:320] - expected).max() <= 2.0


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_strict_leaves_nothing_of_a_face_whatever_its_size(face: np.ndarray, size_px: int) -> None:
    frame, (x0, y0, x1, y1) = frame_with_face(face, size_px)
    sharp = cells(frame[y0:y1, x0:x1])
    paper = frame.copy()
    blur_boxes(paper, [(x0, y0, x1, y1)], PAPER)
    blur_boxes(frame, [(x0, y0, x1, y1)], STRICT)
    hidden, shown = cells(frame[y0:y1, x0:x1]), cells(paper[y0:y1, x0:x1])
    correlation = float(np.corrcoef(sharp, hidden)[0, 1]) if hidden.std() else 0.0
    assert correlation < 0.6
    assert hidden.std() < 0.08 * sharp.std()
    assert hidden.std() <= shown.std() + 0.5  # never weaker than the paper's, but for rounding


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_paper_leaves_large_faces_readable(face: np.ndarray, size_px: int) -> None:
    """The reason that `strict` exists; should this change, so should the documentation."""
    frame, (x0, y0, x1, y1) = frame_with_face(face, size_px)
    sharp = cells(frame[y0:y1, x0:x1])
    blur_boxes(frame, [(x0, y0, x1, y1)], PAPER)
    correlation = float(np.corrcoef(sharp, cells(frame[y0:y1, x0:x1]))[0, 1])
    assert correlation > 0.9 if size_px >= 240 else correlation < 0.9


@pytest.mark.parametrize("config", [PAPER, STRICT], ids=["paper", "strict"])
def test_fine_detail_is_gone(config: BlurConfig) -> None:
    frame = noise()
    blur_boxes(frame, [(40, 30, 160, 170)], config)
    inside = frame[30:170, 40:160].astype(float)
    assert np.abs(np.diff(inside, axis=0)).max() <= 3
    assert np.abs(np.diff(inside, axis=1)).max() <= 3


def test_strict_fades_out_over_the_margin() -> None:
    frame = noise(400, 400)
    sharp = frame.astype(float)
    blur_boxes(frame, [(100, 100, 300, 300)], STRICT)  # grown: 80 to 320
    change = np.abs(frame - sharp).mean(axis=2)
    inside = change[110:290, 110:290].mean()
    for side in (change, change[:, ::-1], change.T, change.T[:, ::-1]):
        rings = [side[110:290, 300 + i].mean() for i in range(21)]
        assert rings[0] > 0.8 * inside
        assert rings[10] == pytest.approx(inside / 2, rel=0.2)
        assert 0 < rings[19] < 0.1 * inside
        assert rings[20] == 0


coordinate = st.floats(-400, 800, allow_nan=False, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4),
    mode=st.sampled_from(["paper", "strict"]),
)
def test_pixels_outside_keep_every_bit(corners: list[tuple[float, ...]], mode: str) -> None:
    config = BlurConfig(mode=mode)  # type: ignore[arg-type]
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    frame = noise(90, 120)
    sharp = frame.copy()
    y, x = np.mgrid[:90, :120]
    outside = np.ones((90, 120), bool)
    for x0, y0, x1, y1 in boxes:
        margin = 0.1 * max(x1 - x0, y1 - y0) if mode == "strict" else 0.0
        left, top, right, bottom = x0 - margin, y0 - margin, x1 + margin, y1 + margin
        outside &= (x + 1 < left) | (x > right) | (y + 1 < top) | (y > bottom)
    blur_boxes(frame, boxes, config)
    assert np.array_equal(frame[outside], sharp[outside])


@pytest.mark.parametrize("config", [PAPER, STRICT], ids=["paper", "strict"])
@pytest.mark.parametrize("box", [(5.0, 5.0, 6.0, 6.0), (0.2, 0.3, 0.4, 0.5), (319.5, 239.5, 400.0, 300.0)])
def test_a_box_of_one_pixel_works(config: BlurConfig, box: tuple[float, ...]) -> None:
    blur_boxes(noise(), [box], config)


@pytest.mark.parametrize("config", [PAPER, STRICT], ids=["paper", "strict"])
def test_no_box_and_far_away_boxes_change_nothing(config: BlurConfig) -> None:
    frame = noise()
    for boxes in ([], np.zeros((0, 4), np.float32), [(-50, -50, -20, -20)], [(400, 10, 450, 60)], [(321, 0, 321, 9)]):
        blur_boxes(frame, boxes, config)
    assert np.array_equal(frame, noise())


@pytest.mark.parametrize("config", [PAPER, STRICT], ids=["paper", "strict"])
@pytest.mark.parametrize(
    "bad",
    [(math.nan, 0, 5, 5), (0, 0, math.inf, 5), (0, -math.inf, 5, 5), (9, 0, 5, 5), (0, 9, 5, 5)],
)
def test_a_broken_box_is_refused_before_any_pixel_changes(config: BlurConfig, bad: tuple[float, ...]) -> None:
    frame = noise()
    with pytest.raises(ValueError, match="a box is"):
        blur_boxes(frame, [(10, 10, 60, 60), bad], config)
    assert np.array_equal(frame, noise())


def test_what_is_no_writable_rgb_frame_is_refused() -> None:
    frozen = noise()
    frozen.flags.writeable = False
    for frame in (frozen, noise()[..., 0], noise().astype(np.float32), np.zeros((9, 9, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected a"):
            blur_boxes(frame, [(1, 1, 5, 5)], PAPER)
    with pytest.raises(ValueError, match=r"expected boxes \(N, 4\)"):
        blur_boxes(noise(), [(1, 1, 5, 5, 0.9)], PAPER)


def test_strided_frames_are_blurred_like_packed_ones() -> None:
    wide = np.concatenate([noise(), noise(seed=1)], axis=1)
    view, packed = wide[:, 40:360], wide[:, 40:360].copy()
    for config in (PAPER, STRICT):
        blur_boxes(view, [(30, 30, 99, 120)], config)
        blur_boxes(packed, [(30, 30, 99, 120)], config)
    assert np.array_equal(view, packed)


def test_regions_by_hand() -> None:
    assert grown_box((10, 20, 30, 60)) == pytest.approx((6, 16, 34, 64))
    assert pixel_region((10.9, 20.1, 30.0, 60.5), 100, 100) == (10, 20, 30, 61)
    assert pixel_region((-5, -5, 0, 9), 100, 100) is None
    assert pixel_region((7.5, 8.0, 7.5, 8.0), 100, 100) == (7, 8, 8, 9)
    assert touched_region((10, 20, 30, 60), 100, 62, PAPER) == (10, 20, 30, 60)
    assert touched_region((10, 20, 30, 60), 100, 62, STRICT) == (6, 16, 34, 62)


@pytest.mark.parametrize("fields", [{"mode": "pixelate"}, {"kernel_px": 62}, {"kernel_px": -1}, {"sigma_px": 0.0}])
def test_a_configuration_that_means_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        BlurConfig(**fields)  # type: ignore[arg-type]
