"""Evaluations to make pages of: all 166 cities, names that nobody would give a city, and a single clip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from cityguessr_bench.classes import Classes
from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.results import Origin, Results
from cityguessr_data.core.types import LEVELS
from tests.support_stats import HOSTILE, full

Case = tuple[Results, Predictions, Classes]
NAMES = tuple(name for name in HOSTILE if name.strip())


def guessed(
    classes: Classes, clip_ids: Sequence[str], videos: Sequence[str | None], cities: Sequence[int], skill: float
) -> Predictions:
    """Random predictions that are right the more often the higher `skill`."""
    rng = np.random.default_rng(5)
    truth = classes.paths[np.asarray(cities)]
    log_probs = {}
    for at, level in enumerate(LEVELS):
        scores = rng.normal(0, 1.5, (len(cities), classes.sizes[level]))
        scores[np.arange(len(cities)), truth[:, at]] += skill
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        log_probs[level] = scores.astype(np.float32)
    labels = {level: truth[:, at].astype(np.int32) for at, level in enumerate(LEVELS)}
    return Predictions(tuple(clip_ids), tuple(videos), (None,) * len(cities), labels, log_probs)


@cache
def world() -> Case:
    """All 166 cities, two clips of each but the last, which has none."""
    city = full().levels["city"]
    assert city is not None
    columns = dict(zip(LEVELS, zip(*((c.name, *c.parents[:3]) for c in city.classes), strict=True), strict=True))
    clip_ids = [f"{name}_0" for name in columns["city"]]
    classes = Classes.of_clips(pa.table({"clip_id": clip_ids, **columns}))
    cities = [label for label in range(165) for _ in range(2)]
    ids = [f"{classes.names['city'][label]}_{i}" for i, label in enumerate(cities)]
    predictions = guessed(classes, ids, [f"video{i // 2}" for i in range(330)], cities, 3.0)
    return evaluate(predictions, classes, Origin("a run", "cityguessr", "test", "video", "last")), predictions, classes


@cache
def hostile() -> Case:
    """Everything from outside is one of HOSTILE; no videos and, but for two, no coordinates."""
    n = len(NAMES)
    coordinates = np.full((n, 2), np.nan)
    coordinates[:2] = ((10, 20), (50, 8))
    alone = np.arange(n, dtype=np.int32)
    classes = Classes(dict.fromkeys(LEVELS, NAMES), dict.fromkeys(LEVELS[:-1], alone), coordinates)
    cities = [label for label in range(n) for _ in range(2)]
    ids = [f"{NAMES[label]}{i}" for i, label in enumerate(cities)]
    predictions = guessed(classes, ids, [None] * len(ids), cities, 1.0)
    origin = Origin(NAMES[0], model=NAMES[1], part=NAMES[2], split=NAMES[3])
    return evaluate(predictions, classes, origin), predictions, classes


@cache
def one() -> Case:
    """One clip of one city, and right."""
    clips = {"clip_id": ["a"], "city": ["Rome"], "state": ["Lazio"], "country": ["Italy"], "continent": ["Europe"]}
    classes = Classes.of_clips(pa.table(clips))
    predictions = guessed(classes, ["a"], ["v"], [0], 1.0)
    return evaluate(predictions, classes), predictions, classes


CASES = {"world": world, "hostile": hostile, "one": one}


def frames(clip_id: str) -> np.ndarray:
    """Eight frames of one colour each, by the clip."""
    rng = np.random.default_rng(len(clip_id))
    shades = rng.integers(0, 256, (8, 3, 1, 1), dtype=np.uint8)
    return np.broadcast_to(shades, (8, 3, 48, 48)).copy()


def shown(text: str | None) -> str:
    return (text or "").replace("\u00a0", " ")


def percent(share: float) -> str:
    """By hand: one decimal, and none for nothing and all."""
    return f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"
