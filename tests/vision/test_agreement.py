"""Detections are compared rightly: boxes that are one face, faces lost and new, true faces found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from cityguessr_data.vision.agreement import Difference, Found, difference, iou, n_recalled, pairs


def test_overlap_is_that_of_torchvision() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 50, (9, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(1, 60, (9, 2))], axis=1)
    expected = box_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes[4:])).numpy()
    np.testing.assert_allclose(iou(boxes[:4], boxes[4:]), expected)
    assert iou(np.zeros((0, 4)), boxes).shape == (0, 9)


def test_pairs_are_one_to_one_and_the_best_come_first() -> None:
    first = np.array([[0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60]], float)
    second = np.array([[0, 0, 10, 12], [80, 80, 90, 90]], float)
    assert pairs(first, second) == [(1, 0)]
    assert n_recalled(first, second) == 1


def test_a_difference_counts_faces_lost_and_new_and_their_scores() -> None:
    reference = Found(np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], float), np.array([0.9, 0.51, 0.3]))
    other = Found(
        np.array([[0, 0, 10, 11], [20, 0, 30, 10], [40, 0, 50, 10], [70, 0, 80, 10]], float),
        np.array([0.8, 0.45, 0.6, 0.7]),
    )
    half = difference(reference, other, 0.5)
    # the second fell to 0.45: lost, and its score still compared; the third rose over 0.5 and the fourth came: new
    assert (half.n_faces, half.lost, half.new) == (2, 1, 2)
    assert (half.score, half.box_px) == (pytest.approx(0.1), 1.0)
    low = difference(reference, other, 0.2)
    assert (low.n_faces, low.lost, low.new, low.score) == (3, 0, 1, pytest.approx(0.3))
    assert half + low == Difference(5, 1, 3, pytest.approx(0.3), 1.0)
