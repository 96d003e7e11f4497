"""How sure a model is under each mode: a probability for every class, of every level, that sums to 1 over a level.

Rankings do not need these (hierarchy.py); calibration and the figures beside a guess do. The paper's products (Eq. 5)
do not sum to 1, so they are scaled to. In the traced modes the city decides, so a state, country or continent has the
sum of its cities' probabilities: what the city's distribution says of it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cityguessr_data.core.types import LEVELS, Level

from .hierarchy import Floats, LogProbs, Mode, Parents, products


def probabilities(log_probs: LogProbs, parents: Parents, mode: Mode) -> dict[Level, Floats]:
    """The probability of every class.

    Args:
        log_probs, parents: as for `hierarchy.products`.
    Returns:
        float64 (N, C) by level, 0 to 1; a row sums to 1.
    Raises:
        ValueError: as `hierarchy.products`.
    """
    if mode in ("independent", "codependent"):
        scores: LogProbs = products(log_probs, parents)
    else:
        scores = log_probs
    if mode in ("none", "independent"):
        return {level: _softmax(scores[level]) for level in LEVELS}
    found: dict[Level, Floats] = {"city": _softmax(scores["city"])}
    for level, upper in pairwise(LEVELS):
        n_above = np.shape(log_probs[upper])[1]
        lies_in = np.asarray(parents[level])[:, None] == np.arange(n_above)  # (C, C above)
        found[upper] = np.minimum(found[level] @ lies_in.astype(np.float64), 1)  # rounding may pass 1
    return found


def _softmax(logs: np.ndarray) -> Floats:
    shifted = np.asarray(logs, np.float64)
    weights = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    scaled: Floats = weights / weights.sum(axis=1, keepdims=True)
    return scaled
