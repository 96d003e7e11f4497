"""What the decisions about a clip come to: pure functions from decisions and face rows to what holds now.

A clip's review is finished when its first frame with a blurred face has a decision on every blurred face (contract 4).
"Blurred" is as its build had it: a face that was rejected since still counts, or the review would move on for ever. A
clip marked `every-frame` is finished when each of its frames was accepted; one without a blurred face needs nobody. A
clip that was made anew after somebody had drawn, blurred or dropped in it is not finished until it is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .decisions import Box, Decision

Row = dict[str, Any]


@dataclass(frozen=True)
class ClipReview:
    """What holds of one clip."""

    accepted: frozenset[int] = frozenset()
    """Positions of frames whose boxes were accepted."""
    rejected: frozenset[tuple[int, Box]] = frozenset()
    """(position, box) of detections that are no face."""
    blurred: frozenset[tuple[int, Box]] = frozenset()
    """(position, box) of detections under the threshold that are one."""
    drawn: tuple[tuple[int, Box], ...] = ()
    """(position, box) of faces that had no box, in the order they were drawn."""
    every_frame: bool = False
    dropped: bool = False
    city: str | None = None
    """None: as it was."""
    marks: frozenset[str] = frozenset()
    counting: tuple[Decision, ...] = ()
    """The decisions that hold, in their order."""
    stale: int = 0
    """Decisions about an earlier result of this clip; they count no more."""
    outdated: bool = False
    """Something was drawn, blurred, dropped or asked for in an earlier result, and nothing decided since."""


_WEIGHTY = ("draw", "blur", "every-frame", "drop")
"""Decisions that must not be forgotten when a clip is made anew: somebody saw what the detector did not."""
_OF_FRAMES = ("accept", "reject", *_WEIGHTY)
"""Decisions of somebody who looked at the faces of a clip; a label or a mark is none."""


@dataclass
class _Folding:
    accepted: set[int] = field(default_factory=set)
    rejected: set[tuple[int, Box]] = field(default_factory=set)
    blurred: set[tuple[int, Box]] = field(default_factory=set)
    drawn: list[tuple[int, Box]] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)


def review_of(decisions: Iterable[Decision], fingerprint: str) -> ClipReview:
    """Fold the decisions about one clip, in their order.

    Args:
        decisions: all about this clip, of every reviewer.
        fingerprint: the clip's now.
    """
    current = [one for one in decisions if one.action not in ("drawn", "looked")]  # of a sample: they change nothing
    old = [one for one in current if one.fingerprint != fingerprint]
    taken_back = {one.undoes for one in old if one.action == "undo"}
    weighty = any(one.action in _WEIGHTY and one.decision_id not in taken_back for one in old)
    current = [one for one in current if one.fingerprint == fingerprint]
    undone = {one.undoes for one in current if one.action == "undo"}
    holding = tuple(one for one in current if one.action != "undo" and one.decision_id not in undone)
    fold = _Folding()
    city = None
    for one in holding:
        here = (one.position or 0, one.box or (0.0, 0.0, 0.0, 0.0))
        match one.action:
            case "accept":
                fold.accepted.add(here[0])
            case "reject":  # the last word on a box counts
                fold.rejected.add(here)
                fold.blurred.discard(here)
            case "blur":
                fold.blurred.add(here)
                fold.rejected.discard(here)
            case "draw":
                fold.drawn.append(here)
                fold.rejected.discard(here)
            case "label":
                city = one.value
            case "mark":
                fold.marks.add(one.value or "")
            case "unmark":
                fold.marks.discard(one.value or "")
    rejected_drawn = set(fold.rejected)
    return ClipReview(
        accepted=frozenset(fold.accepted),
        rejected=frozenset(fold.rejected),
        blurred=frozenset(fold.blurred),
        drawn=tuple(dict.fromkeys(here for here in fold.drawn if here not in rejected_drawn)),
        every_frame=any(one.action == "every-frame" for one in holding),
        dropped=any(one.action == "drop" for one in holding),
        city=city,
        marks=frozenset(fold.marks),
        counting=holding,
        stale=len(old),
        outdated=weighty and not any(one.action in _OF_FRAMES for one in holding),
    )


def box_of(face: Mapping[str, Any]) -> Box:
    """The box of a row of the faces table."""
    return (face["x0"], face["y0"], face["x1"], face["y1"])


def faces_after(faces: Sequence[Row], review: ClipReview, frame_index: Mapping[int, int | None]) -> list[Row]:
    """The face rows of a clip as its review wants them, from those that its build wrote (`as_built`).

    Drawn faces have origin `manual` and score 1.

    Args:
        faces: as built, of one clip.
        frame_index: position -> frame of the source, of all frames of the clip, for the rows of drawn faces.
    """
    wanted: list[Row] = []
    for face in faces:
        here = (face["position"], box_of(face))
        if here in review.rejected:
            face = face | {"blurred": False, "review": "rejected"}
        elif here in review.blurred:
            face = face | {"blurred": True, "review": "accepted"}
        elif face["blurred"] and face["position"] in review.accepted:
            face = face | {"review": "accepted"}
        wanted.append(face)
    there = {(face["position"], box_of(face)) for face in wanted}
    # A detection that a reviewer took for a face is blurred even if it is not in the table any more
    new = [here for here in (*review.drawn, *sorted(review.blurred)) if here not in there]
    clip_id = review.counting[0].clip_id if review.counting else ""
    wanted += [_manual(clip_id, position, frame_index[position], box) for position, box in new]
    return sorted(wanted, key=lambda face: face["position"])  # stable: within a frame the order stays


def first_frame(faces: Iterable[Row]) -> int | None:
    """Position of the first frame with a blurred face (contract 4); None where there is none.

    Args:
        faces: as built, of one clip.
    """
    return min((face["position"] for face in faces if face["blurred"]), default=None)


def is_finished(faces: Sequence[Row], review: ClipReview, n_frames: int) -> bool:
    """Whether a clip's review is finished.

    Args:
        faces: as built, of one clip.
        n_frames: frames saved of it.
    """
    if review.dropped:
        return True
    if review.outdated:
        return False
    if review.every_frame:
        return len(review.accepted) >= n_frames
    position = first_frame(faces)
    if position is None or position in review.accepted:
        return True
    return all((position, box_of(f)) in review.rejected for f in faces if f["position"] == position and f["blurred"])


def _manual(clip_id: str | None, position: int, frame_index: int | None, box: Box) -> Row:
    x0, y0, x1, y1 = box
    return {
        "clip_id": clip_id, "position": position, "frame_index": frame_index, "kind": "face",
        "x0": x0, "y0": y0, "x1": x1, "y1": y1, "score": 1.0,
        "origin": "manual", "blurred": True, "review": "accepted",
    }  # fmt: skip
