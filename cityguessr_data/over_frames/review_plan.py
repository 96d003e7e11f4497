"""What applying the decisions of a review comes to in one unit: which frames are blurred anew, which rows change.

All is worked out from the faces as the build wrote them and from all decisions that hold, so undoing one undoes its
effect, and applying the same decisions again finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from ..core.types import LEVELS, Place
from ..review.decisions import Box, DecisionLog
from ..review.faces import places_as_built, rows_by_clip
from ..review.progress import ReviewedClip, clips_of, marks_of
from ..review.state import ClipReview, Row, box_of, faces_after
from ..review.unblurred import Unblurred
from ..run.store import Store, read_part

PlaceOf = Callable[[str], Place]
"""The place of a city that a reviewer named; raises InputError where it is not known."""


@dataclass(frozen=True)
class FrameChange:
    """One frame that gets other pixels."""

    boxes: tuple[Box, ...]
    """To blur: all of the frame where it is made from the source, else those that are new."""
    from_source: bool
    """False: blurred further from the saved frame, which is blurred already."""


@dataclass(frozen=True)
class ClipPlan:
    """What becomes of one clip."""

    clip_id: str
    row: Row
    """Of the clips table, as it will be but for n_faces."""
    faces: list[Row]
    """Of the faces table, as they will be."""
    frames: Mapping[int, FrameChange]
    """By position, those that change."""
    lacking: tuple[tuple[int, Box], ...] = ()
    """(position, box) that stay blurred though they are no face, since the source is not at hand."""
    relabelled: bool = False


@dataclass(frozen=True)
class UnitPlan:
    """What becomes of one unit."""

    unit: str
    marks: Mapping[str, str]
    """Which decisions it carries out (`marks_of`)."""
    clips: tuple[ClipPlan, ...]
    """In the order of the table."""
    n_stale: int
    """Decisions about earlier results of its clips."""
    changed: bool
    """Whether its tables will differ, apart from the mark."""

    @property
    def n_frames(self) -> int:
        """Frames that get other pixels."""
        return sum(len(clip.frames) for clip in self.clips)


def plan_unit(store: Store, log: DecisionLog, unblurred: Unblurred, unit: str, place_of: PlaceOf) -> UnitPlan:
    """Work it out; nothing is decoded or written. Clips that were dropped are not there any more.

    Raises:
        InputError: a decision names a city that is not known, or a frame that its clip does not have.
    """
    clips = {row["clip_id"]: row for row in read_part(store.part("clips", unit)).to_pylist()}
    committed = rows_by_clip(read_part(store.part("faces", unit)))
    numbers: dict[str, dict[int, int | None]] = {}
    for row in read_part(store.part("frames", unit), ["clip_id", "position", "frame_index"]).to_pylist():
        numbers.setdefault(row["clip_id"], {})[row["position"]] = row["frame_index"]
    places = places_as_built(store, unit)
    plans: list[ClipPlan] = []
    reviews: dict[str, ClipReview] = {}
    stale, changed = 0, False
    for clip in clips_of(store, unit, log.read(unit)):
        stale += clip.review.stale
        reviews[clip.clip_id] = clip.review
        rows = committed.get(clip.clip_id, [])
        labelled = clips[clip.clip_id] | places.get(clip.clip_id, {})
        if clip.review.city is not None:
            labelled |= _columns(place_of(clip.review.city))
        plan = _plan_clip(clip, clips[clip.clip_id], labelled, rows, numbers.get(clip.clip_id, {}), unblurred)
        changed = changed or plan.relabelled or plan.faces != rows
        plans.append(plan)
    return UnitPlan(unit, marks_of(reviews), tuple(plans), stale, changed)


def _plan_clip(
    clip: ReviewedClip,
    row: Row,
    labelled: Row,
    committed: list[Row],
    numbers: Mapping[int, int | None],
    unblurred: Unblurred,
) -> ClipPlan:
    for position, _ in (*clip.review.drawn, *clip.review.blurred):
        if position not in numbers:
            raise InputError(
                f"a decision is about frame {position + 1} of {clip.clip_id}, which has no such frame",
                "The decisions were changed by hand: restore parts/decisions from a copy",
            )
    wanted = faces_after(clip.faces, clip.review, numbers)
    now, then = _blurred_by_frame(committed), _blurred_by_frame(wanted)
    frames: dict[int, FrameChange] = {}
    lacking: list[tuple[int, Box]] = []
    positions = [p for p in sorted(now.keys() | then.keys()) if set(now.get(p, ())) != set(then.get(p, ()))]
    with_source = bool(positions) and unblurred.why_none(clip.unit, clip.clip_id) is None
    for position in positions:
        before, after = now.get(position, []), then.get(position, [])
        if with_source:
            frames[position] = FrameChange(tuple(after), True)
            continue
        new = [box for box in after if box not in before]
        lacking += [(position, box) for box in before if box not in after]
        if new:
            frames[position] = FrameChange(tuple(new), False)
    faces = _kept_blurred(wanted, committed, set(lacking))
    return ClipPlan(clip.clip_id, labelled, faces, frames, tuple(lacking), labelled != row)


def _blurred_by_frame(faces: list[Row]) -> dict[int, list[Box]]:
    """Position -> boxes that are blurred, in the order of the table, which is that of blurring."""
    boxes: dict[int, list[Box]] = {}
    for face in faces:
        if face["blurred"]:
            boxes.setdefault(face["position"], []).append(box_of(face))
    return boxes


def _kept_blurred(wanted: list[Row], committed: list[Row], lacking: set[tuple[int, Box]]) -> list[Row]:
    """`wanted`, where a box that cannot lose its blur is told as blurred, and one that was drawn stays in the table."""
    if not lacking:
        return wanted
    rows = [face | {"blurred": face["blurred"] or (face["position"], box_of(face)) in lacking} for face in wanted]
    there = {(face["position"], box_of(face)) for face in rows}
    taken_back = [face for face in committed if (face["position"], box_of(face)) in lacking - there]
    rows += [face | {"review": "rejected"} for face in taken_back]
    return sorted(rows, key=lambda face: face["position"])


def _columns(place: Place) -> dict[str, Any]:
    names = {level: getattr(place, level) for level in LEVELS}
    return names | {f"{level}_label": getattr(place, f"{level}_label") for level in LEVELS}
