"""Scene labels of clips follow from those of their frames: 16 shares that sum to 1, and the largest is the majority."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.places365 import N_CATEGORIES, SCENE_CLASSES, majority, soft_label
from .asked import Asked
from .findings import Fault
from .unit import UnitTables

_CHECK = "scenes"
_SLACK = 1e-4  # shares are float32, and other software may have written them


def check_scenes(unit: UnitTables, asked: Asked) -> Iterator[Fault]:
    """See the module. Clips without labels are looked at too: their frames then have none either."""
    top1: dict[str, list[int | None]] = defaultdict(list)
    columns = (unit.frames[name] for name in ("clip_id", "scene_top1", "scene_top1_prob"))
    for clip_id, category, prob in zip(*columns, strict=True):
        top1[clip_id].append(category)
        if category is not None and not 0 <= category < N_CATEGORIES:
            yield Fault(_CHECK, clip_id, f"a frame has the scene {category}", "redo", unit.name)
        if prob is not None and not 0 <= prob <= 1 + _SLACK:
            yield Fault(_CHECK, clip_id, f"a frame's scene has the probability {prob}", "redo", unit.name)
    for clip in unit.clips:
        if what := _wrong(clip, top1[clip["clip_id"]], asked):
            yield Fault(_CHECK, clip["clip_id"], what, "redo", unit.name)


def _wrong(clip: dict[str, Any], top1: list[int | None], asked: Asked) -> str:
    soft, most = clip["scene_soft"], clip["scene_majority"]
    if soft is None or most is None:
        if soft is not None or most is not None:
            return "has only one of scene_soft and scene_majority"
        return "" if all(one is None for one in top1) else "has no scene, and its frames have"
    if len(soft) != len(SCENE_CLASSES) or any(share is None for share in soft):
        return f"has {len(soft)} shares in scene_soft, not {len(SCENE_CLASSES)}"
    shares = np.array(soft, np.float32)
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(float(shares.sum()) - 1) > _SLACK:
        return f"its scene_soft sums to {float(shares.sum()):.4f}"
    if most != majority(shares):
        return f"its scene_majority is {most}, the largest share is that of {majority(shares)}"
    known = [one for one in top1 if one is not None and 0 <= one < N_CATEGORIES]
    if not known:
        return "has a scene, and its frames have none"
    if len(known) < len(top1):
        return f"{len(top1) - len(known)} of its frames have no scene"
    if not any(np.allclose(soft_label(known, parents), shares, atol=_SLACK) for parents in asked.parents):
        return "its scene_soft is not that of its frames"
    return ""
