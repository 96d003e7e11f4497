"""Random taxonomies and predictions of them, for the tests of the evaluation and of its page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cityguessr_bench.classes import Classes
from cityguessr_bench.hierarchy import Mode
from cityguessr_bench.predictions import Predictions
from cityguessr_data.core.types import LEVELS, Level

SIZES: dict[Level, int] = {"city": 14, "state": 12, "country": 9, "continent": 6}


def random_classes(seed: int = 0, sizes: dict[Level, int] | None = None, n_unknown: int = 0) -> Classes:
    """Places whose every parent has a child; the last `n_unknown` cities have no coordinates."""
    rng = np.random.default_rng(seed)
    sizes = sizes or SIZES
    parents: dict[Level, npt.NDArray[np.int32]] = {}
    for level, upper in pairwise(LEVELS):
        more = rng.integers(0, sizes[upper], sizes[level] - sizes[upper])
        parents[level] = rng.permutation(np.concatenate([np.arange(sizes[upper]), more])).astype(np.int32)
    coordinates = np.stack([rng.uniform(-60, 60, sizes["city"]), rng.uniform(-180, 180, sizes["city"])], axis=1)
    coordinates[sizes["city"] - n_unknown :] = np.nan
    return Classes({level: tuple(f"{level} {i}" for i in range(n)) for level, n in sizes.items()}, parents, coordinates)


def random_predictions(
    classes: Classes, n: int = 60, seed: int = 0, *, skill: float = 2.0, n_videos: int | None = 40
) -> Predictions:
    """Clips of random cities.

    Args:
        skill: added to the score of the true class; 0: guesses have nothing to do with the truth.
        n_videos: each of one city; None: videos are not known.
    """
    rng = np.random.default_rng(seed)
    video = rng.integers(0, n_videos or n, n)
    paths = classes.paths[rng.integers(0, classes.sizes["city"], n_videos or n)[video]]
    logits = {level: rng.normal(0, 2, (n, classes.sizes[level])) for level in LEVELS}
    for at, level in enumerate(LEVELS):
        logits[level][np.arange(n), paths[:, at]] += skill
    return of_logits(logits, paths, [f"video {v}" if n_videos else None for v in video])


def of_logits(
    logits: dict[Level, npt.NDArray[Any]], paths: npt.NDArray[np.int32], video_ids: Sequence[str | None]
) -> Predictions:
    """Predictions of raw scores (N, C) by level.

    Args:
        paths: (N, 4) true labels in the order of LEVELS.
    """
    log_probs: dict[Level, npt.NDArray[np.float32]] = {}
    for level, raw in logits.items():
        scores = np.asarray(raw, np.float64)
        highest = scores.max(axis=1, keepdims=True)
        total = highest + np.log(np.exp(scores - highest).sum(axis=1, keepdims=True))
        log_probs[level] = (scores - total).astype(np.float32)
    return Predictions(
        clip_ids=tuple(f"clip {i}" for i in range(len(paths))),
        video_ids=tuple(video_ids),
        channels=(None,) * len(paths),
        truth={level: paths[:, at].astype(np.int32) for at, level in enumerate(LEVELS)},
        log_probs=log_probs,
    )


def rows_of(predictions: Predictions, rows: Sequence[int]) -> Predictions:
    """Some of the clips, in this order."""
    return Predictions(
        clip_ids=tuple(predictions.clip_ids[i] for i in rows),
        video_ids=tuple(predictions.video_ids[i] for i in rows),
        channels=tuple(predictions.channels[i] for i in rows),
        truth={level: labels[list(rows)] for level, labels in predictions.truth.items()},
        log_probs={level: scores[list(rows)] for level, scores in predictions.log_probs.items()},
    )


def write_both(folder: Path, classes: Classes, predictions: Predictions) -> Path:
    """taxonomy.parquet and predictions.parquet in a folder; the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    classes.write(folder / "taxonomy.parquet")
    predictions.write(folder / "predictions.parquet", classes)
    return folder / "predictions.parquet"


def ranked_by_hand(predictions: Predictions, classes: Classes, row: int) -> dict[Mode, dict[Level, list[int]]]:
    """The whole ranking of one clip under every mode, by plain loops over probabilities."""
    own = {level: np.exp(predictions.log_probs[level][row].astype(float)).tolist() for level in LEVELS}
    product = {level: list(values) for level, values in own.items()}
    for level, upper in reversed(list(pairwise(LEVELS))):
        product[level] = [p * product[upper][classes.parents[level][i]] for i, p in enumerate(own[level])]

    def ranked(values: list[float]) -> list[int]:
        return sorted(range(len(values)), key=lambda i: (-values[i], i))

    def traced(values: list[float]) -> dict[Level, list[int]]:
        cities = ranked(values)
        return {
            level: list(dict.fromkeys(int(classes.paths[c, at]) for c in cities)) for at, level in enumerate(LEVELS)
        }

    return {
        "none": {level: ranked(own[level]) for level in LEVELS},
        "independent": {level: ranked(product[level]) for level in LEVELS},
        "codependent": traced(product["city"]),
        "trace": traced(own["city"]),
    }


def shares_by_hand(predictions: Predictions, classes: Classes, row: int, mode: Mode, level: Level) -> list[float]:
    """Probabilities of a level's classes for one clip, by plain loops."""
    own = {a: np.exp(predictions.log_probs[a][row].astype(float)) for a in LEVELS}
    at = LEVELS.index(level)
    traced = mode in ("codependent", "trace")
    base: Level = "city" if traced else level
    values = []
    for label in range(classes.sizes[base]):
        p, below, place = float(own[base][label]), base, label
        while mode in ("independent", "codependent") and below != "continent":
            place, below = int(classes.parents[below][place]), LEVELS[LEVELS.index(below) + 1]
            p *= float(own[below][place])
        values.append(p)
    shares = [v / sum(values) for v in values]
    if not traced:
        return shares
    return [
        sum(s for c, s in enumerate(shares) if classes.paths[c, at] == label) for label in range(classes.sizes[level])
    ]
