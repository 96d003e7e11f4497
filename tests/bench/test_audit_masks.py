"""What the audit does to pixels: masks and their controls against brute force, and planted overlays that are found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_bench.audit.changes import Hiding, Reordered, middle_frame, mirrored
from cityguessr_bench.audit.masks import border, elsewhere, hidden
from cityguessr_bench.audit.static import StaticMasks, steady_pixels
from cityguessr_bench.audit.text import TextMasks

RNG = np.random.default_rng(0)
CLIPS = torch.from_numpy(RNG.integers(0, 256, (2, 5, 3, 8, 10), np.uint8))


def test_the_border_is_the_outer_8_per_cent_of_each_side() -> None:
    mask = border(50, 100)
    assert mask.shape == (1, 50, 100)
    for y in range(50):
        for x in range(100):
            assert mask[0, y, x] == (y < 4 or y >= 46 or x < 8 or x >= 92)
    assert border(8, 8).sum() == 64 - 36  # a pixel at least


def test_hidden_pixels_have_the_mean_of_the_others_in_their_frame() -> None:
    clip = CLIPS[0].numpy()
    mask = RNG.random((5, 8, 10)) < 0.3
    mask[4] = True
    found = hidden(clip, mask)
    for t in range(5):
        for c in range(3):
            others = [int(v) for v, covered in zip(clip[t, c].flat, mask[t].flat, strict=True) if not covered]
            mean = round(sum(others) / len(others)) if others else 128
            np.testing.assert_array_equal(found[t, c], np.where(mask[t], mean, clip[t, c]))


def test_nothing_of_what_is_hidden_is_left() -> None:
    """Two clips that differ under the mask alone are the same afterwards: no tint tells the logo."""
    one, other = CLIPS[0].numpy().copy(), CLIPS[0].numpy().copy()
    mask = np.zeros((1, 8, 10), bool)
    mask[:, :3, :4] = True
    one[:, 0, :3, :4], other[:, 2, :3, :4] = 255, 255
    np.testing.assert_array_equal(hidden(one, mask), hidden(other, mask))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.integers(1, 3), st.booleans())
def test_a_control_hides_as_many_pixels_elsewhere(seed: int, density: float, n: int, in_blocks: bool) -> None:
    rng = np.random.default_rng(seed)
    if in_blocks:
        mask = np.zeros((n, 12, 15), bool)
        for frame in mask:
            y, x, h, w = rng.integers(0, 9), rng.integers(0, 12), rng.integers(0, 12), rng.integers(0, 15)
            frame[y : y + h, x : x + w] = True
    else:
        mask = rng.random((n, 12, 15)) < density
    control = elsewhere(mask, rng)
    assert control.shape == mask.shape and control.dtype == bool
    assert not (control & mask).any()
    for own, other in zip(mask, control, strict=True):
        assert other.sum() == min(own.sum(), 180 - own.sum())


def test_a_control_keeps_the_height_and_the_shape_where_it_can() -> None:
    mask = np.zeros((2, 20, 40), bool)
    mask[0, 3:7, 2:9] = mask[1, 4:8, 3:10] = True
    control = elsewhere(mask, np.random.default_rng(1))
    np.testing.assert_array_equal(control, np.roll(mask, 20, axis=2))
    mask[:, 5, 24] = True  # shifted, the block meets this pixel: it stays, and one beside it is taken instead
    control, shifted = elsewhere(mask, np.random.default_rng(1)), np.roll(mask, 20, axis=2)
    assert (control & shifted).sum() == (shifted & ~mask).sum() == control.sum() - 4
    bonnet = np.zeros((1, 20, 40), bool)
    bonnet[:, 15:] = True  # over the whole width: sideways it would meet itself
    np.testing.assert_array_equal(elsewhere(bonnet, np.random.default_rng(1)), np.roll(bonnet, 10, axis=1))


def test_order_and_sides() -> None:
    middle = middle_frame(CLIPS, [0, 1])
    for t in range(5):
        torch.testing.assert_close(middle[:, t], CLIPS[:, 2])
    flipped = mirrored(CLIPS, [0, 1])
    for x in range(10):
        torch.testing.assert_close(flipped[..., x], CLIPS[..., 9 - x])


def test_another_order_is_of_the_clip_and_never_its_own() -> None:
    names = [f"clip{i}" for i in range(40)]
    clips = torch.arange(2)[None, :, None, None, None].expand(40, 2, 3, 1, 1).to(torch.uint8)
    found = Reordered(names)(clips, range(40))
    assert found[:, :, 0, 0, 0].tolist() == [[1, 0]] * 40
    change = Reordered(names)
    whole = change(CLIPS, [3, 7])
    torch.testing.assert_close(change(CLIPS[1:], [7]), whole[1:])  # in any batch
    assert [sorted(f.sum().item() for f in clip) for clip in whole] == [
        sorted(f.sum().item() for f in clip) for clip in CLIPS
    ]
    orders = {tuple(change._order(name, 5)) for name in names}
    assert len(orders) > 20


def test_hiding_counts_what_it_hides() -> None:
    def mask_of(clip: Any, place: int) -> Any:
        mask = np.zeros((1, 8, 10), bool)
        mask[:, :2] = place == 4
        return mask

    names = ["a"] * 5
    row, control = Hiding(mask_of, names), Hiding(mask_of, names, control=True)
    for change in (row, control):
        for places in ([1, 4], [4, 1]):
            found = change(CLIPS, places)
            touched = places.index(4)
            torch.testing.assert_close(found[1 - touched], CLIPS[1 - touched])
            n_changed = (found[touched] != CLIPS[touched]).any(1).sum()
            assert 90 <= n_changed <= 100  # of 5 frames of 20 px; a few had the mean colour
        assert (change.n_touched, change.n_hidden_px, change.n_px) == (2, 200, 1600)
        assert change.share == 0.125
    torch.testing.assert_close(row(CLIPS, [4, 4])[:, :, :, 2:], CLIPS[:, :, :, 2:])
    torch.testing.assert_close(control(CLIPS, [4, 4])[:, :, :, :2], CLIPS[:, :, :, :2])


def street(n: int, seed: int) -> Any:
    """Frames of noise in which nothing stays: (n, 3, 24, 32)."""
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 24, 32), np.uint8)


def test_what_stays_at_its_place_is_found() -> None:
    frames = street(40, 1)
    noise = np.random.default_rng(2).integers(-4, 5, (40, 3, 24, 32))
    frames[:, :, 18:] = np.clip(90 + noise[:, :, 18:], 0, 255)  # a bonnet
    frames[:37, :, 2:7, 3:9] = np.clip(200 + noise[:37, :, 2:7, 3:9], 0, 255)  # a logo that comes after 3 frames
    frames[:20, :, 2:7, 20:26] = 0  # a caption of half of the video
    frames[:, :, 11, 11] = 128  # a speck
    expected = np.zeros((24, 32), bool)
    expected[17:] = True  # each is grown by one pixel
    expected[1:8, 2:10] = True
    np.testing.assert_array_equal(steady_pixels(frames), expected)


class FakePack:
    """Clips of four videos: one with a logo, one of one clip, one that stands still, and one that is not known."""

    def __init__(self) -> None:
        self.videos = ["logo", "logo", "one", "still", "still", None, "logo"]
        self.index = pa.table({"video_id": self.videos})
        self.asked: list[int] = []

    def clip(self, place: int) -> Any:
        self.asked.append(place)
        frames = street(8, place)
        if self.videos[place] == "logo":
            frames[:, :, 2:7, 3:9] = 40
        if self.videos[place] in ("still", "one"):
            frames[:] = 77
        return frames


def test_overlays_are_of_a_video_and_found_once() -> None:
    pack = FakePack()
    masks = StaticMasks(pack)  # type: ignore[arg-type]
    shape = np.zeros((8, 3, 24, 32), np.uint8)
    found = {place: masks(shape, place) for place in range(7)}
    assert all(mask.shape == (1, 24, 32) for mask in found.values())
    assert [bool(mask.any()) for mask in found.values()] == [True, True, False, False, False, False, True]
    assert found[0].sum() == 7 * 8
    np.testing.assert_array_equal(found[0], found[6])
    assert (masks.of_one_clip, masks.still) == ({"one"}, {"still"})
    assert sorted(pack.asked) == [0, 1, 3, 4, 6]


def test_text_is_looked_for_once_a_clip() -> None:
    asked = []

    def find(frames: Any) -> Any:
        asked.append(frames.shape)
        return frames[..., 0] > 200

    masks = TextMasks(find)
    clip = CLIPS[0].numpy()
    first = masks(clip, 3)
    np.testing.assert_array_equal(first, clip[:, 0] > 200)
    np.testing.assert_array_equal(masks(clip, 3), first)
    assert asked == [(5, 8, 10, 3)]
    masks(clip, 4)
    assert len(asked) == 2


@pytest.mark.parametrize("n_clips", [1, 5, 300])
def test_a_long_video_is_looked_at_all_over(n_clips: int) -> None:
    from cityguessr_bench.audit import static

    pack: Any = SimpleNamespace(clip=lambda place: np.full((8, 3, 2, 2), place % 256, np.uint8))
    seen = static._spread(pack, range(n_clips))[:, 0, 0, 0].tolist()
    expected = [place * 300 // 96 % 256 for place in range(96)] if n_clips == 300 else np.repeat(range(n_clips), 8)
    assert seen == list(expected)


def test_the_package_is_light() -> None:
    """The command line's help must not import torch by way of the audit's values."""
    import subprocess
    import sys

    code = "import sys, cgtool.commands.bench_audit; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "False", done.stderr
