"""What the templates are told: one clip as it is shown, the label view of it, and how far the review is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .boxes import boxes_of, frames_with_boxes, most_doubtful, neighbours
from .decisions import MARKS
from .desk import Desk
from .details import ClipDetail
from .frames import Frames
from .queue import Group
from .said import names

GROUPS = {
    Group.ANEW: "made anew since they were reviewed",
    Group.DOUBTFUL: "with a doubtful detection",
    Group.WITHOUT: "without any detection",
    Group.REST: "all the others",
}
_MARK_KEYS = dict(zip(MARKS, "imt", strict=True))


@dataclass(frozen=True)
class Views:
    """Makes the values of a template; reads, never writes."""

    name: str
    """Of the data set."""
    threshold: float
    desk: Desk
    frames: Frames
    apply: str
    """The command that carries the decisions out."""

    def clip(self, clip_id: str, position: int | None, tab: str = "") -> dict[str, Any]:
        """Values of `_clip.html.j2`.

        Args:
            position: the frame to show; None, or one that is not there: the one that waits.
        """
        detail, standing = self.desk.detail(clip_id), self.desk.standing(clip_id)
        review = standing.review
        if position not in detail.paths:
            position = self.desk.shown(clip_id)
        width_px, height_px = self.frames.size_px(detail, position)
        boxes = boxes_of(detail.faces, review, position)
        with_boxes = frames_with_boxes(detail.faces, review)
        frames = detail.positions if review.every_frame else with_boxes
        left, right = neighbours(frames, position)
        doubt = most_doubtful(detail.faces, review, self.threshold)
        ahead = self.desk.waiting(tab, clip_id, take=False)
        return {
            **self._shared(detail, tab),
            "view": "clip",
            "position": position,
            "frame": frame_address(clip_id, position),
            "width_px": width_px,
            "height_px": height_px,
            "boxes": boxes,
            "time_s": detail.times_s.get(position),
            "left": left,
            "right": right,
            "n_with_boxes": len(with_boxes),
            "doubt": None if doubt is None or doubt[0] == position else doubt,
            "accepted_by": names(
                one.reviewer for one in review.counting if one.action == "accept" and one.position == position
            ),
            "ahead": None if ahead is None else frame_address(ahead, self.desk[ahead].position),
            "threshold": self.threshold,
        }

    def label(self, clip_id: str, tab: str = "") -> dict[str, Any]:
        """Values of `_label.html.j2`."""
        detail = self.desk.detail(clip_id)
        positions = detail.positions
        three = list(dict.fromkeys((positions[0], positions[len(positions) // 2], positions[-1])))
        review = self.desk.standing(clip_id).review
        return {
            **self._shared(detail, tab),
            "view": "label",
            "position": self.desk.shown(clip_id),
            "three": [(position, frame_address(clip_id, position, 640)) for position in three],
            "mark_keys": {mark: (key, mark in review.marks) for mark, key in _MARK_KEYS.items()},
            "n_of_video": len(detail.of_video),
        }

    def cities(self) -> list[str]:
        """For the list below the city's field: those of the data set first."""
        return self.desk.places.names()

    def progress(self) -> dict[str, Any]:
        """Values of `_progress.html.j2`."""
        tally = self.desk.tally()
        return {
            "name": self.name,
            "apply": self.apply,
            "tally": tally,
            "groups": [(GROUPS[group], settled, clips) for group, settled, clips in tally.groups if clips],
        }

    def _shared(self, detail: ClipDetail, tab: str) -> dict[str, Any]:
        clip_id, standing = detail.clip_id, self.desk.standing(detail.clip_id)
        review = standing.review
        if tab:
            self.desk.showed(clip_id, tab, len(standing.decisions))
        return {
            **self.progress(),
            "clip_id": clip_id,
            "title": f"{clip_id} - cgtool review",
            "video_title": detail.title,
            "city": review.city or detail.city,
            "city_was": detail.city if review.city and review.city != detail.city else None,
            "place": detail.place,
            "n_frames": detail.n_frames,
            "seen": len(standing.decisions),
            "standing": standing,
            "dropped_by": names(one.reviewer for one in review.counting if one.action == "drop"),
            "every_frame_by": names(one.reviewer for one in review.counting if one.action == "every-frame"),
            "marks": sorted(review.marks),
            "group": GROUPS[self.desk[clip_id].group],
            "why_blurred": self.frames.why_blurred(detail.unit, clip_id),
            "shared_with": bool(tab) and not self.desk.hold(clip_id, tab),
            "clip_address": clip_address(clip_id),
            "label_address": label_address(clip_id),
        }


def clip_address(clip_id: str, position: int | None = None) -> str:
    """Where a clip is shown."""
    return f"/clip/{quote(clip_id, safe='')}" + ("" if position is None else f"?frame={position}")


def label_address(clip_id: str) -> str:
    """Where its label view is."""
    return f"/label/{quote(clip_id, safe='')}"


def frame_address(clip_id: str, position: int, width_px: int | None = None) -> str:
    """Where a picture of a frame is."""
    return f"/frame/{quote(clip_id, safe='')}/{position}.jpg" + ("" if width_px is None else f"?width={width_px}")
