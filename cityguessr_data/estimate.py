"""What a build will cost, before it starts (`--dry-run`): requests, hours at the rate, gigabytes, detector time.

Estimates, each from a stated assumption: nothing is asked of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .core.errors import MediaError
from .core.spans import plan_clips
from .core.types import SourceRow
from .media.decode import index_video
from .media.download import Downloader
from .media.ids import is_local
from .pipeline import BuildConfig, read_table
from .planning import Links, known_videos
from .run.store import Store

VIDEO_S = 900.0
"""Length assumed of a video that is not at hand: the middle of the paper's 10-20 minutes."""
FPS = 30.0
BYTES_PER_S = 190_000
"""Of 720p video without sound as sites encode it, about 1.5 Mbit/s."""
DETECTOR_S = {"mobilenet0.25": 0.06, "resnet50": 1.1}
"""Seconds a 1280x720 frame on two CPU cores, measured once on one machine (fp32, PyTorch)."""


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
    """Videos of the table that OUT has already."""
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

    Raises:
        InputError, TableError: the table is not fit.
    """
    rows = read_table(config)
    store = Store(config.out)
    links: Links = store.plan().get("links", {})
    committed = store.committed()
    downloader = Downloader(config.download)
    by_video: dict[tuple[str, str], list[SourceRow]] = {}
    lookups = set()
    for row in rows:
        for video in known_videos(row, links) or [(row.url, row.url)]:
            by_video.setdefault(video, []).append(row)
        if known_videos(row, links) is None:
            lookups.add(row.url)
    missing = {video: video_rows for video, video_rows in by_video.items() if video[0] not in committed}
    downloads = [
        (video_id, url) for video_id, url in missing if not is_local(url) and not downloader.cache.find(video_id, url)
    ]
    clips = sum(_clips(url, video_rows, config) for (_, url), video_rows in missing.items())
    frames = clips * config.clip.samples
    requests = len(lookups) + len(downloads)
    return Estimate(
        rows=len(rows),
        videos=len(by_video),
        lookups=len(lookups),
        downloads=len(downloads),
        committed=len(by_video) - len(missing),
        requests=requests,
        hours_at_rate=requests / config.download.rate_per_hour,
        download_bytes=int(len(downloads) * VIDEO_S * BYTES_PER_S),
        clips=clips,
        frames=frames,
        saved_bytes=frames * 250_000,
        detector_hours=frames * DETECTOR_S[config.anonymise.detector.name] / 3600,
    )


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
