"""Makes up what a video would come to, where its pixels do not matter: an executor for the project's own runner.

Four clips of 100 frames with faces, written as parts and staged as a worker stages its results. The middle frame of
each clip is a real JPEG, for the preview shows those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cityguessr_data.core.schemas import CLIPS, FINGERPRINT_KEY
from cityguessr_data.core.timing import Cost, cost_of
from cityguessr_data.core.types import Face, LocalVideo, MediaInfo, VideoTask
from cityguessr_data.run.compute import Failed, Staged
from cityguessr_data.run.executor import ComputeFactory, Fetch, Listener, Postponed, WorkItem
from cityguessr_data.run.parts import Counts, Parts, encode_jpeg, face_rows, frame_name
from cityguessr_data.run.stage import Step, VideoJob
from cityguessr_data.run.writer import video_row

CLIPS_A_VIDEO, FRAMES = 4, 100
_CLIP_FRAMES, _FPS = 900, 30.0


def nothing(*_: Any) -> Any:
    """Stands for what fetches and what opens models: `MadeUp` needs neither."""


@dataclass
class MadeUp:
    """An executor that stages what it makes up, and takes the time of each commit."""

    commits: list[Cost] = field(default_factory=list)

    def run(
        self,
        items: Sequence[WorkItem],
        fetch: Fetch,
        factory: ComputeFactory,
        new_staging: Callable[[str], Path],
        handle: Callable[[Staged | Failed | Postponed], None],
        listener: Listener,
    ) -> None:
        """See Executor.run; nothing is fetched and no model opened."""
        picture = encode_jpeg(np.full((90, 160, 3), 127, np.uint8), 95)
        for item in items:
            staged = stage(item, new_staging(item.task.video_id), picture)
            self.commits.append(cost_of(partial(handle, staged)))


def stage(item: WorkItem, staging: Path, picture: bytes) -> Staged:
    """A finished video that waits to be committed."""
    task = item.task
    n_frames = CLIPS_A_VIDEO * _CLIP_FRAMES
    media = MediaInfo(fps=_FPS, n_frames=n_frames, duration_s=n_frames / _FPS, width=160, height=90)
    job = VideoJob(task, LocalVideo(Path(task.url), task.url, "0" * 64), staging, _no_tick, media)
    parts = Parts(staging, {FINGERPRINT_KEY: item.fingerprint.encode()})
    clips = []
    for index in range(CLIPS_A_VIDEO):
        row = _clip_row(task, index, item.fingerprint)
        frames, faces = zip(*_frames(task, index), strict=True)
        parts.add(list(frames), [face for some in faces for face in some])
        folder = staging / "clips" / row["clip_id"]
        folder.mkdir()
        (folder / frame_name(FRAMES // 2)).write_bytes(picture)
        clips.append(row)
    parts.close(clips, video_row(job, "done", None, len(clips)))
    now = datetime.now(UTC)
    steps = tuple(Step(name, "done", now, 1.0) for name in ("download", "clip", "anonymise", "label", "write"))
    counts = Counts(len(clips), len(clips) * FRAMES, len(clips) * FRAMES)
    return Staged(task.video_id, item.fingerprint, staging, "done", None, steps, counts)


def _clip_row(task: VideoTask, index: int, fingerprint: str) -> dict[str, Any]:
    place, clip_id = task.rows[0].place, f"{task.video_id}_{index:05d}"
    start = index * _CLIP_FRAMES
    return dict.fromkeys(CLIPS.names) | {
        "clip_id": clip_id, "video_id": task.video_id, "clip_index": index,
        "start_frame": start, "end_frame": start + _CLIP_FRAMES, "n_frames": _CLIP_FRAMES,
        "fps": _FPS, "start_s": start / _FPS, "end_s": (start + _CLIP_FRAMES) / _FPS, "width": 160, "height": 90,
        "city": place.city, "state": place.state, "country": place.country, "continent": place.continent,
        "city_label": place.city_label, "state_label": place.state_label,
        "country_label": place.country_label, "continent_label": place.continent_label,
        "n_sampled": FRAMES, "n_faces": FRAMES, "blur": "paper", "frames_uri": f"clips/{task.video_id}/{clip_id}",
        "fingerprint": fingerprint,
    }  # fmt: skip


def _frames(task: VideoTask, index: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The row of each frame, and those of its faces: one found and blurred, one found and left."""
    clip_id = f"{task.video_id}_{index:05d}"
    rng = np.random.default_rng([*task.video_id.encode(), index])
    hashes, digests = rng.integers(-(2**63), 2**63, FRAMES).tolist(), rng.bytes(32 * FRAMES).hex()
    corners = rng.uniform(0, 100, (FRAMES, 2)).tolist()
    for position, (x0, y0) in enumerate(corners):
        frame_index = index * _CLIP_FRAMES + position * _CLIP_FRAMES // FRAMES
        row = {
            "clip_id": clip_id, "position": position, "frame_index": frame_index, "timestamp_s": frame_index / _FPS,
            "path": f"clips/{task.video_id}/{clip_id}/{frame_name(position)}",
            "sha256": digests[64 * position : 64 * position + 64], "phash": hashes[position],
            "scene_top1": None, "scene_top1_prob": None, "n_faces": 1,
        }  # fmt: skip
        faces = [Face(x0, y0, x0 + 20, y0 + 20, score, blurred=score > 0.5) for score in (0.9, 0.1)]
        yield row, face_rows(clip_id, position, frame_index, faces)


def _no_tick(_stage: str, _frames: int) -> None:
    pass
