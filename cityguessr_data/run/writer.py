"""Writes a video's anonymised frames and table parts into its staging folder. Committing them is the store's job.

It takes LabelledFrames only: what has not been through the anonymiser cannot reach a disk from here.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.atomic import sync_folder, write_table
from ..core.errors import ErrorClass, disk_full_stops
from ..core.schemas import FINGERPRINT_KEY, VIDEOS
from ..core.types import Clip, LabelledFrame, LocalVideo, VideoTask
from .frame_sink import ClipFrames, Layout, frame_sink
from .parts import Counts, Parts, encode_jpeg, face_rows, frame_name
from .parts import video_table as video_table  # others make videos rows too
from .stage import VideoJob
from .take_out_unit import removed_row

if TYPE_CHECKING:
    from ..core.types import RGB

SoftLabel = Callable[[Sequence[int]], tuple[Sequence[float], int]]
"""Top classes of a clip's frames -> (soft label over the 16 classes, majority class)."""


@dataclass(frozen=True)
class WriterConfig:
    """What the writer must know of the configuration."""

    samples: int
    """Frames a clip."""
    blur: str
    """Name of the blur, for the clips table."""
    soft_label: SoftLabel
    phash: Callable[[RGB], int]
    jpeg_quality: int = 95
    layout: Layout = "folder"

    def writer_for(self, job: VideoJob, fingerprint: str) -> VideoWriter:
        """What writes this video."""
        return VideoWriter(job, self, fingerprint)


class VideoWriter:
    """Frames go to disk one by one; the rows of a clip are written when it is known to be whole.

    It is when the next clip begins: its last sample comes some frames before its end, and decoding may break between
    them. A clip in which decoding broke is thrown away; the same clip may begin again with another length.
    """

    def __init__(self, job: VideoJob, config: WriterConfig, fingerprint: str) -> None:
        self.job = job
        self.config = config
        self.fingerprint = fingerprint
        self.counts = Counts()
        self._clips: list[dict[str, Any]] = []
        self._open: _OpenClip | None = None
        with disk_full_stops(str(job.staging)):
            self._parts = Parts(job.staging, {FINGERPRINT_KEY: fingerprint.encode()})
            self._sink = frame_sink(config.layout, job.staging, job.task.video_id)

    def write(self, frames: Iterator[LabelledFrame]) -> Iterator[None]:
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
        """Close the parts, with the videos row: `done`, or with the fault that ended decoding as its reason."""
        with disk_full_stops(str(self.job.staging)):
            if self._open is not None and self._open.clip == self.job.cut:
                self._drop_open()
            self._end_open()
            self._sink.close()
            self._parts.close(self._clips, video_row(self.job, "done", fault, len(self._clips)))
            sync_folder(self.job.staging)
        return self.counts

    def _add(self, labelled: LabelledFrame) -> None:
        clip = labelled.frame.clip
        if self._open is None or self._open.clip != clip:
            if self._open is not None and self._open.clip.clip_id == clip.clip_id:
                self._drop_open()
            self._end_open()
            self._open = _OpenClip(clip, self._sink.open(clip.clip_id))
        self._open.add(labelled, self.config)

    def _end_open(self) -> None:
        """Write the rows of the clip under way, which is whole."""
        if self._open is not None:
            if len(self._open.frames) != self.config.samples:
                raise ValueError(
                    f"{self._open.clip.clip_id}: {self.config.samples} frames expected, {len(self._open.frames)} came"
                )
            self._close_clip(self._open)
            self._open = None

    def _close_clip(self, opened: _OpenClip) -> None:
        clip, config, media = opened.clip, self.config, self.job.media
        assert media is not None, "the clip stage sets the media info before its first frame"
        n_faces = sum(row["blurred"] for row in opened.faces)
        soft, majority = config.soft_label(opened.scenes) if opened.scenes else (None, None)
        place = clip.place
        self._clips.append(
            {
                "clip_id": clip.clip_id, "video_id": clip.video_id, "clip_index": clip.index,
                "start_frame": clip.start_frame, "end_frame": clip.end_frame, "n_frames": clip.n_frames,
                "fps": media.fps, "start_s": clip.start_s, "end_s": clip.end_s,
                "width": opened.size[0], "height": opened.size[1],
                "city": place.city, "state": place.state, "country": place.country, "continent": place.continent,
                "city_label": place.city_label, "state_label": place.state_label,
                "country_label": place.country_label, "continent_label": place.continent_label,
                "n_sampled": len(opened.frames), "scene_soft": soft, "scene_majority": majority, "n_faces": n_faces,
                "blur": config.blur, "frames_uri": self._sink.uri(clip.clip_id),
                "fingerprint": self.fingerprint,
            }
        )  # fmt: skip
        self._parts.add(opened.frames, opened.faces)
        opened.files.end()
        self.counts += Counts(1, len(opened.frames), n_faces)

    def _drop_open(self) -> None:
        if self._open is not None:
            self._open.files.drop()
            self._open = None


