"""From predictions to every figure of an evaluation: a pure function, with neither model, GPU nor frames.

The way of the numbers: log-probabilities -> guesses under four modes (hierarchy.py; paper 4.6 and 5.6, Table 4) -> what
must hold of them (invariants.py) -> shares, tables, errors in km (metrics.py, calibration.py, distance.py) -> intervals
over clips and over source videos (intervals.py) -> `Results`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.threads import n_cores
from cityguessr_data.core.types import LEVELS, Level

from .calibration import calibration
from .classes import Classes
from .distance import WITHIN_KM, distances, errors_km, geoscores
from .estimates import Estimates, certain
from .evaluation_notes import always_in_top, notes_of
from .galleries import SAMPLE_RULE, galleries
from .hierarchy import MODES, Ints, Mode, top_k
from .invariants import check_invariants
from .metrics import class_scores, conflicts, confusion, correct_in_top, macro_accuracy, prior
from .predictions import Predictions
from .probabilities import probabilities
from .results import SHOWN_FIRST, TOP_K, DistanceScores, LevelScores, ModeScores, Origin, Results

Labels = Mapping[Level, npt.NDArray[np.integer]]
_UNKNOWN_ORIGIN = Origin("predictions")
_TRACED: tuple[Mode, ...] = ("codependent", "trace")


def evaluate(
    predictions: Predictions, classes: Classes, origin: Origin = _UNKNOWN_ORIGIN, train: Labels | None = None
) -> Results:
    """Score predictions.

    Args:
        predictions: N clips of the classes.
        classes: the run's.
        origin: where the predictions come from; shown, and the reason of some notes.
        train: (M,) labels of the training clips by level, for the prior of a guesser who saw them; None: not known.
    Raises:
        InputError: predictions that do not fit the classes (`Predictions.checked`).
        RuntimeError: an invariant is broken (invariants.py), which is a fault of this project.
    """
    predictions.checked(classes)
    truth = predictions.truth
    estimates = Estimates(predictions.video_ids)
    with ThreadPoolExecutor(min(n_cores(), len(MODES))) as pool:  # sorting and drawing let go of the interpreter
        try:
            ranked = partial(top_k, predictions.log_probs, classes.parents, k=max(classes.sizes.values()))
            top = dict(zip(MODES, pool.map(ranked, MODES), strict=True))
            check_invariants(top, truth, classes.parents, TOP_K)
            scored = partial(_mode_scores, predictions, classes, estimates=estimates)
            modes = dict(zip(MODES, pool.map(scored, MODES, top.values()), strict=True))
        except BaseException:
            estimates.stop()
            raise
    known_videos = [video_id for video_id in predictions.video_ids if video_id is not None]
    n_video_unknown = len(predictions) - len(known_videos)
    n_videos = None if n_video_unknown else len(set(known_videos))
    by_found, by_rank = galleries(
        predictions,
        classes,
        top[SHOWN_FIRST],
        probabilities(predictions.log_probs, classes.parents, SHOWN_FIRST)["city"],
    )
    return Results(
        origin=origin,
        n_clips=len(predictions),
        n_videos=n_videos,
        n_video_unknown=n_video_unknown,
        n_classes=classes.sizes,
        names=classes.names,
        clips_by_city=_counts(truth["city"], classes.sizes["city"]),
        priors={level: prior(truth[level], classes.sizes[level]) for level in LEVELS},
        train_priors=None
        if train is None
        else {level: prior(truth[level], classes.sizes[level], train[level]) for level in LEVELS},
        modes=modes,
        by_found=by_found,
        by_rank=by_rank,
        sample_rule=SAMPLE_RULE,
        notes=tuple(notes_of(origin, classes, modes[SHOWN_FIRST], n_videos, n_video_unknown)),
    )


def _mode_scores(
    predictions: Predictions, classes: Classes, mode: Mode, top: Mapping[Level, Ints], estimates: Estimates
) -> ModeScores:
    predicted = {level: top[level][:, 0] for level in LEVELS}
    likely = probabilities(predictions.log_probs, classes.parents, mode)
    rows = np.arange(len(predictions))
    return ModeScores(
        levels={
            level: _level_scores(
                predictions.truth, classes, level, top[level], likely[level][rows, predicted[level]], estimates
            )
            for level in LEVELS
        },
        conflicts=certain(0.0) if mode in _TRACED else estimates.of(conflicts(predicted, classes.parents)),
        distances=_distance_scores(classes, predicted["city"], predictions.truth["city"], estimates),
    )


def _level_scores(
    truth: Labels,
    classes: Classes,
    level: Level,
    top: Ints,
    confidence: npt.NDArray[np.float64],
    estimates: Estimates,
) -> LevelScores:
    right = correct_in_top(top, truth[level])
    counts = confusion(top[:, 0], truth[level], classes.sizes[level])
    in_top = correct_in_top(top, truth[level], TOP_K)
    return LevelScores(
        top1=estimates.of(right),
        top5=certain(1.0) if always_in_top(classes, level) else estimates.of(in_top),
        macro=macro_accuracy(counts),
        n_classes_present=int((counts.sum(axis=1) > 0).sum()),
        calibration=calibration(confidence, right),
        per_class=class_scores(counts),
        confusion=counts,
        right_by_city=_counts(truth["city"][right], classes.sizes["city"]),
    )


def _distance_scores(
    classes: Classes, predicted: Ints, truth: npt.NDArray[np.integer], estimates: Estimates
) -> DistanceScores | None:
    summed = distances(classes.coordinates, predicted, truth)
    if summed is None:
        return None
    km = errors_km(classes.coordinates, predicted, truth)
    known = ~np.isnan(km)
    return DistanceScores(
        n=summed.n,
        n_truth_unknown=summed.n_truth_unknown,
        n_predicted_unknown=summed.n_predicted_unknown,
        mean_km=estimates.of(km, known),
        median_km=summed.median_km,
        within={limit: estimates.of(km <= limit, known) for limit in WITHIN_KM},
        geoscore=estimates.of(geoscores(km), known),
    )


def _counts(labels: npt.NDArray[np.integer], n_classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=n_classes).tolist())
