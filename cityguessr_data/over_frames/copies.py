"""Writes blurred copies of imported frames into a staging folder, with the rows that now speak of them.

It takes AnonymisedFrames only: what has not been through the anonymiser cannot reach a disk from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from ..core.atomic import sync_folder
from ..core.errors import disk_full_stops
from ..core.types import AnonymisedFrame
from ..run.frame_sink import ClipFrames, Layout, frame_sink
from ..run.parts import Counts, Parts, encode_jpeg, face_rows, frame_name
from ..run.stage import VideoJob
from ..run.store import Store
from .units import read_unit

if TYPE_CHECKING:
    from ..core.types import RGB


@dataclass(frozen=True)
class CopiesConfig:
    """What the writer must know of the configuration."""

    out: Path
    blur: str
    """Name of the blur, for the clips table."""
    phash: Callable[[RGB], int]
    jpeg_quality: int = 95
    layout: Layout = "folder"

    def writer_for(self, job: VideoJob, fingerprint: str) -> CopiesWriter:
        """What writes this unit."""
        return CopiesWriter(job, self, fingerprint)


class CopiesWriter:
    """Frames go to disk one by one; every other column of their rows stays as it is in OUT now."""

    def __init__(self, job: VideoJob, config: CopiesConfig, fingerprint: str) -> None:
        self.job = job
        self.config = config
        store, name = Store(config.out), job.task.video_id
        self._unit = replace(read_unit(store, name), anonymised=fingerprint)
        self._clips = {row["clip_id"]: row for row in pq.read_table(store.part("clips", name)).to_pylist()}
        frames = pq.read_table(store.part("frames", name)).to_pylist()
        self._frames = {(row["clip_id"], row["position"]): row for row in frames}
        self._done: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._faces: list[dict[str, Any]] = []
        self._size = (0, 0)
        self._open: ClipFrames | None = None
        self._clip_id = ""
        self.counts = Counts()
        with disk_full_stops(str(job.staging)):
            self._parts = Parts(job.staging, self._unit.marks)
            self._sink = frame_sink(config.layout, job.staging, name)

    def write(self, frames: Iterator[AnonymisedFrame]) -> Iterator[None]:
        """Write every frame; yields after each, so that the caller can measure.

        Raises:
            DiskFullError: no space left.
        """
        with disk_full_stops(str(self.job.staging)):
            for frame in frames:
                self._add(frame)
                self.job.tick("write", 1)
                yield

    def finish(self, fault: str | None) -> Counts:
        """Close the parts; the videos part stays as it is. There is never a `fault`: a frame that fails ends all."""
        with disk_full_stops(str(self.job.staging)):
            self._end_open()
            if len(self._done) != len(self._clips):
                raise ValueError(f"{len(self._clips)} clips expected, {len(self._done)} came")
            self._sink.close()
            self._parts.close(self._done, None)
            sync_folder(self.job.staging)
        return self.counts

    def _add(self, frame: AnonymisedFrame) -> None:
        clip_id = frame.clip.clip_id
        if self._open is None or clip_id != self._clip_id:
            self._end_open()
            self._open, self._clip_id = self._sink.open(clip_id), clip_id
            self._size = (frame.rgb.shape[1], frame.rgb.shape[0])
        jpeg = encode_jpeg(frame.rgb, self.config.jpeg_quality)
        path = self._open.add(frame_name(frame.position), jpeg)
        row = self._frames[clip_id, frame.position]
        self._rows.append(
            row
            | {
                "path": path, "sha256": hashlib.sha256(jpeg).hexdigest(), "phash": self.config.phash(frame.rgb),
                "n_faces": sum(face.blurred for face in frame.faces),
            }
        )  # fmt: skip
        self._faces += face_rows(clip_id, frame.position, row["frame_index"], frame.faces)

    def _end_open(self) -> None:
        """Write the rows of the clip under way, which is whole."""
        if self._open is None:
            return
        row = self._clips[self._clip_id]
        if len(self._rows) != row["n_sampled"]:
            raise ValueError(f"{self._clip_id}: {row['n_sampled']} frames expected, {len(self._rows)} came")
        n_faces = sum(frame["n_faces"] for frame in self._rows)
        self._done.append(
            row
            | {
                "width": self._size[0], "height": self._size[1], "n_faces": n_faces, "blur": self.config.blur,
                "frames_uri": self._sink.uri(self._clip_id), "fingerprint": self._unit.anonymised,
            }
        )  # fmt: skip
        self._parts.add(self._rows, self._faces)
        self._open.end()
        self.counts += Counts(1, len(self._rows), n_faces)
        self._rows, self._faces, self._open = [], [], None
