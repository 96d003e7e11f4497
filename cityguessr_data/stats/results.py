"""What the statistics of a data set are, as values: one frozen dataclass a section of the report.

`measure` (report.py) fills them; the terminal, the page, the figures and the JSON only show them. Nothing here is NaN:
what cannot be said is None, and `Stats.blank` tells why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..core.types import Level

Kind = Literal["dataset", "clips", "counts"]
"""What was measured: an output directory, a clips table alone, or a table of counts by city."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval; `low` and `high` are None where there are fewer than two classes."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Distribution:
    """How a quantity is spread: its summary and its histogram."""

    n: int
    """Values known, one or more."""
    n_unknown: int
    """Items whose value is null; they are in nothing below."""
    low: float
    median: float
    mean: float
    high: float
    mode: float
    """The middle of the fullest bin, of several the first; of whole numbers the middle of those that it can hold."""
    edges: tuple[float, ...]
    """Of the bins, ascending, one more than `counts`; a bin holds low edge <= value < high edge, the last also its
    high edge."""
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ClassCount:
    """One class of a level."""

    name: str
    """As the data has it, e.g. `New_York`."""
    parents: tuple[str, ...]
    """Names of the levels above it, the nearest first; empty where they are not known."""
    n_clips: int
    n_videos: int | None
    """Source videos; None where the data does not name them."""
    lat: float | None = None
    """Degrees, WGS 84; of cities that the taxonomy or the table has coordinates for."""
    lon: float | None = None


@dataclass(frozen=True)
class LevelStats:
    """How even one level is (PAPER: supplementary section 6)."""

    level: Level
    classes: tuple[ClassCount, ...]
    """Most clips first, then by name."""
    gini: Interval
    hoover: Interval
    theil: Interval
    effective_classes: Interval
    top10_share: Interval
    lorenz: tuple[tuple[float, float], ...]
    """(share of classes, share of clips), from (0, 0) to (1, 1), smallest class first."""
    per_class: Distribution
    """Clips per class."""
    few: tuple[str, ...]
    """Classes with fewer clips than the report's limit, fewest first."""

    @property
    def n_classes(self) -> int:
        """Classes that the data has; of a counts table also those with a count of 0."""
        return len(self.classes)

    @property
    def n_clips(self) -> int:
        """Clips of all classes."""
        return sum(c.n_clips for c in self.classes)

    @property
    def rough(self) -> bool:
        """Whether there are too few classes for an interval to be taken at its word; False where there is none."""
        return self.gini.low is not None and self.n_classes < ROUGH_BELOW


ROUGH_BELOW = 50
"""Below this many classes a 95 % interval holds the truth less than 90 % of the time (docs/statistics.md)."""


@dataclass(frozen=True)
class Size:
    """How big the data set is. None: the data does not say."""

    n_clips: int
    n_videos: int | None
    """Source videos that clips come from."""
    n_frames: int | None
    """Saved frames."""
    hours: float | None
    """Footage that the clips cover, before sampling."""
    videos_by_status: Mapping[str, int]
    """Of the videos table: done, dropped, failed, removed; empty without one."""
    cities_of_taxonomy: int | None
    """Cities of the taxonomy that the data has, of `taxonomy_cities`."""
    taxonomy_cities: int


@dataclass(frozen=True)
class Footage:
    """Lengths, sizes and rates of clips and videos."""

    clip_s: Distribution | None
    """Length of a clip in seconds."""
    clip_frames: Distribution | None
    """Decoded frames of a clip."""
    saved_frames: Distribution | None
    """Saved frames of a clip."""
    video_s: Distribution | None
    """Length of a source video in seconds."""
    fps: Mapping[str, int]
    """Clips by frame rate, rounded to 2 decimals, commonest first; `unknown` last."""
    resolution: Mapping[str, int]
    """Clips by `WIDTHxHEIGHT` in px, commonest first; `unknown` last."""
    n_from_15_frames: int | None
    """Clips with 15 saved frames or more, the shortest that the paper's model takes."""
    one_length: bool | None
    """Whether every clip has the same number of saved frames ("consistent sequence length" of Table 1)."""
    from_video: bool | None
    """Whether every clip is cut from a video, known by its frame rate ("video sequence" of Table 1)."""
    own_folders: bool | None
    """Whether every clip's frames have a place of their own ("uniformly organized" of Table 1)."""


