"""Which cities a part lacks, and why: nothing is left out in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..stats.leakage import PARTS
from .assign import NEW, TEST, TRAIN, VAL, Codes
from .clips import Units
from .results import Gap


def find_gaps(units: Units, cities: Sequence[str], parts: Codes, wanted: Sequence[int], kept: Codes) -> list[Gap]:
    """List the cities that are not in every part of one split.

    Args:
        parts: (n_units,) index into PARTS.
        wanted: the parts that should have every city.
        kept: (n_units,) part that a unit had before, NEW where it had none.
    """
    sources_of: dict[int, list[int]] = defaultdict(list)
    for unit, clips in enumerate(units.clips_by_city):
        for city in clips:
            sources_of[city].append(unit)
    gaps = []
    for part in wanted:
        for city, sources in sorted(sources_of.items()):
            if not (parts[sources] == part).any():
                reason = _reason(units.noun, part, parts[sources], bool((kept[sources] != NEW).all()))
                gaps.append(Gap(cities[city], PARTS[part], reason))
    return gaps


def find_fold_gaps(units: Units, cities: Sequence[str], fold: npt.NDArray[np.int64], k: int) -> list[list[Gap]]:
    """For each fold, the cities that are not in its test part, or not in what is left for train and val."""
    folds_of: dict[int, list[int]] = defaultdict(list)
    for unit, clips in enumerate(units.clips_by_city):
        for city in clips:
            folds_of[city].append(int(fold[unit]))
    gaps: list[list[Gap]] = [[] for _ in range(k)]
    for city, folds in sorted(folds_of.items()):
        n = len(folds)
        few = f"it has {_counted(n, units.noun)}, and there are {k} folds"
        for at in range(k):
            if at not in folds:
                why = few if n < k else "its sources went to other folds for the sake of other cities"
                gaps[at].append(Gap(cities[city], PARTS[TEST], why))
            elif set(folds) == {at}:
                why = f"it has {_counted(n, units.noun)}" + (", in test here" if n == 1 else ", all in test here")
                gaps[at].append(Gap(cities[city], PARTS[TRAIN], why))
    return gaps


def _reason(noun: str, part: int, parts: Codes, all_kept: bool) -> str:
    n, n_left = len(parts), int((parts != TEST).sum())
    if n < (3 if part == VAL else 2):
        return f"it has {_counted(n, noun)}"
    if all_kept:
        return f"its {_counted(n, noun)} keep the parts they had"
    if part == VAL and n_left < 2:
        return f"it has {_counted(n, noun)}, of which {n_left} {'is' if n_left == 1 else 'are'} not in test"
    return f"its {_counted(n, noun)} serve other cities too, which would be left without train"


def _counted(n: int, noun: str) -> str:
    return f"one {noun}" if n == 1 else f"{n} {noun}s"
