"""The types that cross the borders between stages: one frozen dataclass a step, from a table row to a saved frame.

    SourceRow -> VideoTask -> LocalVideo -> SampledFrame -> AnonymisedFrame -> LabelledFrame

Only an AnonymisedFrame (or what is made of it) can be given to the writer: the type is the promise that no unblurred
pixel is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .spans import Span

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    RGB = npt.NDArray[np.uint8]
    """One picture, uint8, shape (H, W, 3), colour order red, green, blue."""

Level = Literal["city", "state", "country", "continent"]
LEVELS: tuple[Level, ...] = ("city", "state", "country", "continent")


@dataclass(frozen=True)
class Place:
    """A place by name at the four levels. `labels` are ids of the taxonomy, None where it does not know the name."""

    city: str
    state: str
    country: str
    continent: str
    lat: float | None = None
    lon: float | None = None
    city_label: int | None = None
    state_label: int | None = None
    country_label: int | None = None
    continent_label: int | None = None


@dataclass(frozen=True)
class SourceRow:
    """One checked row of the sources table (contract 3)."""

    line: int
    """Line in the file, for messages; the header is line 1. Row number + 1 for Parquet."""
    url: str
    place: Place
    video_id: str | None = None
    start_s: float | None = None
    """Start of the span in seconds of the video; None: its first frame."""
    end_s: float | None = None
    """End of the span (exclusive); None: its last frame."""
    license: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    """Columns that pass through to the videos table."""
    clip_index: int | None = None
    """The span is one clip, and this is its number: of a table that rebuilds clips which are known already."""


@dataclass(frozen=True)
class VideoTask:
    """One unit of work: a source video with all the rows that name it, ordered by the start of their spans."""

    video_id: str
    url: str
    rows: tuple[SourceRow, ...]
    removed: tuple[Span, ...] = ()
    """What no clip may hold any part of: where clips lay that were removed."""


@dataclass(frozen=True)
class LocalVideo:
    """A source video on the local disk, with what its site says of it."""

    path: Path
    url: str
    sha256: str
    title: str | None = None
    channel: str | None = None
    license: str | None = None
    upload_date: str | None = None
    """YYYY-MM-DD."""


DropReason = Literal["too-short", "too-long", "too-small", "live", "removed"]


@dataclass(frozen=True)
class Dropped:
    """A video left out by policy, not by failure: counted with its reason. `removed`: it was taken out for good."""

    reason: DropReason
    message: str


@dataclass(frozen=True)
class MediaInfo:
    """What demuxing tells of a video, in displayed orientation."""

    n_frames: int
    """Video packets that will be shown."""
    fps: float
    """Frames over duration; the average where the rate varies."""
    width: int
    height: int
    duration_s: float


@dataclass(frozen=True)
class Clip:
    """A run of decoded frames of one video, and where it was filmed."""

    video_id: str
    index: int
    start_frame: int
    n_frames: int
    place: Place
    start_s: float = 0.0
    """When its first frame is shown, from the video's first frame."""
    end_s: float = 0.0
    """When the frame after its last is shown (the video's end for the last)."""

    @property
    def clip_id(self) -> str:
        """`<video_id>_<clip index, 5 digits>`."""
        return f"{self.video_id}_{self.index:05d}"

    @property
    def end_frame(self) -> int:
        """Exclusive."""
        return self.start_frame + self.n_frames


@dataclass(frozen=True)
class SampledFrame:
    """One decoded frame, not yet anonymised: it must never be written."""

    clip: Clip
    position: int
    """0 .. samples-1."""
    frame_index: int
    """Of the source, from 0, in presentation order."""
    timestamp_s: float
    """From the video's first frame."""
    rgb: RGB


@dataclass(frozen=True)
class Face:
    """One detected object, in px of the saved frame before any growing; x1 and y1 exclusive, coordinates are reals."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    """Detector's probability; of the detection it was copied from where origin is `propagated`."""
    origin: Literal["detected", "propagated", "manual"] = "detected"
    blurred: bool = False
    kind: str = "face"


@dataclass(frozen=True)
class AnonymisedFrame:
    """One frame after detection and blurring: safe to write."""

    clip: Clip
    position: int
    frame_index: int
    timestamp_s: float
    rgb: RGB
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class SceneLabel:
    """The most probable Places365 category of one frame."""

    top1: int
    """0-364, the order of categories_places365.txt."""
    prob: float


@dataclass(frozen=True)
class LabelledFrame:
    """An anonymised frame with its scene; None when scenes are off."""

    frame: AnonymisedFrame
    scene: SceneLabel | None
