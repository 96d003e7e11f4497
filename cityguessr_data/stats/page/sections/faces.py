"""What the face detector found, and how much of it a person should look at."""

from __future__ import annotations

from ...results import Stats
from ..blocks import Part, Section, Words
from ..words import many, percent, short
from .spread import kinds, spread


def faces(stats: Stats) -> Section:
    """The section."""
    title, intro = "Faces", "What the face detector found, by the tables; it is not a second detection."
    found = stats.faces
    if found is None:
        return Section("faces", title, intro, (), (stats.blank.get("faces", "the data does not say."),))
    conf = short(found.conf)
    parts: list[Part] = [
        Words(
            "In short",
            (
                f"{many(found.n_detections, 'detection', 'detections')}; {many(found.n_blurred, 'box', 'boxes')} "
                f"blurred. {found.n_in_band:,} ({percent(found.n_in_band, found.n_detections)} of the detections) lie "
                f"in the review band, from 0.05 to below the threshold of {conf}, and are not blurred: a person should "
                f"look at those. {found.n_reviewed:,} were accepted or rejected by a person.",
            ),
        )
    ]
    if found.scores is not None:
        sentence = (
            "How sure the detector was. Left of the dashed line a box is not blurred; many there ask for a review."
        )
        parts.append(
            spread("scores", "Detector scores", sentence, found.scores, "Score", "Detections", threshold=found.conf)
        )
    for name, heading, sentence, values, axis, counted in (
        (
            "per-clip",
            "Faces per clip",
            "Blurred boxes in all saved frames of a clip.",
            found.per_clip,
            "Blurred boxes",
            "Clips",
        ),
        (
            "per-frame",
            "Faces per frame",
            "Blurred boxes in one saved frame.",
            found.per_frame,
            "Blurred boxes",
            "Frames",
        ),
        (
            "heights",
            "Face height",
            "Heights of the blurred boxes; large ones ask for more blur.",
            found.heights_px,
            "Height in px",
            "Boxes",
        ),
    ):
        if values is not None:
            parts.append(spread(name, heading, sentence, values, axis, counted))
    if found.by_origin:
        sentence = "Detected in the frame itself, copied from a neighbouring frame, or drawn by a person."
        parts.append(kinds("origin", "Origin of the blurred boxes", sentence, found.by_origin, "Origin", "Boxes"))
    return Section("faces", title, intro, tuple(parts))
