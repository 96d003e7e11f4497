"""What a build will cost, before it starts (`--dry-run`): requests, hours at the rate, gigabytes, detector time.

Estimates, each from a stated assumption: nothing is asked of the network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .build_config import BuildConfig, find_models
from .build_record import check_same, recorded_config, task_fingerprint
from .core.errors import MachineError, MediaError
from .core.sources import group_tasks
from .core.spans import plan_clips
from .core.types import SourceRow, VideoTask
from .media.decode import index_video
from .media.download import Downloader
from .media.ids import is_local
from .pipeline import STAGE_VERSIONS, read_table
from .planning import Links, check_ids, known_videos, link_id, read_plan
from .run.store import Committed, Store

VIDEO_S = 900.0
"""Length assumed of a video that is not at hand: the middle of the paper's 10-20 minutes."""
FPS = 30.0
BYTES_PER_S = 190_000
"""Of 720p video without sound as sites encode it, about 1.5 Mbit/s."""
DETECTOR_S = {"mobilenet0.25": 0.02, "resnet50": 0.53}
"""Seconds a 1280x720 frame on two CPU cores (fp32, OpenVINO), as measured on one machine (docs/benchmarks.md)."""


@dataclass(frozen=True)
class Estimate:
    """What a sources table asks for. All but the first five fields are estimates."""

    rows: int
    videos: int
    """Known now; a link that must be looked up counts as one."""
    lookups: int
    """Links whose videos must be asked for."""
    downloads: int
    """Videos that are neither local nor in the cache."""
    committed: int
    """Videos of the table that OUT has already, with the spans and places asked for now."""
    requests: int
    """Look-ups and downloads; a site may need several requests for each."""
    hours_at_rate: float
    download_bytes: int
    clips: int
    frames: int
    saved_bytes: int
    """JPEGs of 1280x720 at quality 95, 0.25 MB each."""
    detector_hours: float


def estimate(config: BuildConfig) -> Estimate:
    """Check the table and estimate the build.

    What the build would refuse at its start is refused here too. Nothing is written.

    Raises:
        InputError, TableError: the table is not fit, or OUT was built in another way.
        MachineError: weights are missing, or OUT cannot be written.
    """
    rows = read_table(config)
    recorded = recorded_config(config, find_models(config), STAGE_VERSIONS)
    _check_writable(config.out)
    store = Store(config.out)
    check_same(store, recorded)
    links: Links = read_plan(store).get("links", {})
    committed = store.committed()
    downloader = Downloader(config.download)
    found: list[tuple[str, str, SourceRow]] = []
    unknown: dict[str, list[SourceRow]] = {}
    for row in rows:
        videos = known_videos(row, links)
        if videos is None:
            unknown.setdefault(row.url, []).append(row)
        found += [(video_id, url, row) for video_id, url in videos or ()]
    check_ids(found)
    known = group_tasks(found)
    done = {t.video_id for t in known if _is_committed(committed.get(t.video_id), task_fingerprint(recorded, t))}
    missing = [task for task in known if task.video_id not in done]
    missing += [VideoTask(link_id(url), url, tuple(link_rows)) for url, link_rows in unknown.items()]
    downloads = [t for t in missing if not is_local(t.url) and not downloader.cache.holds(t.video_id, t.url)]
    clips = sum(_clips(task.url, task.rows, config) for task in missing)
    frames = clips * config.clip.samples
    requests = len(unknown) + len(downloads)
    return Estimate(
        rows=len(rows),
        videos=len(known) + len(unknown),
        lookups=len(unknown),
        downloads=len(downloads),
        committed=len(done),
        requests=requests,
        hours_at_rate=requests / config.download.rate_per_hour,
        download_bytes=int(len(downloads) * VIDEO_S * BYTES_PER_S),
        clips=clips,
        frames=frames,
        saved_bytes=frames * 250_000,
        detector_hours=frames * DETECTOR_S[config.anonymise.detector.name] / 3600,
    )


def _is_committed(committed: Committed | None, fingerprint: str) -> bool:
    return committed is not None and committed.fingerprint == fingerprint


def _check_writable(out: Path) -> None:
    """What can be told without writing; a disk may still refuse."""
    existing = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        why = "Permission denied" if existing.is_dir() else f"{existing} is no folder"
        raise MachineError(f"{out} cannot be written ({why})", "Choose another --out")


def _clips(url: str, rows: Sequence[SourceRow], config: BuildConfig) -> int:
    """Clips of one video, by its packets where it is at hand, by the assumed length where it is not."""
    frames, fps = int(VIDEO_S * FPS), FPS
    if is_local(url):
        try:
            info = index_video(Path(url)).info
        except MediaError:
            return 0  # the build will say so
        frames, fps = info.n_frames, info.fps
    total = 0
    for row in rows:
        end = frames if row.end_s is None else min(frames, int(row.end_s * fps))
        start = int((row.start_s or 0) * fps)
        total += len(plan_clips(max(0, end - start), config.clip.min_frames, config.clip.max_frames))
    return total
