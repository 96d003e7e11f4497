"""What an evaluation yields, as values: the terminal, results.json and the page only show them.

`evaluate` (evaluate.py) fills `Results` from predictions and classes alone; folds.py puts several together. All shares
are of 0 to 1. Nothing is NaN: what cannot be said is None, and `Results.notes` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import Level

from .calibration import Calibration
from .hierarchy import Mode
from .metrics import ClassScore, Prior

SHOWN_FIRST: Mode = "codependent"
"""The mode of the paper's final method: galleries, maps and the first tables are of it."""
TOP_K = 5
ROUGH_BELOW = 30
"""Source videos: with fewer, an interval over them is rough (Cameron, Gelbach and Miller 2008 on few clusters)."""
Found = Literal["city", "state", "country", "continent", "nothing"]
"""The finest level that a prediction got right. Under codependent all coarser ones are right then, too."""
FOUND: tuple[Found, ...] = get_args(Found)
Rank = Literal["first", "top5", "missed"]
"""Where the true city stands among the guesses: first, second to fifth, or behind."""
RANKS: tuple[Rank, ...] = get_args(Rank)


@dataclass(frozen=True)
class Estimate:
    """A mean over clips with its 95 % intervals.

    A bound is None for a single clip or video, where a clip's video is not known, and where no clips could give another
    value (conflicts in the traced modes, top-5 of five classes).
    """

    value: float
    low_clips: float | None
    """As if every clip were drawn by itself: too narrow where clips share a source video."""
    high_clips: float | None
    low_videos: float | None
    """By drawing whole source videos: the honest one. None where the video of a clip is not known."""
    high_videos: float | None


@dataclass(frozen=True, eq=False)
class LevelScores:
    """One level under one mode."""

    top1: Estimate
    top5: Estimate
    """The true label is among the five first guesses of the mode (hierarchy.py says how each ranks)."""
    macro: float
    """Mean of the recalls of the classes that have clips here."""
    n_classes_present: int
    """Those classes."""
    calibration: Calibration
    """Of the probability of the predicted class; probabilities.py says what that is in each mode."""
    per_class: tuple[ClassScore, ...]
    """By label, also classes without a clip."""
    confusion: npt.NDArray[np.int64]
    """(C, C) clips: rows are true classes, columns predicted ones."""
    right_by_city: tuple[int, ...]
    """By true city: its clips whose prediction at this level is right (supplementary Fig. 5)."""


@dataclass(frozen=True)
class DistanceScores:
    """Great-circle error between city centres. Figures are of the `n` clips with coordinates on both sides."""

    n: int
    n_truth_unknown: int
    """Left out: the true city has no coordinates."""
    n_predicted_unknown: int
    """Left out: only the predicted city has none. All of these are wrong, so the figures are a little too good."""
    mean_km: Estimate
    median_km: float
    within: Mapping[int, Estimate]
    """Share of clips at most so many km off, by km: 1, 25, 200, 750, 2500."""
    geoscore: Estimate
    """Mean, 0 to 5,000."""


@dataclass(frozen=True)
class ModeScores:
    """All levels under one mode."""

    levels: Mapping[Level, LevelScores]
    conflicts: Estimate
    """Share of clips whose four predictions are no path of the taxonomy; 0 in the traced modes."""
    distances: DistanceScores | None
    """Of the predicted city; None where no clip has coordinates on both sides."""


@dataclass(frozen=True)
class Guess:
    """One of the first guesses of a clip's city."""

    label: int
    probability: float
    km: float | None
    """From the true city; None where a coordinate is not known."""


@dataclass(frozen=True)
class Sample:
    """A clip to look at, under SHOWN_FIRST."""

    clip_id: str
    video_id: str | None
    found: Found
    rank: int
    """Of the true city among all cities, 1 for the first."""
    truth: Mapping[Level, int]
    predicted: Mapping[Level, int]
    guesses: tuple[Guess, ...]
    """The first five cities, the most probable first."""


@dataclass(frozen=True)
class Gallery:
    """Clips of one kind, and some of them to show."""

    n: int
    """Clips of this kind in all."""
    samples: tuple[Sample, ...]
    """Picked by `Results.sample_rule`; none where `n` is 0."""


@dataclass(frozen=True)
class Origin:
    """Where predictions come from; None: not known, as of a file of somebody's."""

    name: str
    """What to call it: the run's folder, or the file."""
    model: str | None = None
    part: str | None = None
    """Of the split: train, val or test."""
    split: str | None = None
    weights: Literal["last", "best"] | None = None
    """Which weights of the run: those of the last epoch, or of the best score on the watched part."""
    watched: str | None = None
    """The part of the split that was scored after every epoch, and that `best` was chosen on."""

    @property
    def chosen_on_itself(self) -> bool:
        """Whether the weights were chosen by their score on the very clips evaluated: the figures are then too high."""
        return self.weights == "best" and self.part is not None and self.part == self.watched


@dataclass(frozen=True)
class Results:
    """Everything that an evaluation yields."""

    origin: Origin
    n_clips: int
    n_videos: int | None
    """Source videos; None where that of a clip is not known."""
    n_video_unknown: int
    """Clips without one."""
    n_classes: Mapping[Level, int]
    names: Mapping[Level, tuple[str, ...]]
    """Of the classes, by label."""
    clips_by_city: tuple[int, ...]
    """By city label: evaluated clips."""
    priors: Mapping[Level, Prior]
    """Always guessing the most frequent class of the evaluated clips."""
    train_priors: Mapping[Level, Prior] | None
    """Always guessing the most frequent class of the training clips; None where these are not known."""
    modes: Mapping[Mode, ModeScores]
    by_found: Mapping[Found, Gallery]
    """Clips by the finest level that is right, under SHOWN_FIRST (Fig. 6 to 10)."""
    by_rank: Mapping[Rank, Gallery]
    """Clips by where the true city stands, under SHOWN_FIRST (supplementary Fig. 1)."""
    sample_rule: str
    """How samples were picked, one sentence."""
    notes: tuple[str, ...]
    """What a reader must know before trusting the numbers, one sentence each."""

    @property
    def rough(self) -> bool:
        """Whether there are too few source videos for an interval over them to be taken at its word."""
        return self.n_videos is not None and self.n_videos < ROUGH_BELOW


@dataclass(frozen=True)
class Spread:
    """A figure over folds. The folds share training clips, so `sd` over sqrt(n) is no standard error."""

    mean: float
    sd: float
    """Standard deviation with n - 1."""
    values: tuple[float, ...]
    """By fold."""


@dataclass(frozen=True)
class LevelSpread:
    """The accuracies of one level under one mode, over folds."""

    top1: Spread
    top5: Spread
    macro: Spread


@dataclass(frozen=True)
class FoldResults:
    """K runs of K folds, each scored on its own test part."""

    pooled: Results
    """All predictions together: every clip once, by the model that had not seen it."""
    names: tuple[str, ...]
    """Of the folds' folders."""
    folds: tuple[Results, ...]
    """By fold, as many."""
    spread: Mapping[Mode, Mapping[Level, LevelSpread]]
