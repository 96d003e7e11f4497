"""What a prediction is made of: the values that terminal, JSON and page show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cityguessr_data.core.types import Level


@dataclass(frozen=True)
class Guess:
    """One place that a video may show."""

    label: int
    """In the run's taxonomy.parquet."""
    name: str
    within: tuple[str, ...]
    """What it lies in, the nearest first; empty for continents."""
    probability: float
    lat: float | None = None
    """Degrees, of a city's centre; None above cities, and where it is not known."""
    lon: float | None = None


@dataclass(frozen=True)
class ClipSpan:
    """The frames of one clip, in the numbering of the video from 0 in presentation order."""

    start_frame: int
    end_frame: int
    """Exclusive."""
    start_s: float
    end_s: float

    @property
    def n_frames(self) -> int:
        """Of the clip."""
        return self.end_frame - self.start_frame


@dataclass(frozen=True)
class VideoPrediction:
    """What the model says of one video."""

    source: str
    """As it was asked for: a path or a link; all videos of a playlist have the playlist's."""
    video_id: str
    title: str | None
    n_frames: int
    """Of the whole video."""
    fps: float
    duration_s: float
    clips: tuple[ClipSpan, ...]
    """Those that the model saw."""
    levels: Mapping[Level, tuple[Guess, ...]]
    """The most probable places, the best first."""
    notes: tuple[str, ...] = ()
    """What a reader must know of it."""


@dataclass(frozen=True)
class Failure:
    """A video, or a link, that could not be looked at."""

    source: str
    video_id: str | None
    """None where it was not found out."""
    error_class: str
    message: str
    hint: str
