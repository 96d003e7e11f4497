"""The real build, timed: what a clip more costs, beside the least that its stages can cost.

A small and a larger data set are built in turns, into new folders, with the processes that a user would have. What the
larger one takes longer, a clip, is the cost of a clip; what both take alike is the start: processes, imports, models.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..build_config import BuildConfig
from ..core.errors import CgtoolError, InputError
from ..core.threads import n_cores
from ..core.timing import ROUNDS, Timing, interleaved
from ..media.decode import index_video
from ..media.download_config import DownloadConfig
from ..pipeline import BuildResult, build
from ..run.compute import Failed, Staged
from ..run.executor import Fetched, Postponed
from ..run.local import usual_workers
from .stages import Limits, clips_of, measure_limits

CLIPS = 3
"""Clips more that every worker does in the larger build."""


@dataclass(frozen=True)
class SpeedConfig:
    """What is measured."""

    build: BuildConfig
    """As for a build; its sources and out are not used."""
    video: Path
    clips: int = CLIPS
    rounds: int = ROUNDS


@dataclass(frozen=True)
class BuildSpeed:
    """What was found. Seconds are medians over the rounds."""

    limits: Limits
    small: Timing
    large: Timing
    small_clips: int
    """Clips of the small build; one a worker."""
    large_clips: int
    workers: int
    cores: int
    stage_seconds: dict[str, float]
    """Busy seconds a clip by stage, of the last large build, summed over workers; waiting for a core is in them."""

    @property
    def clip_wall_s(self) -> float:
        """What one clip more takes on the clock."""
        return self._slope([c.wall_s for c in self.small.costs], [c.wall_s for c in self.large.costs])

    @property
    def clip_cpu_s(self) -> float:
        """What one clip more takes of all cores."""
        return self._slope([c.cpu_s for c in self.small.costs], [c.cpu_s for c in self.large.costs])

    @property
    def start_s(self) -> float:
        """What a build takes before and after its clips."""
        return max(0.0, self.small.wall_s - self.small_clips * self.clip_wall_s)

    @property
    def limit_over_actual(self) -> float:
        """1: not a second could be saved."""
        return self.limits.wall_s(self.cores) / self.clip_wall_s

    @property
    def cpu_share(self) -> float:
        """Share of the processor seconds that the bare stages would need too."""
        return self.limits.cpu_s / self.clip_cpu_s

    @property
    def busy_share(self) -> float:
        """Share of the cores' time that was used."""
        return self.clip_cpu_s / (self.clip_wall_s * self.cores)

    def _slope(self, small: list[float], large: list[float]) -> float:
        return (statistics.median(large) - statistics.median(small)) / (self.large_clips - self.small_clips)


class _Quiet:
    """A Listener that passes on nothing."""

    def planned(self, videos: int) -> None: ...

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None: ...

    def fetched(self, fetched: Fetched) -> None: ...

    def ticked(self, stage: str, frames: int) -> None: ...

    def ended(self, outcome: Staged | Failed | Postponed) -> None: ...

    def said(self, message: str) -> None: ...


def measure_build(config: SpeedConfig, say: Callable[[str], None] = lambda _: None) -> BuildSpeed:
    """Measure the bare stages, then the build.

    Raises:
        InputError: the video is too short, or no round. CgtoolError: as a build would.
    """
    if config.rounds < 1 or config.clips < 1:
        raise InputError(f"{config.rounds} rounds of {config.clips} clips measure nothing", "Give 1 or more of each")
    index = index_video(config.video)
    in_video = len(clips_of(config.build, config.video, index))
    rounds = f"{config.rounds} round" + ("s" if config.rounds > 1 else "")
    say(f"bare stages, {rounds}")
    limits = measure_limits(config.build, config.video, config.rounds)
    with tempfile.TemporaryDirectory(prefix="cgtool-speed-") as scratch:
        workers = config.build.workers or usual_workers(config.build.anonymise.detector.device)
        n_small, n_large = workers, workers * (1 + config.clips)
        results: list[BuildResult] = []

        def run(n_clips: int) -> Callable[[], None]:
            spans = _Spans(in_video, limits.n_frames, index.info.fps, workers)
            sources = _sources(Path(scratch) / f"{n_clips}", config, n_clips, spans)
            return lambda: results.append(_build_once(config.build, sources, Path(scratch) / "out"))

        say(f"builds of {n_small} and {n_large} clips, {rounds}")
        found = interleaved({"small": run(n_small), "large": run(n_large)}, config.rounds, warm_up=0)
    stages = {name: s / n_large for name, s in results[-1].report.stage_seconds.items()}
    return BuildSpeed(limits, found["small"], found["large"], n_small, n_large, workers, n_cores(), stages)


@dataclass(frozen=True)
class _Spans:
    """What is needed to name the first so many clips of a video by seconds."""

    n_clips: int
    n_frames: int
    """Of a clip."""
    fps: float
    n_workers: int

    def end_s(self, n_clips: int) -> float:
        """A quarter of a frame before the first one that is not wanted."""
        return (n_clips * self.n_frames - 0.25) / self.fps


def _sources(folder: Path, config: SpeedConfig, n_clips: int, spans: _Spans) -> Path:
    """A sources table of so many clips, shared evenly by the workers."""
    folder.mkdir()
    n_videos = min(spans.n_workers, n_clips)
    lines = ["url,city,video_id,start_s,end_s"]
    number = 0
    for video in range(n_videos):
        left = n_clips // n_videos
        while left:  # a video has so many clips and no more: then another one begins
            take = min(left, spans.n_clips)
            name = f"v{video}-{number}{config.video.suffix}"
            _link(config.video.resolve(), folder / name)
            lines.append(f"{name},Tokyo,v{video}-{number},0,{spans.end_s(take):.4f}")
            left, number = left - take, number + 1
    table = folder / "sources.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _link(video: Path, to: Path) -> None:
    """The same bytes under another name. A symbolic link would be the same video to the build."""
    try:
        to.hardlink_to(video)
    except OSError:  # another file system
        shutil.copyfile(video, to)


def _build_once(config: BuildConfig, sources: Path, out: Path) -> BuildResult:
    """Build into a new folder, which is removed again.

    Raises:
        CgtoolError: it did not come to its end.
    """
    shutil.rmtree(out, ignore_errors=True)
    here = replace(config, sources=sources, out=out, download=DownloadConfig(cache=out.with_name("cache")))
    result = build(here, _Quiet())
    if result.stopped or result.exit_code:
        why = result.stopped or (result.report.failed[0].message if result.report.failed else "interrupted")
        raise CgtoolError(f"the build that was to be timed failed: {why}", "Try cgtool build-dataset on the video")
    shutil.rmtree(out)
    return result
