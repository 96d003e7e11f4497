"""Accuracies and errors from labels: pure functions, no model, no file.

Everything is a share of 0 to 1. Nothing is NaN: a share of nothing is None, and no clips at all is a ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

Labels = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ClassScore:
    """How one class fared."""

    label: int
    n: int
    """Clips of this class."""
    n_predicted: int
    """Clips that were taken for it."""
    n_correct: int
    recall: float | None
    """Of its clips, the share that was found; None without clips."""
    precision: float | None
    """Of the clips that were taken for it, the share that was; None where there is none."""
    confused_with: int | None
    """The wrong label that its clips got most often, of several the lowest; None where no clip got a wrong one."""
    n_confused: int
    """Clips with that label."""


@dataclass(frozen=True)
class Prior:
    """What always guessing one class would score: the bar that any model has to clear."""

    label: int
    """The most frequent class, of several the lowest label."""
    accuracy: float
    """Share of the evaluated clips that are of it."""
    counted_on: Literal["train", "evaluated"]
    """Whose most frequent class it is. Of the evaluated clips it is the best that one guess can do, so a touch high."""


def correct_in_top(top: Labels, truth: Labels, k: int = 1) -> Bools:
    """Which clips have their true label among the first `k` guesses. Its mean is the top-k accuracy.

    Args:
        top: (N, K) labels, the best first (`hierarchy.top_k`), or (N,) predicted labels. Where a level has fewer than
            `k` classes, all of them, K < k.
        truth: (N,).
    Returns:
        (N,) bool.
    Raises:
        ValueError: no clips, or shapes that do not fit.
    """
    guesses = np.asarray(top) if np.ndim(top) == 2 else np.asarray(top).reshape(-1, 1)
    n, n_guesses = guesses.shape
    if not n or not n_guesses or np.shape(truth) != (n,) or k < 1:
        raise ValueError(
            f"expected (N, K) guesses, (N,) true labels and k of 1 or more, got {np.shape(top)}, "
            f"{np.shape(truth)} and {k}"
        )
    found: Bools = (guesses[:, :k] == np.asarray(truth)[:, None]).any(axis=1)
    return found


def confusion(predicted: Labels, truth: Labels, n_classes: int) -> npt.NDArray[np.int64]:
    """How often each class was taken for each.

    Args:
        predicted, truth: (N,) labels.
    Returns:
        (C, C) counts: rows are true classes, columns predicted ones.
    Raises:
        ValueError: no clips, shapes that do not fit, or a label outside 0 to C - 1.
    """
    predicted, truth = _checked(predicted, n_classes), _checked(truth, n_classes)
    if len(predicted) != len(truth):
        raise ValueError(f"expected as many predictions as true labels, got {len(predicted)} and {len(truth)}")
    pairs = truth * n_classes + predicted
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_accuracy(counts: npt.NDArray[np.integer]) -> float:
    """The mean over classes of the share of their clips that were found (recall), each class counting the same.

    Classes without a clip in the evaluated set are not in the mean: nothing is known of them.

    Args:
        counts: (C, C) as of `confusion`.
    Raises:
        ValueError: no clips.
    """
    n = counts.sum(axis=1)
    present = n > 0
    if not present.any():
        raise ValueError("expected one clip or more, got none")
    return float((np.diagonal(counts)[present] / n[present]).mean())


def class_scores(counts: npt.NDArray[np.integer]) -> tuple[ClassScore, ...]:
    """The table of a level, a row a class in the order of labels, also of classes without a clip.

    Args:
        counts: (C, C) as of `confusion`.
    """
    rows = []
    for label, row in enumerate(counts):
        n, n_predicted, n_correct = int(row.sum()), int(counts[:, label].sum()), int(row[label])
        wrong = row.copy()
        wrong[label] = 0
        worst = int(np.argmax(wrong))
        rows.append(
            ClassScore(
                label=label,
                n=n,
                n_predicted=n_predicted,
                n_correct=n_correct,
                recall=n_correct / n if n else None,
                precision=n_correct / n_predicted if n_predicted else None,
                confused_with=worst if wrong[worst] else None,
                n_confused=int(wrong[worst]),
            )
        )
    return tuple(rows)


def conflicts(predicted: Mapping[Level, Labels], parents: Mapping[Level, Labels]) -> Bools:
    """Which clips have four predictions that are no path of the taxonomy (Paris in Japan). Their share: the mean.

    Args:
        predicted: (N,) labels by level.
        parents: by level but the highest, (C,) label one level up.
    Returns:
        (N,) bool.
    Raises:
        ValueError: no clips, shapes that do not fit, or a label outside its level.
    """
    n = len(predicted["city"])
    found = np.zeros(n, bool)
    for level, upper in pairwise(LEVELS):
        below = _checked(predicted[level], len(parents[level]))
        above = np.asarray(predicted[upper])
        if len(below) != n or above.shape != (n,):
            raise ValueError(f"expected {n} predictions a level, got {below.shape} and {above.shape}")
        found |= np.asarray(parents[level])[below] != above
    return found


def prior(truth: Labels, n_classes: int, train: Labels | None = None) -> Prior:
    """The accuracy of always guessing the most frequent class.

    Args:
        truth: (N,) true labels of the evaluated clips.
        train: (M,) labels of the training clips; None: not known, the most frequent class is that of `truth`.
    Raises:
        ValueError: no clips, or a label outside 0 to C - 1.
    """
    truth = _checked(truth, n_classes)
    source = truth if train is None else _checked(train, n_classes)
    label = int(np.argmax(np.bincount(source, minlength=n_classes)))
    return Prior(label, float((truth == label).mean()), "evaluated" if train is None else "train")


def _checked(labels: Labels, n_classes: int) -> npt.NDArray[np.int64]:
    array = np.asarray(labels)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"expected integer labels of one clip or more, got {array.dtype} {array.shape}")
    if array.min() < 0 or array.max() >= n_classes:
        raise ValueError(f"expected labels of 0 to {n_classes - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)
