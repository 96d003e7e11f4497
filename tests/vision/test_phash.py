"""The perceptual hash: against the `imagehash` package, and what it is for."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cityguessr_data.vision.phash import distance, phash

imagehash = pytest.importorskip("imagehash", reason="needs imagehash, which the extra `dev` brings")


def photos() -> list[np.ndarray]:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image, which the extra `demo` brings")
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.hubble_deep_field(), data.rocket()]
    folder = os.environ.get("CGTOOL_ASSETS")
    files = sorted(Path(folder, "faces").glob("*.jpg")) if folder else []
    return pictures + [np.asarray(Image.open(f).convert("RGB")) for f in files]


def as_unsigned(value: int) -> int:
    return value & (2**64 - 1)


def test_the_same_bits_as_imagehash_where_nothing_is_resized() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        grey = rng.integers(0, 256, (32, 32), dtype=np.uint8)
        theirs = int(str(imagehash.phash(Image.fromarray(grey))), 16)
        assert as_unsigned(phash(np.stack([grey] * 3, axis=-1))) == theirs


def test_few_bits_from_imagehash_on_photos() -> None:
    for photo in photos():
        theirs = int(str(imagehash.phash(Image.fromarray(photo))), 16)
        assert distance(phash(photo), theirs) <= 4


def test_recompressing_and_brightening_change_few_bits() -> None:
    for photo in photos():
        original = phash(photo)
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "JPEG", quality=60)
        assert distance(original, phash(np.asarray(Image.open(buffer)))) <= 8
        brighter = np.clip(photo.astype(int) + 12, 0, 255).astype(np.uint8)
        assert distance(original, phash(brighter)) <= 8


def test_different_pictures_are_far_apart() -> None:
    hashes = [phash(photo) for photo in photos()]
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) >= 16


def test_it_fits_a_signed_64_bit_column() -> None:
    values = [phash(photo) for photo in photos()]
    assert all(-(2**63) <= v < 2**63 for v in values)
    assert any(v < 0 for v in values)  # the first bit is the mean grey, which is above the median almost always


def test_flat_frames_of_any_size_and_grey_have_one_hash() -> None:
    """Black frames are common; noise of the arithmetic must not make bits of them."""
    hashes = {phash(np.full((h, w, 3), g, np.uint8)) for h, w in ((720, 1280), (37, 53)) for g in (1, 16, 200, 255)}
    assert hashes == {-(2**63)}
    assert phash(np.zeros((720, 1280, 3), np.uint8)) == 0


def test_what_varies_one_way_only_has_bits_of_that_way_only() -> None:
    """The other frequencies are 0 but for the noise of the arithmetic, and the median is 0."""
    for seed in range(20):
        row = np.random.default_rng(seed).integers(0, 256, 32, dtype=np.uint8)
        stripes = np.broadcast_to(row[None, :, None], (32, 32, 3)).copy()
        assert as_unsigned(phash(stripes)) & (2**56 - 1) == 0


def test_an_inexact_dct_makes_no_bits_of_a_flat_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = cv2.dct

    def inexact(picture: np.ndarray) -> np.ndarray:
        return exact(picture) + np.random.default_rng(0).normal(scale=1e-4, size=picture.shape)

    monkeypatch.setattr(cv2, "dct", inexact)
    assert phash(np.full((72, 128, 3), 90, np.uint8)) == -(2**63)


def test_distance_counts_bits() -> None:
    assert distance(-1, 0) == 64
    assert distance(-(2**63), 0) == 1
    assert distance(0b1011, 0b0010) == 2


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a uint8 frame"):
        phash(np.zeros((9, 9), np.uint8))
