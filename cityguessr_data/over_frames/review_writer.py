"""Stages a unit as its review left it: changed frames as new files, all others as they are, and the rows of all.

It takes AnonymisedFrames only: what has not been blurred cannot reach a disk from here. Frames that do
not change keep their bytes: files are linked, and members of a tar copied into the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.atomic import sync_folder
from ..core.errors import disk_full_stops
from ..core.frame_files import FrameFiles
from ..core.types import AnonymisedFrame
from ..review.faces import APPLIED_KEY, keep_as_built
from ..run.frame_sink import ClipFrames, frame_sink, layout_of
from ..run.parts import Counts, Parts, encode_jpeg, frame_name
from ..run.stage import VideoJob
from ..run.store import Store, read_part
from .review_plan import ClipPlan
from .review_stage import ReviewConfig
from .units import check_clip_id, read_unit

if TYPE_CHECKING:
    from ..core.types import RGB

LACKING_KEY = b"cgtool.review_lacks_source"
"""In the metadata of a unit's clips part: how many boxes stay blurred for want of the source."""


@dataclass(frozen=True)
class ReviewWriterConfig:
    """What the writer must know."""

    review: ReviewConfig
    phash: Callable[[RGB], int]

    def writer_for(self, job: VideoJob, fingerprint: str) -> ReviewWriter:
        """What writes this unit."""
        return ReviewWriter(job, self)


class ReviewWriter:
    """One unit. Frames that change come one by one; the rest is put together at the end."""

    def __init__(self, job: VideoJob, config: ReviewWriterConfig) -> None:
        self.job = job
        self.config = config
        self.store = Store(config.review.out)
        self.unit = job.task.video_id
        self.plan = config.review.plan(self.unit)
        self._new: dict[tuple[str, int], dict[str, Any]] = {}
        lacking = sum(len(clip.lacking) for clip in self.plan.clips)
        marks = read_unit(self.store, self.unit).marks | {APPLIED_KEY: json.dumps(self.plan.marks).encode()}
        marks |= {LACKING_KEY: str(lacking).encode()} if lacking else {}
        with disk_full_stops(str(job.staging)):
            keep_as_built(self.store, self.unit)
            self._parts = Parts(job.staging, marks)
            self._sink = frame_sink(layout_of(self.store.dataset()), job.staging, self.unit)
        self._files = FrameFiles(self.store.out)
        self._open: dict[str, ClipFrames] = {}

    def write(self, frames: Iterator[AnonymisedFrame]) -> Iterator[None]:
        """Write every changed frame; yields after each, so that the caller can measure.

        Raises:
            DiskFullError: no space left.
        """
        with disk_full_stops(str(self.job.staging)):
            for frame in frames:
                clip_id = frame.clip.clip_id
                jpeg = encode_jpeg(frame.rgb, self.config.review.jpeg_quality)
                path = self._clip(clip_id).add(frame_name(frame.position), jpeg)
                sha256, phash = hashlib.sha256(jpeg).hexdigest(), self.config.phash(frame.rgb)
                self._new[clip_id, frame.position] = {"path": path, "sha256": sha256, "phash": phash}
                self.job.tick("write", 1)
                yield

    def finish(self, fault: str | None) -> Counts:
        """Carry over what does not change and close the parts. Never with a `fault`: a frame that fails ends all."""
        wanted = {(clip.clip_id, position) for clip in self.plan.clips for position in clip.frames}
        if wanted != set(self._new):
            raise ValueError(f"{len(wanted)} changed frames expected, {len(self._new)} came")
        with disk_full_stops(str(self.job.staging)):
            by_clip: dict[str, list[dict[str, Any]]] = {}
            for row in read_part(self.store.part("frames", self.unit)).to_pylist():
                by_clip.setdefault(row["clip_id"], []).append(row)
            if not self._new:
                (self.job.staging / "clips").rmdir()  # no file changes: those that are there stay where they are
            clips = [self._finish_clip(clip, by_clip[clip.clip_id]) for clip in self.plan.clips]
            if self._new:
                self._sink.close()
            self._parts.close(clips, None)
            sync_folder(self.job.staging)
        boxes = sum(len(change.boxes) for clip in self.plan.clips for change in clip.frames.values())
        return Counts(len(clips), len(self._new), boxes)

    def _finish_clip(self, clip: ClipPlan, rows: list[dict[str, Any]]) -> dict[str, Any]:
        blurred: dict[int, int] = {}
        for face in clip.faces:
            blurred[face["position"]] = blurred.get(face["position"], 0) + bool(face["blurred"])
        if self._new:
            files = self._clip(clip.clip_id)
            for row in rows:
                if (clip.clip_id, row["position"]) not in self._new:
                    row["path"] = files.carry(frame_name(row["position"]), self._files, row["path"])
            files.end()
        frames = [
            row | self._new.get((clip.clip_id, row["position"]), {}) | {"n_faces": blurred.get(row["position"], 0)}
            for row in rows
        ]
        self._parts.add(frames, clip.faces)
        return clip.row | {"n_faces": sum(blurred.values())}

    def _clip(self, clip_id: str) -> ClipFrames:
        if clip_id not in self._open:
            self._open[clip_id] = self._sink.open(check_clip_id(clip_id))
        return self._open[clip_id]
