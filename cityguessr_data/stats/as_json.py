"""Statistics as one JSON object: every number that the page shows (contract 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from ..core.places365 import SCENE_CLASSES
from ..core.types import LEVELS
from .comparison import Comparison
from .inequality import MEASURES
from .results import LevelStats, Stats

_BLANK = {"value": None, "low": None, "high": None}


def to_json(stats: Stats, comparison: Comparison | None = None, others: Sequence[Stats] = ()) -> dict[str, Any]:
    """`levels.<level>.gini.value`, `.low`, `.high`, `hoover` likewise, `n_classes`, `n_clips`, and all else.

    A blank level keeps its shape, with null for every figure. `compared` holds the other data sets in the same form.
    """
    value = _one(stats)
    if comparison is not None:
        value["comparison"] = _plain(comparison)
        value["compared"] = [_one(other) for other in others]
    return value


def _one(stats: Stats) -> dict[str, Any]:
    city = stats.levels["city"]
    value: dict[str, Any] = _plain(stats)
    value["n_clips"] = stats.size.n_clips
    value["n_classes"] = city.n_classes if city else None
    value["levels"] = {level: _level(stats.levels[level]) for level in LEVELS}
    value["scene_classes"] = list(SCENE_CLASSES)
    return value


def _level(level: LevelStats | None) -> dict[str, Any]:
    if level is None:
        return {"n_classes": None, "n_clips": None, **{name: dict(_BLANK) for name in MEASURES}, "classes": []}
    return {"n_classes": level.n_classes, "n_clips": level.n_clips, "rough": level.rough, **_plain(level)}


def _plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(v) for name, v in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value
