"""The measure: JPEG error of other encoders is no fault, a box that is not blurred or another frame is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cityguessr_data.review.decisions import Box
from cityguessr_data.verify.clip_index import ClipIndex, keys_of
from cityguessr_data.verify.compare import decoded, differences, expected_jpeg
from cityguessr_data.verify.pictures import picture_kind
from cityguessr_data.verify.sources import pick
from cityguessr_data.vision.blur import BlurConfig

BOXES: list[Box] = [(20.0, 60.0, 110.5, 170.0), (150.0, 20.0, 162.0, 34.0), (200.0, 100.0, 290.0, 220.0)]
BLURS = [BlurConfig(), BlurConfig(mode="strict")]


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A real photograph with a face, under fine noise."""
    from skimage.data import astronaut

    rng = np.random.default_rng(1)
    picture = astronaut()[:240, 100:420].astype(int) + rng.integers(-6, 7, (240, 320, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def pillow(rgb: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    """The picture as another encoder keeps it, read by another decoder."""
    held = io.BytesIO()
    Image.fromarray(rgb).save(held, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(held))


def wrong(saved: np.ndarray, source: np.ndarray, blur: BlurConfig, boxes: list[Box] = BOXES) -> list[str]:
    return differences(saved, source, decoded(expected_jpeg(source, boxes, blur, 95)), boxes, blur)


@pytest.mark.parametrize("blur", BLURS, ids=["paper", "strict"])
@pytest.mark.parametrize(("quality", "subsampling"), [(95, 2), (95, 0), (85, 2), (75, 2)])
def test_other_encoders_are_no_fault(scene: np.ndarray, blur: BlurConfig, quality: int, subsampling: int) -> None:
    blurred = decoded(expected_jpeg(scene, BOXES, blur, 100))
    assert wrong(pillow(blurred, quality, subsampling), scene, blur) == []


@pytest.mark.parametrize("blur", BLURS, ids=["paper", "strict"])
@pytest.mark.parametrize("missing", range(len(BOXES)))
def test_a_box_that_was_not_blurred(scene: np.ndarray, blur: BlurConfig, missing: int) -> None:
    boxes = [box for i, box in enumerate(BOXES) if i != missing]
    saved = decoded(expected_jpeg(scene, boxes, blur, 95))
    assert wrong(saved, scene, blur) == ["1 of its 3 blurred boxes are not blurred as recorded"]


def test_a_face_in_the_dark_that_was_not_blurred(scene: np.ndarray) -> None:
    """Its contrast is that of JPEG errors, but the picture is the source's."""
    dark = (scene.astype(int) // 12).astype(np.uint8)
    saved = decoded(expected_jpeg(dark, BOXES[1:], BlurConfig(), 95))
    assert wrong(saved, dark, BlurConfig()) == ["1 of its 3 blurred boxes are not blurred as recorded"]
    assert wrong(pillow(decoded(expected_jpeg(dark, BOXES, BlurConfig(), 95)), 90, 2), dark, BlurConfig()) == []


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_another_frame(scene: np.ndarray, shift: int) -> None:
    """A camera that has moved by `shift` px."""
    moved = np.roll(scene, shift, axis=1)
    saved = decoded(expected_jpeg(moved, BOXES, BlurConfig(), 95))
    assert any("not its source's frame" in what for what in wrong(saved, scene, BlurConfig()))


def test_a_small_change_outside_of_the_boxes(scene: np.ndarray) -> None:
    painted = scene.copy()
    painted[0:16, 300:316] = 255 - painted[0:16, 300:316]
    saved = decoded(expected_jpeg(painted, BOXES, BlurConfig(), 95))
    assert any("not its source's frame" in what for what in wrong(saved, scene, BlurConfig()))


def test_another_size(scene: np.ndarray) -> None:
    assert wrong(scene[:200], scene, BlurConfig()) == ["is 320x200 px, its source 320x240"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), unique=True), st.integers(1, 12))
def test_a_sample_is_of_the_frames_and_prefers_blurred_ones(places: list[tuple[str, int]], n: int) -> None:
    boxed = [place for place in places if place[1] % 3 == 0]
    chosen = pick(places, boxed, n)
    assert len(chosen) == len(set(chosen)) == min(n, len(places)) and set(chosen) <= set(places)
    assert len(set(chosen) & set(boxed)) >= min(len(boxed), (n + 1) // 2)
    assert chosen == pick(reversed(places), boxed, n)


@given(st.lists(st.text(max_size=4), max_size=40))
def test_clips_are_found_again(names: list[str]) -> None:
    index = ClipIndex()
    for name in names:
        index.add(name, name[:1], None)
    rows = index.find(keys_of([*names, "a name of more letters"]))
    assert [names[row] for row in rows[:-1]] == names and rows[-1] == -1
    assert len(index.twice()) == len({name for name in names if names.count(name) > 1})


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "a JPEG"), (b"\x89PNG\r\n\x1a\n", "a PNG"), (b"RIFF0000WEBPVP8 ", "an AVI or WebP"),
        (b"\0\0\0\x20ftypisom", "an MP4, MOV, HEIF or AVIF"), (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
        ((b"G" + bytes(187)) * 3, "a transport stream"), (b"BM\x36\x84\x03\0\0\0\0\0", "a BMP"),
        (bytes(257) + b"ustar", "a tar"), (b"PAR1", None), (b"{}", None), (b"BMW", None), (b"", None), (b"G" * 8, None),
    ],
)  # fmt: skip
def test_first_bytes(head: bytes, kind: str | None) -> None:
    assert picture_kind(head) == kind
