"""Makes a predictions.parquet of the size of the paper's test set, without a model: 13,655 clips of 1,186 videos.

The classes are those of the shipped taxonomy. Scores are noise around a truth that a video makes easy or hard: clips of
one video are right or wrong together, as those of a model are, and about 70 % of the cities are right, as in the paper.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from cityguessr_bench.classes import Classes
from cityguessr_bench.predictions import Predictions
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS

N_CLIPS, N_VIDEOS = 13_655, 1_186
_SPREAD = 1.0
"""Of the logarithms of the clips a video."""
_EASE = 5.0
"""Added to the score of the true class, by video give or take 4."""


def make(folder: Path, n_clips: int = N_CLIPS, n_videos: int = N_VIDEOS, model: int = 0) -> Path:
    """Write taxonomy.parquet and predictions.parquet in `folder`; the latter's path.

    Args:
        model: whose predictions; the clips and what is true of them are the same for all.

    Raises:
        ValueError: fewer clips than videos, or fewer videos than cities.
    """
    classes = paper_classes()
    n_cities = classes.sizes["city"]
    if not n_cities <= n_videos <= n_clips:
        raise ValueError(f"expected {n_cities} videos or more and as many clips, got {n_videos} and {n_clips}")
    rng, guesses = np.random.default_rng(0), np.random.default_rng([1, model])
    share = rng.lognormal(0, _SPREAD, n_videos)
    more = rng.choice(n_videos, n_clips - n_videos, p=share / share.sum())
    video = np.sort(np.concatenate([np.arange(n_videos), more]))
    city = np.concatenate([np.arange(n_cities), rng.integers(0, n_cities, n_videos - n_cities)])
    paths = classes.paths[city[video]]
    ease = guesses.normal(_EASE, 4.0, n_videos)[video]
    log_probs = {}
    for at, level in enumerate(LEVELS):
        scores = guesses.normal(0, 2, (n_clips, classes.sizes[level]))
        scores[np.arange(n_clips), paths[:, at]] += ease
        highest = scores.max(axis=1, keepdims=True)
        total = highest + np.log(np.exp(scores - highest).sum(axis=1, keepdims=True))
        log_probs[level] = (scores - total).astype(np.float32)
    predictions = Predictions(
        clip_ids=tuple(f"v{v:05d}_{i:05d}" for i, v in enumerate(video.tolist())),
        video_ids=tuple(f"v{v:05d}" for v in video.tolist()),
        channels=tuple(f"channel {v % 300}" for v in video.tolist()),
        truth={level: paths[:, at].astype(np.int32) for at, level in enumerate(LEVELS)},
        log_probs=log_probs,
    )
    folder.mkdir(parents=True, exist_ok=True)
    classes.write(folder / "taxonomy.parquet")
    predictions.write(folder / "predictions.parquet", classes)
    return folder / "predictions.parquet"


def paper_classes() -> Classes:
    """The 166 cities, 157 states, 91 countries and 6 continents of the paper."""
    places = Taxonomy.named("cityguessr166").cities
    columns = {level: [getattr(place, level) for place in places] for level in LEVELS}
    labels = {f"{level}_label": [getattr(place, f"{level}_label") for place in places] for level in LEVELS}
    return Classes.of_clips(pa.table({"clip_id": [f"c{i}" for i in range(len(places))], **columns, **labels}))
