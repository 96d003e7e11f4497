"""What came of a split, as values; the command line only shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..stats.results import Leakage

Action = Literal["written", "replaced", "unchanged"]


@dataclass(frozen=True)
class PartSize:
    """How big a part is."""

    n_clips: int
    n_sources: int
    """Of the rule: clips, source videos or channels (a video without a known channel is one)."""
    n_videos: int | None
    """Source videos with clips in it; None where a source is unknown."""
    n_cities: int


@dataclass(frozen=True)
class Gap:
    """A city without clips in a part, and why."""

    city: str
    part: str
    reason: str


@dataclass(frozen=True)
class MadeSplit:
    """One file."""

    name: str
    path: Path
    action: Action
    """`unchanged`: it was there with this content and was not touched."""
    parts: Mapping[str, PartSize]
    """By part; val only where it was asked for."""
    gaps: tuple[Gap, ...]
    """Ordered by part, then by city."""
    leakage: Leakage
    """Near-duplicates are not looked for here: that needs every frame's hash, and `measure` does it."""


@dataclass(frozen=True)
class SplitResult:
    """One split, or one a fold."""

    by: str
    noun: str
    """What is never divided: `clip`, `source video`, `channel`."""
    seed: int
    n_clips: int
    n_sources: int
    n_cities: int
    n_kept: int
    """Sources that keep the part they had in the file of this name; 0 for a split that the seed alone gives."""
    n_merged: int
    """Of those, sources whose clips were in several parts (two videos whose channel turned out to be one): all their
    clips went to test where one was in it, else to val; with folds, to the first fold that one was tested in."""
    n_videos_without_channel: int | None
    """By channel: videos that stand for themselves."""
    splits: tuple[MadeSplit, ...]
