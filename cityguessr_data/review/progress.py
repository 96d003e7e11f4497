"""How far a review is, over all clips: what is finished, what waits for a person, what waits to be applied."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq

from ..core.fingerprint import fingerprint
from ..run.store import Store, read_part
from .decisions import Decision, DecisionLog
from .faces import APPLIED_KEY, as_built, rows_by_clip
from .state import ClipReview, Row, first_frame, is_finished, review_of

_CLIP_COLUMNS = ["clip_id", "fingerprint", "n_sampled", "blur"]


@dataclass(frozen=True)
class ReviewedClip:
    """A clip with its decisions."""

    unit: str
    clip_id: str
    fingerprint: str
    n_frames: int
    blur: str | None
    """None: its frames were never anonymised."""
    faces: list[Row]
    """As built."""
    review: ClipReview

    @property
    def finished(self) -> bool:
        """By contract 4."""
        return is_finished(self.faces, self.review, self.n_frames)


@dataclass(frozen=True)
class ReviewProgress:
    """n_clips = n_finished + len(unfinished)."""

    n_clips: int
    n_finished: int
    n_needless: int
    """Of the finished ones: those without a blurred face, which need nobody."""
    unfinished: tuple[str, ...]
    """Clip ids."""
    unapplied: tuple[str, ...]
    """Units with decisions that `review --apply` has not carried out."""
    n_stale: int
    """Decisions about earlier results of their clips."""
    unblurred: tuple[str, ...]
    """Clip ids of imports whose frames were never anonymised."""


def read_progress(store: Store) -> ReviewProgress:
    """Read it from the parts, unit by unit.

    Raises:
        InputError: the decisions that lie there are about another data set.
    """
    log = DecisionLog(store)
    with_decisions = set(log.units())
    unfinished: list[str] = []
    unblurred: list[str] = []
    unapplied: list[str] = []
    n_clips = n_needless = n_stale = 0
    for path in store.parts("clips"):
        unit = path.stem
        decisions = log.read(unit) if unit in with_decisions else []
        holding: dict[str, ClipReview] = {}
        for clip in clips_of(store, unit, decisions):
            n_clips += 1
            n_stale += clip.review.stale
            n_needless += clip.finished and first_frame(clip.faces) is None and not clip.review.every_frame
            holding[clip.clip_id] = clip.review
            if clip.blur is None:
                unblurred.append(clip.clip_id)
            if not clip.finished:
                unfinished.append(clip.clip_id)
        if decisions and marks_of(holding) != applied_marks(store, unit, holding):
            unapplied.append(unit)
    return ReviewProgress(
        n_clips,
        n_clips - len(unfinished),
        n_needless,
        tuple(unfinished),
        tuple(unapplied),
        n_stale,
        tuple(unblurred),
    )


def clips_of(store: Store, unit: str, decisions: list[Decision]) -> Iterator[ReviewedClip]:
    """The clips of a unit, each with what its decisions come to, in the order of the table.

    Args:
        decisions: of the unit (`DecisionLog.read`).
    """
    clips = read_part(store.part("clips", unit), _CLIP_COLUMNS)
    if not clips.num_rows:
        return
    faces = rows_by_clip(as_built(store, unit))
    about: dict[str, list[Decision]] = {}
    for decision in decisions:
        about.setdefault(decision.clip_id, []).append(decision)
    for row in clips.to_pylist():
        clip_id = row["clip_id"]
        yield ReviewedClip(
            unit,
            clip_id,
            row["fingerprint"],
            row["n_sampled"],
            row["blur"],
            faces.get(clip_id, []),
            review_of(about.get(clip_id, ()), row["fingerprint"]),
        )


def marks_of(reviews: Mapping[str, ClipReview]) -> dict[str, str]:
    """Clip id -> a short digest of the decisions that hold of it; without the clips of which none does."""
    held = {clip: [decision.decision_id for decision in review.counting] for clip, review in reviews.items()}
    return {clip: fingerprint(ids) for clip, ids in held.items() if ids}


def applied_marks(store: Store, unit: str, clips: Collection[str]) -> dict[str, str]:
    """The same of the decisions that were applied to a unit, of these clips alone: others may be gone since."""
    metadata: dict[bytes, bytes] = pq.read_schema(store.part("clips", unit)).metadata or {}
    applied = json.loads(metadata.get(APPLIED_KEY, b"{}"))
    return {clip: mark for clip, mark in applied.items() if clip in clips}