@dataclass(frozen=True)
class Faces:
    """What the face detector found, by the tables."""

    conf: float
    """From this score on, a detection is blurred: of the data set's configuration, else the paper's 0.5."""
    per_clip: Distribution | None
    """Blurred boxes in all saved frames of a clip."""
    per_frame: Distribution | None
    """Blurred boxes in one saved frame."""
    n_detections: int
    n_blurred: int
    n_in_band: int
    """Detections from 0.05 to below `conf` that are not blurred and that no person has decided on yet."""
    n_visible: int
    """Detections of `conf` and over that are not blurred, and that no person has rejected: there should be none."""
    n_reviewed: int
    """Detections that a person accepted or rejected."""
    scores: Distribution | None
    heights_px: Distribution | None
    """Heights of the blurred boxes."""
    by_origin: Mapping[str, int]
    """Blurred boxes by where they come from: detected, propagated, manual."""
    n_strangers: int
    """Rows of clips that the clips table does not have; they are in nothing above."""


@dataclass(frozen=True)
class Scenes:
    """What the clips show: shares of the 16 classes, means of `scene_soft` over clips."""

    n_labelled: int
    n_unlabelled: int
    """Clips with null scenes; they are in no share."""
    overall: tuple[float, ...]
    """(16,) shares that sum to 1, in the order of core.places365.SCENE_CLASSES."""
    by_continent: Mapping[str, tuple[float, ...]]
    """Continents without a labelled clip are left out."""
    majority: tuple[int, ...]
    """(16,) clips by `scene_majority`."""


@dataclass(frozen=True)
class VideoRow:
    """One source video, for the table of the largest."""

    video_id: str
    title: str | None
    channel: str | None
    cities: tuple[str, ...]
    n_clips: int


@dataclass(frozen=True)
class Provenance:
    """Where clips come from: what a split by source has to work with."""

    clips_per_video: Distribution
    videos_per_city: Distribution
    one_video_cities: tuple[str, ...]
    """Cities with one source video: no split by video can have them in both parts."""
    videos: tuple[VideoRow, ...]
    """Most clips first, at most 1,000 of `n_videos`."""
    n_videos: int
    channels: Mapping[str, int] | None
    """Clips by channel, most first; None where no channel is known."""
    n_channel_unknown: int
    """Clips whose channel is null."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two clips of different source videos that look the same."""

    clip_a: str
    clip_b: str
    n_matched: int
    """Frames of the clip with fewer usable frames that have a like frame in the other."""
    share: float
    """`n_matched` over the usable frames of that clip."""


@dataclass(frozen=True)
class Duplicates:
    """Near-duplicate clips across source videos, by the perceptual hashes of their saved frames."""

    n_frames: int
    """Frames with a hash."""
    n_flat: int
    """Frames ignored because they show next to nothing (black, one colour): their hash says nothing."""
    n_common: int
    """Frames ignored because their hash is shared by more source videos than a copy would explain, or so many that
    there were too many to compare."""
    n_unchecked: int
    """Pairs of clips with a few like frames that were not compared frame by frame, for there were too many."""
    n_clips: int
    """Clips that are in a pair."""
    n_pairs: int
    pairs: tuple[DuplicatePair, ...]
    """Highest share first, at most 1,000 of `n_pairs`."""


@dataclass(frozen=True)
class Leakage:
    """How much of a split's test part is not new to a model that saw its train part."""

    split: str
    n_by_part: Mapping[str, int]
    """Clips by part; with `not in the split` where clips of the data are missing from it."""
    n_test: int
    n_same_video: int | None
    """Test clips whose source video also has clips in train; None where the source is unknown."""
    n_same_channel: int | None
    """The same by channel; test clips without a channel are not counted in."""
    n_channel_unknown: int
    n_adjacent: int | None
    """Test clips of which the clip before or after in the same video is in train."""
    n_duplicate: int | None
    """Test clips with a near-duplicate of another video in train."""


@dataclass(frozen=True)
class Stats:
    """All of one data set. A section is None where the data has nothing to say of it; `blank` then has the reason."""

    name: str
    kind: Kind
    size: Size
    few_below: int
    """Classes with fewer clips than this are listed as `few`."""
    levels: Mapping[Level, LevelStats | None]
    footage: Footage | None
    faces: Faces | None
    scenes: Scenes | None
    provenance: Provenance | None
    duplicates: Duplicates | None
    leakage: tuple[Leakage, ...]
    blank: Mapping[str, str]
    """Name of a level or section -> why it is empty."""
    notes: tuple[str, ...]
    """What a reader must know before trusting the numbers, one sentence each."""
