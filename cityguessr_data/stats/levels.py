"""How even a level is: its classes, the measures with their intervals, the Lorenz curve, clips per class."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.types import Level
from .counts import City, classes
from .distribution import describe
from .inequality import MEASURES, lorenz
from .intervals import interval
from .results import LevelStats


def level_stats(cities: Sequence[City], level: Level, few_below: int) -> LevelStats:
    """Measure one level (paper: supplementary sections 6.2 to 6.4).

    Args:
        cities: with a name at `level`, all of them; one clip or more in all.
        few_below: classes with fewer clips are listed.
    Raises:
        ValueError: a city without a name at this level, or no clip.
    """
    found = classes(cities, level)
    counts = [c.n_clips for c in found]
    per_class = describe(counts)
    if per_class is None:
        raise ValueError("expected one class or more")
    return LevelStats(
        level=level,
        classes=found,
        **{name: interval(counts, measure) for name, measure in MEASURES.items()},
        lorenz=tuple((float(x), float(y)) for x, y in lorenz(counts)),
        per_class=per_class,
        few=tuple(c.name for c in sorted(found, key=lambda c: c.n_clips) if c.n_clips < few_below),
    )
