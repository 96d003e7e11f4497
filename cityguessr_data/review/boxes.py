"""The boxes of one frame as a reviewer sees them: what was detected, and what was decided about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .decisions import Box
from .state import ClipReview, Row, box_of

Kind = Literal["blurred", "doubtful", "added", "drawn", "rejected"]

_WORDS: dict[Kind, str] = {
    "blurred": "blurred",
    "doubtful": "not blurred",
    "added": "to be blurred",
    "drawn": "drawn by hand",
    "rejected": "rejected: no face",
}


@dataclass(frozen=True)
class FrameBox:
    """One box over a frame; `number` counts from 1."""

    number: int
    of: int
    box: Box
    score: float | None
    """None where a person drew it."""
    kind: Kind
    """blurred: by the build. doubtful: detected under the threshold, not blurred. added: doubtful, and a face.
    drawn: by a person. rejected: no face."""
    propagated: bool = False
    """It was carried over from a neighbouring frame, not detected here."""

    @property
    def name(self) -> str:
        """For a screen reader."""
        score = "" if self.score is None else f", score {self.score:.2f}"
        carried = ", carried over from another frame" if self.propagated else ""
        return f"face {self.number} of {self.of}{score}{carried}, {_WORDS[self.kind]}"

    @property
    def tag(self) -> str:
        """Beside the box."""
        return f"{self.number}" if self.score is None else f"{self.number} · {self.score:.2f}"

    @property
    def words(self) -> str:
        """What became of it."""
        return _WORDS[self.kind]


def boxes_of(faces: Iterable[Row], review: ClipReview, position: int) -> list[FrameBox]:
    """The boxes of a frame, in the order of the table, drawn ones last.

    Args:
        faces: as built, of the clip.
    """
    here = [face for face in faces if face["position"] == position]
    found: list[tuple[Box, float | None, Kind, bool]] = []
    for face in here:
        place = (position, box_of(face))
        kind: Kind = "blurred" if face["blurred"] else "doubtful"
        if place in review.rejected:
            kind = "rejected"
        elif place in review.blurred and not face["blurred"]:
            kind = "added"
        found.append((place[1], face["score"], kind, face["origin"] == "propagated"))
    built = {box for box, *_ in found}
    found += [(box, None, "drawn", False) for where, box in review.drawn if where == position and box not in built]
    return [FrameBox(n, len(found), *one) for n, one in enumerate(found, 1)]


def frames_with_boxes(faces: Iterable[Row], review: ClipReview) -> list[int]:
    """Positions of the frames of a clip that have a box, in order."""
    return sorted({face["position"] for face in faces} | {position for position, _ in review.drawn})


def most_doubtful(faces: Iterable[Row], review: ClipReview, threshold: float) -> tuple[int, float] | None:
    """(position, score) of the highest-scored detection that was not blurred and nobody has decided on."""
    open_ = [
        (face["score"], -face["position"])
        for face in faces
        if not face["blurred"]
        and face["score"] < threshold
        and (face["position"], box_of(face)) not in review.rejected | review.blurred
    ]
    score, position = max(open_, default=(0.0, 0))
    return (-position, score) if open_ else None


def neighbours(positions: Sequence[int], position: int) -> tuple[int | None, int | None]:
    """The positions before and after one, which need not be among them."""
    before = max((one for one in positions if one < position), default=None)
    return before, min((one for one in positions if one > position), default=None)
