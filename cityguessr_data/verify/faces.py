"""Every face over the threshold was blurred, by the tables; what a reviewer rejected is no face, and is on record."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any, get_args

from ..core.types import Face
from ..review.decisions import Box
from ..review.state import box_of
from ..vision.kinds import KINDS
from .asked import Asked
from .findings import Fault
from .unit import UnitTables

_CHECK = "faces"
_ORIGINS = get_args(Face.__dataclass_fields__["origin"].type) or ("detected", "propagated", "manual")
_REVIEWS = ("pending", "accepted", "rejected")


def check_faces(unit: UnitTables, asked: Asked, rejected: Collection[tuple[str, int, Box]]) -> Iterator[Fault]:
    """See the module.

    Args:
        rejected: (clip_id, position, box) that a reviewer ever rejected.
    """
    clips = {clip["clip_id"]: clip for clip in unit.clips}
    columns = (unit.frames[name] for name in ("clip_id", "position", "frame_index", "n_faces"))
    frames = {(clip_id, position): (index, n) for clip_id, position, index, n in zip(*columns, strict=True)}
    wrong: dict[tuple[str, str], int] = defaultdict(int)
    blurred: Counter[tuple[str, int]] = Counter()
    for face in unit.faces:
        place = (face["clip_id"], face["position"])
        blurred[place] += face["blurred"]
        if place not in frames:
            wrong[face["clip_id"], "boxes are of frames that are not there"] += 1
        elif face["frame_index"] != frames[place][0]:
            wrong[face["clip_id"], "boxes are told of another frame_index than their frame's"] += 1
        for what in _of_box(face, clips.get(face["clip_id"], {}), asked, rejected):
            wrong[face["clip_id"], what] += 1
    for place, (_, n_faces) in frames.items():
        if not (n_faces is None and _untouched(clips.get(place[0]))) and n_faces != blurred[place]:
            wrong[place[0], "frames say another number of blurred faces than their boxes"] += 1
    for clip_id, clip in clips.items():
        total = sum(n for place, n in blurred.items() if place[0] == clip_id)
        if not (clip["n_faces"] is None and _untouched(clip)) and clip["n_faces"] != total:
            wrong[clip_id, f"blurred faces in the clip's row, {total} boxes"] = clip["n_faces"] or 0
        if clip["blur"] is None and not asked.imported:
            wrong[clip_id, "clip was never blurred"] = 1
        if clip["blur"] is not None and asked.blur is not None and clip["blur"] != asked.blur.mode:
            wrong[clip_id, f"clip has the blur {clip['blur']}, and {asked.blur.mode} was asked for"] = 1
    for (clip_id, what), n in wrong.items():
        counted = what.startswith(("frames", "boxes", *_ORIGINS))
        yield Fault(_CHECK, clip_id, f"{what} ({n})" if counted else f"{n} {what}", "redo", unit.name)


def _untouched(clip: dict[str, Any] | None) -> bool:
    """Whether nobody has looked for faces in it: of an import."""
    return clip is None or clip["blur"] is None


def _of_box(
    face: dict[str, Any], clip: dict[str, Any], asked: Asked, rejected: Collection[tuple[str, int, Box]]
) -> Iterator[str]:
    box = box_of(face)
    if not all(map(math.isfinite, box)) or box[0] > box[2] or box[1] > box[3]:
        yield "boxes are none"
    if face["kind"] not in KINDS or face["origin"] not in _ORIGINS or face["review"] not in _REVIEWS:
        yield "boxes are of an unknown kind, origin or review"
    if not 0 <= face["score"] <= 1:
        yield "boxes have a score that is none"
    if face["blurred"]:
        return
    no_face = face["review"] == "rejected" and (face["clip_id"], face["position"], box) in rejected
    if face["review"] == "rejected" and not no_face:
        yield "boxes are told as rejected by a review, and no decision says so"
    if asked.threshold is not None and face["score"] >= asked.threshold and not no_face:
        yield f"boxes of a score of {asked.threshold:g} and over are not blurred"
    elif face["origin"] != "detected" and not no_face:
        yield f"{face['origin']} boxes are not blurred"
