"""What a stage is, and what a video carries with it from stage to stage.

A pipeline is a tuple of stages and a for loop: each turns an iterator into an iterator, so one clip is never whole in
memory. Neighbouring stages of one lane share a thread; lanes overlap (see lanes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from ..core.types import Clip, DropReason, LocalVideo, MediaInfo, VideoTask

Tick = Callable[[str, int], None]
"""Called with a stage's name and how many more frames it has finished, or with one of EXPECTED and how many will be."""

EXPECTED = ("expected decoded", "expected sampled")
"""Names under which a video that has begun tells how many frames it will decode and save."""


ALIVE = ("decode", 0)
"""What a stage ticks while it works and finishes no frame: whoever hears nothing for long ends it."""


@dataclass(frozen=True)
class Step:
    """What one stage did to one video: a row of the attempts table."""

    stage: str
    status: Literal["done", "dropped", "failed"]
    started_at: datetime
    seconds: float
    """Time the stage itself was busy, without waiting for its neighbours."""
    error_class: str | None = None
    message: str | None = None


@dataclass
class VideoJob:
    """One video under way: what is asked, where it lies, where its results are staged, what stages found out of it."""

    task: VideoTask
    source: LocalVideo
    staging: Path
    tick: Tick
    media: MediaInfo | None = None
    tail_frames: int = 0
    """Frames of its spans that belong to no clip, by the rule of spans.py."""
    lost_clips: int = 0
    """Clips that were planned and not reached, because decoding ended early."""
    cut: Clip | None = None
    """The clip under way where decoding ended: not whole, though all its samples may have come before the end."""
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Stage -> (error class, message) of a fault that did not stop the video."""
    notes: dict[str, str] = field(default_factory=dict)
    """Stage -> a remark for the attempts table."""

    def expect(self, decoded: int, sampled: int) -> None:
        """Tell how many frames will be decoded and saved, for the time left."""
        self.tick(EXPECTED[0], decoded)
        self.tick(EXPECTED[1], sampled)


class Stage(Protocol):
    """One step of the way from a source video to saved frames."""

    @property
    def name(self) -> str:
        """As in the attempts table: clip, anonymise, label."""

    @property
    def version(self) -> int:
        """Raised when the same input and config give another result: part of the fingerprint."""

    @property
    def lane(self) -> str:
        """Stages with the same lane share a thread: decode, inference."""

    def open(self) -> None:
        """Load what is needed once a process (models); called before the first video."""

    def remarks(self) -> Sequence[str]:
        """After `open`: lines for the user, such as that a choice is slow here."""

    def run(self, job: VideoJob, items: Iterator[Any]) -> Iterator[Any]:
        """Turn the items of the stage before into this stage's.

        Raises:
            DropVideo, VideoError: the video ends here; nothing of it is kept.
        """


class DropVideo(Exception):
    """A stage leaves a video out by policy (reason as in the videos table)."""

    def __init__(self, reason: DropReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