def stage_empty(job: VideoJob, fingerprint: str, reason: str, message: str) -> None:
    """Stage a video that is left out by policy: its videos row says why, its other parts are empty.

    Of one that was removed for good the row says nothing that its site told.
    """
    row = video_row(job, "dropped", f"{reason}: {message}", 0)
    if reason == "removed":
        row = removed_row(job.task.video_id, job.task.url, message)
    shutil.rmtree(job.staging, ignore_errors=True)
    with disk_full_stops(str(job.staging)):
        Parts(job.staging, {FINGERPRINT_KEY: fingerprint.encode()}).close([], row)


def record_failed_video(
    part: Callable[[str, str], Path], task: VideoTask, error_class: ErrorClass, message: str
) -> None:
    """Give a failed video its row in the videos table, unless an earlier result of it is committed."""
    if not part("clips", task.video_id).exists():
        job = VideoJob(task, LocalVideo(Path(), task.url, ""), Path(), lambda _stage, _frames: None)
        write_table(
            part("videos", task.video_id), video_table(video_row(job, "failed", f"{error_class}: {message}", 0))
        )


def video_row(job: VideoJob, status: str, reason: str | None, n_clips: int) -> dict[str, Any]:
    """The row of the videos table; a passed-through column whose rows differ holds their values joined by ` | `."""
    source, media, rows = job.source, job.media, job.task.rows
    extra: dict[str, str] = {}
    for name in dict.fromkeys(name for row in rows for name in row.extra):
        extra[name] = " | ".join(dict.fromkeys(row.extra[name] for row in rows if row.extra.get(name)))
    return {
        "video_id": job.task.video_id, "url": job.task.url, "title": source.title, "channel": source.channel,
        "license": next((row.license for row in rows if row.license), source.license),
        "upload_date": source.upload_date, "sha256": source.sha256 or None,
        "duration_s": media.duration_s if media else None, "fps": media.fps if media else None,
        "width": media.width if media else None, "height": media.height if media else None,
        "n_frames": media.n_frames if media else None, "n_clips": n_clips, "status": status, "reason": reason,
        **{name: value for name, value in extra.items() if name not in VIDEOS.names},
    }  # fmt: skip


@dataclass
class _OpenClip:
    clip: Clip
    files: ClipFrames
    frames: list[dict[str, Any]] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)
    scenes: list[int] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)

    def add(self, labelled: LabelledFrame, config: WriterConfig) -> None:
        frame, scene = labelled.frame, labelled.scene
        jpeg = encode_jpeg(frame.rgb, config.jpeg_quality)
        path = self.files.add(frame_name(frame.position), jpeg)
        self.size = (frame.rgb.shape[1], frame.rgb.shape[0])
        clip_id = self.clip.clip_id
        self.frames.append(
            {
                "clip_id": clip_id, "position": frame.position, "frame_index": frame.frame_index,
                "timestamp_s": frame.timestamp_s, "path": path,
                "sha256": hashlib.sha256(jpeg).hexdigest(), "phash": config.phash(frame.rgb),
                "scene_top1": scene.top1 if scene else None, "scene_top1_prob": scene.prob if scene else None,
                "n_faces": sum(face.blurred for face in frame.faces),
            }
        )  # fmt: skip
        self.faces += face_rows(clip_id, frame.position, frame.frame_index, frame.faces)
        if scene:
            self.scenes.append(scene.top1)
