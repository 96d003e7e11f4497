"""From what a model says of a video's clips to one ranking a level with probabilities. Pure.

Averaging. The paper scores clips one by one and says nothing of whole videos. Here the four heads' probabilities are
averaged over the clips, each head for itself, and the evaluation mode is applied once, to the averages. A video then
has one distribution a head, just as a clip has, so that everything which holds of clips (hierarchy.py) holds of videos,
and a video of one clip gets what `evaluate` gives that clip. Averaging the modes' products instead would let one head
of one clip rule out what all other clips say, since a product has a veto and a mean has none.

Ranking is that of `evaluate` (hierarchy.top_k), and so are probabilities (probabilities.py); `meaning` says for a mode
what they are of. In the traced modes there is one distribution, over cities, and the levels above only add it up: no
probability contradicts another, and the first places of the four levels lie in each other. A place above the city ranks
by its best city, as in the paper, and not by its sum: where another place has the greater sum, `remarks` says so.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cityguessr_data.core.types import LEVELS, Level

from ..classes import Classes
from ..hierarchy import Floats, LogProbs, Mode, top_k
from ..probabilities import probabilities
from .results import Guess

TOP = 5
AVERAGED = "mean over clips of each head's probabilities; the mode is applied to the means"
_SUM_OF_CITIES = "sum over the cities it holds"
_OF_CITY: dict[Mode, str] = {
    "codependent": "product of the four heads (Eq. 5), divided by the sum over all cities",
    "trace": "the city head",
}


def meaning(mode: Mode) -> dict[Level, str]:
    """What a probability is of, by level, in words."""
    if mode in ("codependent", "trace"):
        return {level: _OF_CITY[mode] if level == "city" else _SUM_OF_CITIES for level in LEVELS}
    if mode == "none":
        return {level: f"the {level} head" for level in LEVELS}
    product = "product of the heads of the {} and of what it lies in (Eq. 5), divided by the sum over all"
    return {level: "the continent head" if level == "continent" else product.format(level) for level in LEVELS}


def averaged(log_probs: LogProbs) -> dict[Level, Floats]:
    """The mean over clips of the probabilities, each head for itself.

    Args:
        log_probs: (N, C) natural logarithms by level, a row a clip.
    Returns:
        float64 (1, C) by level: logarithms of the means.
    Raises:
        ValueError: no clips.
    """
    means: dict[Level, Floats] = {}
    for level in LEVELS:
        rows = np.asarray(log_probs[level], np.float64)
        if not len(rows):
            raise ValueError("expected one clip or more, got none")
        means[level] = np.logaddexp.reduce(rows, axis=0)[None] - np.log(len(rows))
    return means


def guesses(log_probs: LogProbs, classes: Classes, mode: Mode, k: int = TOP) -> dict[Level, tuple[Guess, ...]]:
    """The `k` best places of every level for a video, the best first; fewer where a level has fewer.

    Args:
        log_probs: (N, C) by level, a row a clip of the video.
    Raises:
        ValueError: no clips, or shapes that do not fit the classes.
    """
    video = averaged(log_probs)
    best = top_k(video, classes.parents, mode, k)
    shares = probabilities(video, classes.parents, mode)
    return {
        level: tuple(_guess(classes, level, int(label), float(shares[level][0, label])) for label in best[level][0])
        for level in LEVELS
    }


def remarks(log_probs: LogProbs, classes: Classes, mode: Mode) -> tuple[str, ...]:
    """Where the first place of a level is not the one of the greatest probability, in words; only in traced modes."""
    video = averaged(log_probs)
    best, shares = top_k(video, classes.parents, mode, 1), probabilities(video, classes.parents, mode)
    told = []
    for level in LEVELS[1:]:
        share, first = shares[level][0], int(best[level][0, 0])
        most = int(np.argmax(share))
        if mode in ("codependent", "trace") and share[most] > share[first]:
            one, other = (classes.names[level][label].replace("_", " ") for label in (first, most))
            told.append(
                f"{level}: {one} stands first because the most probable city lies there; together the cities of "
                f"{other} have more, {share[most]:.1%} to {share[first]:.1%}"
            )
    return tuple(told)


def _guess(classes: Classes, level: Level, label: int, probability: float) -> Guess:
    within, at = [], label
    for below, upper in pairwise(LEVELS[LEVELS.index(level) :]):
        at = int(classes.parents[below][at])
        within.append(classes.names[upper][at])
    lat, lon = classes.coordinates[label].tolist() if level == LEVELS[0] else (np.nan, np.nan)
    known = not np.isnan(lat)
    return Guess(
        label=label,
        name=classes.names[level][label],
        within=tuple(within),
        probability=probability,
        lat=lat if known else None,
        lon=lon if known else None,
    )
