"""The real build, timed: what a clip more costs, beside the least that its stages can cost.

A small and a larger data set are built in turns, into new folders, with the processes that a user would have. What the
larger one takes longer, a clip, is the cost of a clip; what both take alike is the start: processes, imports, models.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2

from ..build_config import BuildConfig
from ..core.errors import CgtoolError, InputError
from ..core.threads import VARIABLE, n_cores
from ..core.timing import ROUNDS, Timing, interleaved
from ..media.decode import index_video
from ..media.download_config import DownloadConfig
from ..pipeline import BuildResult, build
from ..run.compute import Failed, Staged
from ..run.executor import Fetched, Postponed
from ..run.local import usual_workers
from ..run.process import prepare_worker
from .stages import BareStages, Limits, clips_of

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


def measure_build(
    config: SpeedConfig, say: Callable[[str], None] = lambda _: None, workers: Sequence[int] = ()
) -> dict[int, BuildSpeed]:
    """Measure the bare stages and the build, in turns.

    Args:
        workers: numbers of processes to build with; empty: those of the config.
    Returns:
        by number of processes.
    Raises:
        InputError: the video is too short, or no round. CgtoolError: as a build would.
    """
    if config.rounds < 1 or config.clips < 1:
        raise InputError(f"{config.rounds} rounds of {config.clips} clips measure nothing", "Give 1 or more of each")
    build = config.build
    counts = tuple(workers) or (build.workers or usual_workers(build.anonymise.detector.device),)
    index = index_video(config.video)
    clips = clips_of(build, config.video, index)
    sizes = {n: (n, n * (1 + config.clips)) for n in counts}
    told = ", ".join(f"{small} and {large} clips" for small, large in sizes.values())
    say(f"bare stages, and builds of {told}: {config.rounds} round" + ("s" if config.rounds > 1 else ""))
    results: dict[str, BuildResult] = {}
    with _as_worker(), tempfile.TemporaryDirectory(prefix="cgtool-speed-") as scratch:
        bare = BareStages(build, config.video)
        calls = dict(bare.calls)
        folder = Path(scratch)
        for n in counts:
            spans = _Spans(len(clips), clips[0][1], index.info.fps, n)
            for name, n_clips in zip((f"small {n}", f"large {n}"), sizes[n], strict=True):
                sources = _sources(folder / name, config.video, n_clips, spans)
                one = replace(build, workers=n, sources=sources, out=folder / "out")
                calls[name] = partial(_build_once, one, name, results)
        for warm_up in bare.calls.values():
            warm_up()
        timings = interleaved(calls, config.rounds, warm_up=0)
        limits = bare.limits(timings)
    found = {}
    for n in counts:
        small, large = sizes[n]
        busy = {stage: s / large for stage, s in results[f"large {n}"].report.stage_seconds.items()}
        found[n] = BuildSpeed(limits, timings[f"small {n}"], timings[f"large {n}"], small, large, n, n_cores(), busy)
    return found


@contextmanager
def _as_worker() -> Iterator[None]:
    """The bare stages run in a worker of one thread: nothing costs fewer seconds of the processor."""
    threads, variable = cv2.getNumThreads(), os.environ.get(VARIABLE)
    prepare_worker(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        os.environ.pop(VARIABLE, None)
        os.environ |= {} if variable is None else {VARIABLE: variable}


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


def _sources(folder: Path, video: Path, n_clips: int, spans: _Spans) -> Path:
    """A sources table of so many clips, shared evenly by the workers."""
    folder.mkdir()
    n_videos = min(spans.n_workers, n_clips)
    lines = ["url,city,video_id,start_s,end_s"]
    number = 0
    for row in range(n_videos):
        left = n_clips // n_videos
        while left:  # a video has so many clips and no more: then another one begins
            take = min(left, spans.n_clips)
            video_id = f"v{row}-{number}"
            name = video_id + video.suffix
            _link(video.resolve(), folder / name)
            lines.append(f"{name},Tokyo,{video_id},0,{spans.end_s(take):.4f}")
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


def _build_once(config: BuildConfig, name: str, results: dict[str, BuildResult]) -> None:
    """Build into a new folder, which is removed again; the result is put under `name`.

    Raises:
        CgtoolError: it did not come to its end.
    """
    shutil.rmtree(config.out, ignore_errors=True)
    here = replace(config, download=DownloadConfig(cache=config.out.with_name("cache")))
    result = build(here, _Quiet())
    if result.stopped or result.exit_code:
        why = result.stopped or (result.report.failed[0].message if result.report.failed else "interrupted")
        raise CgtoolError(f"the build that was to be timed failed: {why}", "Try cgtool build-dataset on the video")
    shutil.rmtree(config.out)
    results[name] = result
