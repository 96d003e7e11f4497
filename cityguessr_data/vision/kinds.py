"""The kinds of object that are blurred: each names its detector and its thresholds. Face now; licence plate can follow.

A registry is a dict and a duplicate raises. The detector is named by its import path and loaded when it is first
needed: reading the registry costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOWEST_SCORE = 0.05
"""Detections below it are not recorded (contract 4)."""


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    name: str
    """The value of the faces table's `kind` column."""
    detector: str
    """`module:function` that makes its detector."""
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"paper": 0.5, "strict": 0.2})
    """Default score from which it is blurred, by blur mode."""

    def load_detector_factory(self) -> Callable[..., Any]:
        """Import and return the function that makes this kind's detector."""
        module, _, function = self.detector.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return factory


KINDS: dict[str, Kind] = {}


def register(kind: Kind, registry: dict[str, Kind] = KINDS) -> Kind:
    """Add `kind` to `registry` and return it.

    Raises:
        ValueError: a kind of that name is there already, or a threshold is not in LOWEST_SCORE .. 1.
    """
    if kind.name in registry:
        raise ValueError(f"the kind {kind.name!r} is registered twice")
    for mode, threshold in kind.thresholds.items():
        if not LOWEST_SCORE <= threshold <= 1.0:
            raise ValueError(f"{kind.name}: expected a threshold of {LOWEST_SCORE} to 1 for {mode}, got {threshold}")
    registry[kind.name] = kind
    return kind


FACE = register(Kind(name="face", detector="cityguessr_data.vision.retinaface:load_detector"))
