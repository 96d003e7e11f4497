"""What any correct evaluation satisfies, checked on every one: it costs nothing, and a figure that breaks it is wrong.

* `independent` and `codependent` predict the same cities, and so do `none` and `trace`; `none` and `independent`
  predict the same continents.
* Under `codependent` and `trace` a right city is a right state, and so on upwards, so top-1 never falls from city to
  continent; top-5 likewise (hierarchy.py); and four predictions never conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

from .hierarchy import Mode, Parents
from .metrics import conflicts, correct_in_top

TopByMode = Mapping[Mode, Mapping[Level, npt.NDArray[np.int64]]]
"""(N, K) guesses by mode and level, the best first."""
_SAME: tuple[tuple[Mode, Mode, Level], ...] = (
    ("independent", "codependent", "city"),
    ("none", "trace", "city"),
    ("none", "independent", "continent"),
)


def check_invariants(top: TopByMode, truth: Mapping[Level, npt.NDArray[np.integer]], parents: Parents, k: int) -> None:
    """Stop where guesses break what must hold.

    Args:
        top: of all four modes.
        truth: (N,) true labels by level.
        parents: by level but the highest, (C,).
        k: guesses that count in top-k.
    Raises:
        RuntimeError: which one is broken: a fault of this project, never of its input.
    """
    for one, other, level in _SAME:
        if not np.array_equal(top[one][level], top[other][level]):
            raise RuntimeError(f"{level} guesses differ under {one} and {other}: they must be the same")
    traced: tuple[Mode, ...] = ("codependent", "trace")
    for mode in traced:
        if conflicts({level: top[mode][level][:, 0] for level in LEVELS}, parents).any():
            raise RuntimeError(f"predictions under {mode} conflict: they must never")
        for level, upper in pairwise(LEVELS):
            for first in (1, k):
                lower_right = correct_in_top(top[mode][level], truth[level], first)
                if (lower_right & ~correct_in_top(top[mode][upper], truth[upper], first)).any():
                    raise RuntimeError(
                        f"a clip has its {level} in the first {first} under {mode}, but not its {upper}: it must"
                    )
