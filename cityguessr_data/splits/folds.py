"""Folds: every source is in the test part of exactly one, and each city's clips are spread over them evenly.

With few sources a city, one split by source says little; K folds test every clip once. Sources are placed one after
the other, large ones first (by powers of two of their clips, within one by hash), each in the fold that has the
smallest share of its city's clips so far, of equals the fewest clips at all. For a source of several cities the shares
are weighted by what it has of each. Sources that have a fold already keep it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

NEW = -1


def fold_of_units(
    u: npt.NDArray[np.float64],
    clips_by_city: Sequence[Mapping[int, int]],
    k: int,
    kept: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Give each source its fold.

    Args:
        u: (n,) hashes of the sources in [0, 1).
        clips_by_city: (n,) their clips by city.
        k: number of folds, 2 or more.
        kept: (n,) fold that a source has already, NEW where it has none; None: all are new.
    Returns:
        (n,) int64 in [0, k).
    """
    sizes = [sum(clips.values()) for clips in clips_by_city]
    fold = np.full(len(u), NEW, np.int64) if kept is None else kept.astype(np.int64)
    n_of_city: Counter[int] = Counter()
    for clips in clips_by_city:
        n_of_city.update(clips)
    of_city = {city: [0] * k for city in n_of_city}
    in_all = [0] * k

    def place(unit: int, at: int) -> None:
        fold[unit] = at
        in_all[at] += sizes[unit]
        for city, n in clips_by_city[unit].items():
            of_city[city][at] += n

    for unit in np.flatnonzero(fold >= 0).tolist():
        place(unit, int(fold[unit]))
    new = np.flatnonzero(fold < 0).tolist()
    for unit in sorted(new, key=lambda i: (-sizes[i].bit_length(), u[i])):
        cities = [(of_city[city], n / n_of_city[city] ** 2) for city, n in clips_by_city[unit].items()]
        options = [(sum(w * held[f] for held, w in cities), in_all[f], f) for f in range(k)]
        place(unit, min(options)[-1])
    return fold
