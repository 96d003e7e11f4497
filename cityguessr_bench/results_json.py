"""results.json: the figures of an evaluation under stable names, for programs. The page and the terminal show the same.

    version                                     1; a change of the names below would raise it
    origin.name .model .part .split .weights .watched                  null: not known
    n_clips  n_videos  n_video_unknown  n_classes.<level>  classes.<level> [names by label]
    clips_by_city [by label]
    priors.<level>.label .name .accuracy .counted_on      train_priors likewise, or null
    modes.<mode>.<level>.top1.value .low_clips .high_clips .low_videos .high_videos     top5 likewise
    modes.<mode>.<level>.macro  .n_classes_present
    modes.<mode>.<level>.calibration.ece .confidence .accuracy .n .bins [.low .high .n .confidence .accuracy]
    modes.<mode>.<level>.per_class [.label .name .n .n_predicted .n_correct .recall .precision .confused_with
                                    .confused_with_name .n_confused]
    modes.<mode>.<level>.confusion [[true label, predicted label, clips]], zeros left out: of `codependent` alone,
                                   null elsewhere; every other one follows from predictions.parquet
    modes.<mode>.<level>.right_by_city [by label of the true city]
    modes.<mode>.conflicts.value .low_clips ...
    modes.<mode>.distances.n .n_truth_unknown .n_predicted_unknown .mean_km.value ... .median_km .within.<km>.value ...
                           .geoscore.value ...            null where no clip has coordinates on both sides
    by_found.<city|state|country|continent|nothing>.n .samples [.clip_id .video_id .found .rank .truth.<level>
                           .predicted.<level> .guesses [.label .name .probability .km]]
    by_rank.<first|top5|missed> likewise        sample_rule        notes [sentences]
    other_weights         of a run scored with other weights too: .weights .modes, without tables; else null
    folds                 of a run by folds: .n .names [...] .n_clips [...] .modes.<mode>.<level>.top1.mean .sd .values
                          [by fold], top5 and macro likewise; else null. All else is of the pooled predictions

<mode>: none, independent, codependent, trace. <level>: city, state, country, continent. Shares are of 0 to 1, bounds
are those of 95 % intervals, and null is what cannot be said; `notes` tells why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from cityguessr_data.core.types import LEVELS, Level

from .metrics import Prior
from .results import SHOWN_FIRST, FoldResults, Gallery, LevelScores, ModeScores, Results

VERSION = 1
_TABLES = ("calibration", "per_class", "confusion", "right_by_city")


def to_json(results: Results, other: Results | None = None, folds: FoldResults | None = None) -> dict[str, Any]:
    """The object of results.json.

    Args:
        results: of folds, the pooled ones.
        other: of the same clips with other weights of the run.
        folds: whose `pooled` is `results`.
    """
    value = {
        "version": VERSION,
        "origin": _plain(results.origin),
        "n_clips": results.n_clips,
        "n_videos": results.n_videos,
        "n_video_unknown": results.n_video_unknown,
        "n_classes": _plain(results.n_classes),
        "classes": _plain(results.names),
        "clips_by_city": list(results.clips_by_city),
        "priors": _priors(results.priors, results),
        "train_priors": None if results.train_priors is None else _priors(results.train_priors, results),
        "modes": {mode: _mode(scores, results, mode == SHOWN_FIRST) for mode, scores in results.modes.items()},
        "by_found": {found: _gallery(gallery, results) for found, gallery in results.by_found.items()},
        "by_rank": {rank: _gallery(gallery, results) for rank, gallery in results.by_rank.items()},
        "sample_rule": results.sample_rule,
        "notes": list(results.notes),
    }
    value["other_weights"] = None if other is None else _other(other)
    value["folds"] = None if folds is None else _folds(folds)
    return value


def _priors(priors: Mapping[Level, Prior], results: Results) -> dict[str, Any]:
    return {level: {"name": results.names[level][prior.label], **_plain(prior)} for level, prior in priors.items()}


def _mode(scores: ModeScores, results: Results, with_confusion: bool) -> dict[str, Any]:
    levels: dict[str, Any] = {
        level: _level(scores.levels[level], results.names[level], with_confusion) for level in LEVELS
    }
    return {**levels, "conflicts": _plain(scores.conflicts), "distances": _plain(scores.distances)}


def _level(scores: LevelScores, names: tuple[str, ...], with_confusion: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        name: _plain(getattr(scores, name)) for name in ("top1", "top5", "macro", "n_classes_present", "calibration")
    }
    value["per_class"] = [
        {
            "name": names[row.label],
            **_plain(row),
            "confused_with_name": None if row.confused_with is None else names[row.confused_with],
        }
        for row in scores.per_class
    ]
    true, predicted = np.nonzero(scores.confusion)
    cells = np.stack([true, predicted, scores.confusion[true, predicted]], axis=1)
    value["confusion"] = cells.tolist() if with_confusion else None
    value["right_by_city"] = list(scores.right_by_city)
    return value


def _gallery(gallery: Gallery, results: Results) -> dict[str, Any]:
    samples = []
    for sample in gallery.samples:
        value = _plain(sample)
        value["guesses"] = [{"name": results.names["city"][guess.label], **_plain(guess)} for guess in sample.guesses]
        samples.append(value)
    return {"n": gallery.n, "samples": samples}


def _other(results: Results) -> dict[str, Any]:
    modes = {mode: _mode(scores, results, False) for mode, scores in results.modes.items()}
    for scores in modes.values():
        for level in LEVELS:
            for table in _TABLES:
                del scores[level][table]
    return {"weights": results.origin.weights, "modes": modes}


def _folds(folds: FoldResults) -> dict[str, Any]:
    return {
        "n": len(folds.folds),
        "names": list(folds.names),
        "n_clips": [fold.n_clips for fold in folds.folds],
        "modes": _plain(folds.spread),
    }


def _plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
