"""K runs of K folds as one result: every clip scored once, by the model that had not seen it, and the spread.

One split by source video leaves few videos to test, so its figures are noisy; folds test them all. The pooled figures
have the narrower interval; the spread says how much a figure moves with what was trained on and tested.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS, Level

from .evaluate import evaluate
from .hierarchy import MODES, Mode
from .predictions import Predictions
from .results import FoldResults, LevelScores, LevelSpread, Results, Spread
from .run_dir import RunDir, fold_folders

if TYPE_CHECKING:
    from .evaluate_run import RunScores


def open_folds(run: Path) -> tuple[RunDir, ...]:
    """The runs of the folds inside a folder, fold0 first.

    Raises:
        InputError: a fold lacks before the last, there is one alone, or their classes or settings differ.
    """
    found = fold_folders(run)
    hint = f"Train the other folds, or evaluate one: cgtool bench evaluate {run}/fold0"
    for number, path in enumerate(found):
        if path.name != f"fold{number}":
            raise InputError(f"{run} has a run {path.name}, but no run fold{number}", hint)
    if len(found) < 2:
        raise InputError(f"{run} has one fold alone" if found else f"{run} holds no folds", hint)
    runs = tuple(RunDir.open(path) for path in found)
    for one in runs:
        for what, same in (
            ("classes", one.classes.digest == runs[0].classes.digest),
            ("settings", one.config == runs[0].config),
        ):
            if not same:
                raise InputError(
                    f"{one.folder} has other {what} than {runs[0].folder}",
                    "Train all folds of one split on one data set, with the same settings",
                )
    return runs


@dataclass(frozen=True, eq=False)
class ScoredFolds:
    """Folds scored together."""

    predictions: Predictions
    """Of all folds."""
    results: FoldResults


def pooled(folds: Sequence[tuple[str, Predictions]]) -> Predictions:
    """All predictions as one, in the order of the folds.

    Args:
        folds: (name, predictions) of each.
    Raises:
        InputError: a clip that two folds have.
    """
    fold_of: dict[str, str] = {}
    for name, predictions in folds:
        for clip_id in predictions.clip_ids:
            if (other := fold_of.setdefault(clip_id, name)) != name:
                raise InputError(
                    f"clip {clip_id} was tested in {other} and in {name}",
                    "Train the folds of one `cgtool split --folds`: there every clip is tested once",
                )
    parts = [predictions for _, predictions in folds]
    return Predictions(
        clip_ids=tuple(clip_id for part in parts for clip_id in part.clip_ids),
        video_ids=tuple(video_id for part in parts for video_id in part.video_ids),
        channels=tuple(channel for part in parts for channel in part.channels),
        truth={level: np.concatenate([part.truth[level] for part in parts]) for level in LEVELS},
        log_probs={level: np.concatenate([part.log_probs[level] for part in parts]) for level in LEVELS},
    )


def evaluate_folds(name: str, folds: Sequence[RunDir], scored: Sequence[RunScores]) -> ScoredFolds:
    """The whole of K folds.

    Args:
        name: what to call it.
        folds: two runs or more, of the same classes.
        scored: each on its own part, as many.
    Raises:
        InputError: as `pooled` and `evaluate`.
    """
    names = tuple(fold.folder.name for fold in folds)
    every = pooled([(fold, one.predictions) for fold, one in zip(names, scored, strict=True)])
    results = [one.results for one in scored]
    split = str(folds[0].record["split"]["name"]).removesuffix("-fold0")
    origin = dataclasses.replace(results[0].origin, name=name, split=split)
    whole = evaluate(every, folds[0].classes, origin)
    n_data = int(folds[0].record["data"]["n_clips"])
    notes = [f"{fold}: {note}" for fold, one in zip(names, scored, strict=True) for note in one.history]
    if origin.part == "test" and len(every) < n_data:
        notes.append(
            f"These {len(folds)} folds test {len(every):,} of the {n_data:,} clips of the data: a fold is not trained"
        )
    return ScoredFolds(
        every,
        FoldResults(
            pooled=dataclasses.replace(whole, notes=(*notes, *whole.notes)),
            names=names,
            folds=tuple(results),
            spread=spreads(results),
        ),
    )


def spreads(results: Sequence[Results]) -> dict[Mode, dict[Level, LevelSpread]]:
    """Mean and standard deviation over folds of every accuracy."""
    return {
        mode: {level: _level_spread([fold.modes[mode].levels[level] for fold in results]) for level in LEVELS}
        for mode in MODES
    }


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation (n - 1) of two values or more."""
    return Spread(statistics.fmean(values), statistics.stdev(values), tuple(values))


def _level_spread(scores: Sequence[LevelScores]) -> LevelSpread:
    def of(figure: Callable[[LevelScores], float]) -> Spread:
        return spread([figure(one) for one in scores])

    return LevelSpread(of(lambda s: s.top1.value), of(lambda s: s.top5.value), of(lambda s: s.macro))
