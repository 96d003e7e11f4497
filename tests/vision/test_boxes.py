"""Anchors, decoding and NMS against loops and formulas written out by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.vision.retinaface import boxes as boxes_module
from cityguessr_data.vision.retinaface.boxes import decode, priors, select, to_frame

Array = npt.NDArray[np.float64]


def loop_priors(height: int, width: int) -> list[tuple[float, float, float, float]]:
    anchors = []
    for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for row in range(math.ceil(height / stride)):
            for column in range(math.ceil(width / stride)):
                for size in sizes:
                    anchors.append(((column + 0.5) * stride, (row + 0.5) * stride, size, size))
    return anchors


def greedy_nms(boxes: Array, scores: Array, iou: float) -> list[int]:
    """Brute force: take the best, strike out all that overlap it by more, and again."""
    left = list(np.argsort(-scores, kind="stable"))
    chosen = []
    while left:
        best = left.pop(0)
        chosen.append(int(best))
        left = [other for other in left if overlap(boxes[best], boxes[other]) <= iou]
    return chosen


def overlap(a: Array, b: Array) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def random_scene(seed: int, n: int = 300) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Deltas, scores and anchors of a frame in which many boxes overlap."""
    generator = torch.Generator().manual_seed(seed)
    anchors = priors(96, 128)
    anchors = anchors[torch.randperm(len(anchors), generator=generator)[:n]]
    return torch.randn(len(anchors), 4, generator=generator), torch.rand(len(anchors), generator=generator), anchors


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (33, 65), (450, 600), (719, 1279)])
def test_priors_are_those_of_the_loop(size: tuple[int, int]) -> None:
    np.testing.assert_allclose(priors(*size).numpy(), loop_priors(*size), rtol=0, atol=1e-4)


def test_priors_are_made_once_a_size() -> None:
    assert priors(64, 96) is priors(64, 96)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_decode_undoes_the_coding_of_ssd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchors = priors(64, 64).numpy().astype(np.float64)
    centre, size = rng.uniform(-50, 150, (len(anchors), 2)), rng.uniform(1, 200, (len(anchors), 2))
    deltas = np.concatenate(
        [(centre - anchors[:, :2]) / anchors[:, 2:] / 0.1, np.log(size / anchors[:, 2:]) / 0.2], axis=1
    )
    decoded = decode(torch.from_numpy(deltas), torch.from_numpy(anchors)).numpy()
    np.testing.assert_allclose(decoded, np.concatenate([centre - size / 2, centre + size / 2], axis=1), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_select_is_greedy_nms_over_the_kept_scores(seed: int) -> None:
    deltas, scores, anchors = random_scene(seed)
    found_boxes, found_scores = select(deltas, scores, anchors, keep_score=0.05, nms_iou=0.3)
    all_boxes, all_scores = decode(deltas, anchors).numpy().astype(np.float64), scores.numpy().astype(np.float64)
    kept = np.flatnonzero(all_scores >= np.float32(0.05))
    chosen = kept[greedy_nms(all_boxes[kept], all_scores[kept], 0.3)]
    assert 20 < len(chosen) < len(kept) / 2, "the scene must make NMS work"
    np.testing.assert_array_equal(found_boxes.numpy(), decode(deltas, anchors).numpy()[chosen])
    np.testing.assert_array_equal(found_scores.numpy(), scores.numpy()[chosen])
    assert (np.diff(found_scores.numpy()) <= 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([0.2, 0.5, 0.8]))
def test_keeping_low_scores_changes_nothing_above_the_threshold(seed: int, threshold: float) -> None:
    deltas, scores, anchors = random_scene(seed, n=120)
    low_boxes, low_scores = select(deltas, scores, anchors, 0.05, 0.3)
    high_boxes, high_scores = select(deltas, scores, anchors, threshold, 0.3)
    above = low_scores >= threshold
    torch.testing.assert_close(low_boxes[above], high_boxes, rtol=0, atol=0)
    torch.testing.assert_close(low_scores[above], high_scores, rtol=0, atol=0)


def test_a_score_equal_to_the_limit_is_kept() -> None:
    deltas, anchors = torch.zeros(2, 4), priors(8, 8)[:2]
    assert select(deltas, torch.tensor([0.05, 0.0499]), anchors, float(torch.tensor(0.05)), 0.3)[1].tolist() == [
        pytest.approx(0.05)
    ]


def test_no_candidate_gives_empty_arrays() -> None:
    deltas, scores, anchors = random_scene(0)
    found_boxes, found_scores = select(deltas, scores * 0, anchors, 0.05, 0.3)
    assert found_boxes.shape == (0, 4)
    assert found_scores.shape == (0,)


def test_the_cap_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    deltas, scores, anchors = random_scene(1)
    whole_boxes, whole_scores = select(deltas, scores, anchors, 0.05, 0.3)
    monkeypatch.setattr(boxes_module, "MAX_CANDIDATES", 50)
    capped_boxes, capped_scores = select(deltas, scores, anchors, 0.05, 0.3)
    assert 0 < len(capped_scores) < len(whole_scores)
    fiftieth = scores.sort(descending=True).values[49]
    torch.testing.assert_close(capped_boxes, whole_boxes[whole_scores >= fiftieth], rtol=0, atol=0)


def test_boxes_are_scaled_clipped_and_dropped_outside() -> None:
    given_boxes = torch.tensor([[-5.0, -5, 10, 10], [10, 10, 30, 20], [-9, 0, 0, 5], [70, 3, 90, 9]])
    found, scores = to_frame(given_boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), (2.0, 3.0), (50, 100))
    assert found.tolist() == [[0, 0, 20, 30], [20, 30, 60, 50]]
    assert scores.tolist() == [pytest.approx(0.9), pytest.approx(0.8)]
