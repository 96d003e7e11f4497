"""What an audit yields, as values: sheet.py and words.py only show them.

Shares are of 0 to 1, differences of -1 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cityguessr_data.core.types import Level

from ..hierarchy import Mode
from ..results import Estimate

Change = Literal[
    "as it is", "a single frame", "frames in another order", "mirrored", "borders", "static overlays", "readable text"
]
Figures = Mapping[Mode, Mapping[Level, Estimate]]
MODES: tuple[Mode, ...] = ("none", "codependent")
"""Each head by itself, and the paper's way."""


@dataclass(frozen=True)
class Hidden:
    """What a row has masked."""

    share: float
    """Of the pixels of all evaluated frames."""
    n_clips: int
    """Of which anything was hidden."""


@dataclass(frozen=True)
class Row:
    """The run under one change."""

    change: Change
    control: bool
    """As many pixels hidden elsewhere."""
    top1: Figures
    less: Figures | None
    """Clip by clip, this row's top-1 less that of "as it is"; None for that row itself."""
    beyond: Figures | None
    """Of a masked row: clip by clip, its top-1 less that of its control."""
    hidden: Hidden | None


@dataclass(frozen=True)
class NotDone:
    """A row that there is not, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class SplitRow:
    """The same settings, trained and tested by one split."""

    split: str
    run: str
    """Name of the folder."""
    n_train: int
    n_test: int
    seen_video: float | None
    """Of the test clips, the share whose source video has clips in train; None: no source is known."""
    seen_channel: float | None
    top1: Figures
    n_videos: int | None
    """Source videos of the test clips; None where one is not known."""


@dataclass(frozen=True)
class Audit:
    """All of one audit."""

    run: str
    part: str
    split: str
    n_clips: int
    n_videos: int | None
    """None where a clip's video is not known: intervals are then over clips."""
    seen_video: float | None
    """Of the clips, the share whose source video has clips in train; None where that is not known."""
    rows: tuple[Row, ...]
    not_done: tuple[NotDone, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SplitAudit:
    """The same settings by several splits."""

    rows: tuple[SplitRow, ...]
    not_done: tuple[NotDone, ...]


def bounds(estimate: Estimate) -> tuple[float, float] | None:
    """The interval over source videos; over clips where the videos are not known; None where there is neither."""
    if estimate.low_videos is not None and estimate.high_videos is not None:
        return estimate.low_videos, estimate.high_videos
    if estimate.low_clips is not None and estimate.high_clips is not None:
        return estimate.low_clips, estimate.high_clips
    return None
