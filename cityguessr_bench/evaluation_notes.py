"""What a reader must know before trusting the figures of an evaluation, in plain words, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cityguessr_data.core.types import LEVELS, Level

from .classes import Classes
from .results import ROUGH_BELOW, SHOWN_FIRST, TOP_K, ModeScores, Origin

_LISTED = 5
_MANY: dict[Level, str] = {"city": "cities", "state": "states", "country": "countries", "continent": "continents"}


def notes_of(
    origin: Origin, classes: Classes, scores: ModeScores, n_videos: int | None, n_video_unknown: int
) -> Iterator[str]:
    """The notes of one evaluation, the gravest first.

    Args:
        scores: under SHOWN_FIRST.
    """
    if origin.chosen_on_itself:
        yield (
            f"The weights were chosen by their city top-1 on the {origin.part} part, as the released code does, and "
            "are scored on it here: the figures are too high. Those of the last epoch: --weights last"
        )
    yield from _of_videos(n_videos, n_video_unknown)
    yield from _of_extremes(scores)
    for level in LEVELS:
        absent = [c.label for c in scores.levels[level].per_class if not c.n]
        if absent:
            n = len(classes.names[level])
            names = _names([classes.names[level][label] for label in absent])
            yield (
                f"{len(absent)} of {n} {_MANY[level]} have no evaluated clip and are in no macro accuracy: {names}"
                if len(absent) > 1
                else f"One of {n} {_MANY[level]} has no evaluated clip and is in no macro accuracy: {names}"
            )
        if always_in_top(classes, level):
            yield (
                f"There are {len(classes.names[level])} {_MANY[level]}, so the true one is always among the first "
                f"{TOP_K}: that top-{TOP_K} says nothing"
            )
    yield from _of_coordinates(classes, scores)


def always_in_top(classes: Classes, level: Level) -> bool:
    """Whether a level has so few classes that its top-5 is 1 whatever is guessed."""
    return classes.sizes[level] <= TOP_K


def _of_videos(n_videos: int | None, n_video_unknown: int) -> Iterator[str]:
    if n_videos is None:
        clips = "one clip" if n_video_unknown == 1 else f"{n_video_unknown:,} clips"
        yield (
            f"The source video of {clips} is not known, so there is no interval over videos; the one over clips is too "
            "narrow where clips share a video"
        )
    elif n_videos == 1:
        yield "All clips are of one source video: how another one would fare cannot be told"
    elif n_videos < ROUGH_BELOW:
        yield f"There are only {n_videos} source videos: with fewer than {ROUGH_BELOW} the intervals are rough"


def _of_extremes(scores: ModeScores) -> Iterator[str]:
    for value, what in ((1.0, "right"), (0.0, "wrong")):
        alike = [level for level in LEVELS if scores.levels[level].top1.value == value]
        if alike:
            yield (
                f"Under {SHOWN_FIRST} every clip is {what} by {', '.join(alike)}: there is no spread to measure, and "
                "the interval is that of so many independent tries"
            )
    far = scores.distances
    if far is not None and far.mean_km.low_clips is not None and far.mean_km.low_clips == far.mean_km.high_clips:
        yield "All distances are the same, so their intervals have no width; that proves nothing"


def _of_coordinates(classes: Classes, scores: ModeScores) -> Iterator[str]:
    unknown = [
        name for name, lat in zip(classes.names["city"], classes.coordinates[:, 0], strict=True) if np.isnan(lat)
    ]
    if not unknown:
        return
    many = "One city has" if len(unknown) == 1 else f"{len(unknown)} cities have"
    far = scores.distances
    if far is None:
        yield f"{many} no coordinates, and no clip has them on both sides, so there are no distances"
        return
    left_out = far.n_truth_unknown + far.n_predicted_unknown
    wrong = f", {far.n_predicted_unknown:,} of them wrong, which flatters the others" if far.n_predicted_unknown else ""
    yield (
        f"{many} no coordinates ({_names(unknown)}): clips of or taken for such a city are in no distance, under "
        f"{SHOWN_FIRST} {left_out:,}{wrong}"
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
