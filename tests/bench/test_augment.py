"""Augmentation by its properties: one look a clip, never mirrored, drawn by a key; formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from cityguessr_bench import augment
from cityguessr_bench.augment import N_NUMBERS, Kind, draw, look

SAME = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, *(1.0, 0, 0), *(0, 1.0, 0), *(0, 0, 1.0), 0.0]
HEIGHT, WIDTH, X, Y, BRIGHTNESS, CONTRAST, RED, GREEN, BLUE, GREY = range(10)
MIX, NEGATIVE = slice(10, 19), 19


def _numbers(**changes: float) -> Tensor:
    row = list(SAME)
    for name, value in changes.items():
        row[globals()[name]] = value
    return torch.tensor([row])


def _noise(b: int = 1, t: int = 2, side: int = 16) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (b, t, 3, side, side), dtype=torch.uint8, generator=g)


def _drawn(n: int, seed: int = 0, kind: Kind = "light") -> Tensor:
    return torch.from_numpy(np.stack([draw(np.random.default_rng((seed, i)), kind) for i in range(n)]))


def test_numbers_that_say_nothing_change_nothing() -> None:
    clips = _noise()
    torch.testing.assert_close(look(clips, torch.tensor([SAME])), clips.float() / 255, atol=1e-5, rtol=0)


def test_every_frame_of_a_clip_gets_the_same_look_and_clips_do_not() -> None:
    clips = _noise(1, 1).expand(40, 5, -1, -1, -1)
    seen = look(clips, _drawn(40))
    assert torch.equal(seen, seen[:, :1].expand_as(seen))
    assert len({tuple(clip.flatten().tolist()) for clip in seen[:, 0]}) == 40
    assert seen.dtype == torch.float32 and seen.min() >= 0 and seen.max() <= 1


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.sampled_from(["light", "strong"]))
def test_never_a_flip(seed: int, kind: Kind) -> None:
    """A picture that grows brighter to the right and downwards still does, or is a negative in both directions."""
    ramp = torch.arange(16) * 6
    picture = (ramp[:, None] + ramp[None, :] + 30).to(torch.uint8)
    numbers = draw(np.random.default_rng(seed), kind)
    seen = look(picture.expand(1, 2, 3, 16, 16), torch.from_numpy(numbers)[None])
    if numbers[NEGATIVE]:
        seen = 1 - seen
    for axis in (3, 4):
        assert (seen.diff(dim=axis) >= -1e-5).all() and (seen.diff(dim=axis) > 1e-4).any()


@given(st.integers(0, 10**6))
def test_drawn_numbers_are_within_their_ranges(seed: int) -> None:
    numbers = draw(np.random.default_rng(seed))
    assert numbers.dtype == np.float32 and numbers.shape == (N_NUMBERS,)
    assert np.array_equal(numbers, draw(np.random.default_rng(seed)))
    height, width, x, y = numbers[:4].tolist()
    assert min(height, width) >= augment.SMALLEST_CROP and max(height, width) <= 1
    assert abs(x) <= 1 - width + 1e-6 and abs(y) <= 1 - height + 1e-6  # the crop lies within the frame
    factors = np.log(numbers[CONTRAST : BLUE + 1])
    assert (np.abs(factors) <= augment.COLOUR + 1e-5).all() and 0 <= numbers[GREY] <= 1


def test_draws_are_spread_as_said() -> None:
    numbers = _drawn(4000).double().numpy()
    assert (numbers[:, GREY] == 0).mean() == pytest.approx(1 - augment.GREY, abs=0.03)
    assert numbers[:, HEIGHT].mean() == pytest.approx((1 + augment.SMALLEST_CROP) / 2, abs=0.01)
    assert np.log(numbers[:, BRIGHTNESS]).std() == pytest.approx(augment.BRIGHTNESS, abs=0.01)
    assert np.log(numbers[:, RED]).std() == pytest.approx(2 * augment.COLOUR / 12**0.5, abs=0.01)
    correlations = np.corrcoef(np.log(np.maximum(numbers[:, [HEIGHT, WIDTH, BRIGHTNESS, CONTRAST, RED, GREEN]], 0.1)).T)
    assert np.abs(correlations - np.eye(6)).max() < 0.08


def test_a_crop_is_what_it_says() -> None:
    """The left half and the lower half, resized as torch's own resizing does; off its border, where that one stops."""
    pixels = _noise().float() / 255
    left = look(_noise(), _numbers(WIDTH=0.5, X=-0.5))
    expected = functional.interpolate(pixels[0, :, :, :, :8], size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(left[0, ..., 1:-1], expected[..., 1:-1], atol=1e-4, rtol=0)
    lower = look(_noise(), _numbers(HEIGHT=0.5, Y=0.5))
    expected = functional.interpolate(pixels[0, :, :, 8:], size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(lower[0, :, :, 1:-1], expected[:, :, 1:-1], atol=1e-4, rtol=0)


def test_colours_by_their_formula() -> None:
    clips = _noise() // 4 + 60  # nothing is cut off at 0 or 1
    seen = look(clips, _numbers(BRIGHTNESS=1.1, CONTRAST=0.8, RED=1.2, GREEN=0.9, GREY=0.25))[0].double().numpy()
    pixels = clips[0].double().numpy() / 255
    mean = pixels.mean(axis=(0, 2, 3), keepdims=True)
    expected = ((pixels - mean) * 0.8 + mean * 1.1) * np.array([1.2, 0.9, 1.0])[None, :, None, None]
    expected = 0.75 * expected + 0.25 * expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    grey = look(clips, _numbers(GREY=1.0))
    torch.testing.assert_close(grey, grey[:, :, :1].expand_as(grey))


def test_strong_mixes_colours_and_makes_negatives() -> None:
    light, strong = (_drawn(2000, kind=kind).double().numpy() for kind in ("light", "strong"))
    np.testing.assert_array_equal(light[:, 10:], np.tile(SAME[10:], (2000, 1)))
    np.testing.assert_array_equal(light[:, :10], strong[:, :10])  # all that light does, and more
    mixes = strong[:, MIX].reshape(-1, 3, 3)
    np.testing.assert_allclose(mixes.sum(axis=2), 1, atol=1e-6)  # of colours from 0 to 1 come such again
    assert mixes.min() >= 0
    mixed = (mixes != np.eye(3)).any(axis=(1, 2))
    assert mixed.mean() == pytest.approx(augment.MIXED, abs=0.04)
    assert strong[:, NEGATIVE].mean() == pytest.approx(augment.NEGATIVE, abs=0.04)
    clips = _noise()
    rows = torch.from_numpy(strong[mixed & (strong[:, NEGATIVE] == 1)][:1]).float()
    rows[:, :10] = torch.tensor(SAME[:10])
    expected = 1 - np.einsum("ij,tjhw->tihw", mixes[mixed & (strong[:, NEGATIVE] == 1)][0], clips[0].numpy() / 255)
    np.testing.assert_allclose(look(clips, rows)[0].numpy(), expected, atol=1e-5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8 clips"):
        look(_noise().float(), torch.tensor([SAME]))
    with pytest.raises(ValueError, match="expected uint8 clips"):
        look(_noise(2), torch.tensor([SAME]))
