"""Makes the rows of one unit and commits them: frames stay where they are, only tables are written.

The fingerprint is of the listing (names and sizes of all files, and the labels), so that running again costs no
decoding. A unit of which clips were left out gets another one, so that the next run looks at it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.errors import disk_full_stops
from ..core.fingerprint import fingerprint
from ..core.schemas import FINGERPRINT_KEY, VIDEOS
from ..core.types import LEVELS
from ..core.words import n_of
from ..run.parts import Parts, video_table
from ..run.store import Store
from .found import Fault, FoundClip, Unit

VERSION = 1
"""Raised when the rows of the same listing become others."""


@dataclass(frozen=True)
class CheckedClip:
    """A whole clip: every frame of it decodes."""

    clip: FoundClip
    sha256: tuple[str, ...]
    """By frame."""
    size_px: tuple[int, int]
    """(width, height) of its first frame."""


def listing_mark(unit: Unit, faults: Sequence[Fault] = ()) -> str:
    """The fingerprint of a unit as listed, and of what was then found wrong with its files.

    Folders count by their names within the source, so that the same data in two places has the same tables but for
    the paths.
    """
    clips = [
        [clip.clip_id, clip.index, clip.place, [[f.path.name, f.size_bytes, f.frame_index] for f in clip.frames]]
        for clip in unit.clips
    ]
    return fingerprint([VERSION, unit.unit_id, unit.video_id, dict(unit.extra), clips, list(faults)])


def committed_mark(store: Store, unit: Unit) -> str:
    """The mark that the unit is committed with; empty where it is not. Blurring its frames does not change it."""
    path = store.part("clips", unit.unit_id)
    return (pq.read_schema(path).metadata or {}).get(FINGERPRINT_KEY, b"").decode() if path.exists() else ""


def commit(
    store: Store,
    unit: Unit,
    clips: Sequence[CheckedClip],
    faults: Sequence[Fault],
    one_at_a_time: Lock,
    n_removed: int = 0,
) -> None:
    """Make the unit's whole clips the committed ones; a unit without any only gets its row in the videos table.

    Args:
        one_at_a_time: held while the store moves the parts to their places; they are written side by side.
        n_removed: whole clips that are not among `clips`, because they were taken out for good.
    Raises:
        DiskFullError: no space left; the next run goes on.
    """
    row = _video_row(unit, clips, faults, n_removed)
    if not clips:
        store.part("clips", unit.unit_id).unlink(missing_ok=True)
        write_table(store.part("videos", unit.unit_id), video_table(row))
        return
    mark = listing_mark(unit, faults)
    staging = store.new_staging(unit.unit_id)
    with disk_full_stops(str(store.out)):
        parts = Parts(staging, {FINGERPRINT_KEY: mark.encode()})
        for clip in clips:
            parts.add(_frame_rows(clip), [])
        parts.close([_clip_row(unit, clip, mark) for clip in clips], row)
    with one_at_a_time:
        store.commit(unit.unit_id, staging)


def _clip_row(unit: Unit, checked: CheckedClip, mark: str) -> dict[str, Any]:
    clip, place = checked.clip, checked.clip.place
    return {
        "clip_id": clip.clip_id,
        "video_id": unit.video_id,
        "clip_index": clip.index,
        "width": checked.size_px[0],
        "height": checked.size_px[1],
        **{level: getattr(place, level) for level in LEVELS},
        **{f"{level}_label": getattr(place, f"{level}_label") for level in LEVELS},
        "n_sampled": len(clip.frames),
        "frames_uri": str(clip.folder),
        "fingerprint": mark,
    }


def _frame_rows(checked: CheckedClip) -> list[dict[str, Any]]:
    return [
        {
            "clip_id": checked.clip.clip_id,
            "position": position,
            "path": str(frame.path),
            "frame_index": frame.frame_index,
            "sha256": digest,
        }
        for position, (frame, digest) in enumerate(zip(checked.clip.frames, checked.sha256, strict=True))
    ]


def _video_row(unit: Unit, clips: Sequence[CheckedClip], faults: Sequence[Fault], n_removed: int) -> dict[str, Any]:
    sizes = {clip.size_px for clip in clips}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    told = (
        [f"sources unknown: this row stands for {n_of(len(clips), 'clip')} of the city"]
        if unit.video_id is None
        else []
    )
    if n_out := len(unit.clips) - len(clips) - n_removed:
        told.append(f"bad-media: {n_out} of {len(unit.clips)} clips left out: {faults[0].path}: {faults[0].what}")
    return {
        "video_id": unit.unit_id,
        "url": unit.url,
        "width": width,
        "height": height,
        "n_clips": len(clips),
        "status": "done" if clips else "failed",
        "reason": "; ".join(told) or None,
        **{name: value for name, value in unit.extra.items() if name not in VIDEOS.names},
    }
