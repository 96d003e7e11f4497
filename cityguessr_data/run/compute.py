"""Takes one downloaded video through the computing stages to a staged result: the tuple and the for loop."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from ..core.errors import ErrorClass, StopError, VideoError, writing_stop, writing_stops
from ..core.types import LocalVideo, VideoTask
from .lanes import Lane, Meter
from .parts import Counts
from .stage import DropVideo, Stage, Step, Tick, VideoJob
from .writer import stage_empty


@dataclass(frozen=True)
class Staged:
    """A finished video that waits to be committed: its folder under staging holds frames and parts."""

    video_id: str
    fingerprint: str
    staging: Path
    status: Literal["done", "dropped"]
    reason: str | None
    steps: tuple[Step, ...]
    counts: Counts = Counts()
    tail_frames: int = 0
    lost_clips: int = 0


@dataclass(frozen=True)
class Failed:
    """A video that failed; nothing of it is kept."""

    video_id: str
    fingerprint: str
    error_class: ErrorClass
    message: str
    steps: tuple[Step, ...]
    worker_died: bool = False
    """Its process died on it, by a crash or for want of memory: on another machine it may be done."""


class Writer(Protocol):
    """Takes what leaves the last stage of one video, and stages it to be committed."""

    def write(self, frames: Iterator[Any]) -> Iterator[None]:
        """Write every frame; yields after each, so that the caller can measure."""

    def finish(self, fault: str | None) -> Counts:
        """Close the parts, with the fault that ended decoding early, if any."""


class MakesWriters(Protocol):
    """Makes the writer of each video: WriterConfig in a build."""

    def writer_for(self, job: VideoJob, fingerprint: str) -> Writer:
        """What writes this video; it makes the staging folder."""


class Compute:
    """The computing stages, opened once in a process and then used for one video after the other."""

    def __init__(self, stages: Sequence[Stage], writer: MakesWriters) -> None:
        self.stages = tuple(stages)
        self.writer = writer
        self._threads = {stage.lane: ThreadPoolExecutor(1, stage.lane) for stage in self.stages}
        for stage in self.stages:
            stage.open()

    def run(self, task: VideoTask, source: LocalVideo, staging: Path, fingerprint: str, tick: Tick) -> Staged | Failed:
        """Process one video into `staging`. A failure of this video is returned, never raised.

        Raises:
            StopError: the whole run must stop (no space left, or the staging folder cannot be written any more).
        """
        job = VideoJob(task, source, staging, tick)
        started_at = datetime.now(UTC)
        meters = {stage.name: Meter() for stage in self.stages} | {"write": Meter()}
        lanes: list[Lane] = []
        with writing_stops(staging):
            writer = self.writer.writer_for(job, fingerprint)
        try:
            items: Iterator[Any] = iter([source])
            for name, stages in itertools.groupby(self.stages, key=lambda s: s.lane):
                for stage in stages:
                    meter = meters[stage.name]
                    items = meter.outgoing(_named(stage.name, stage.run(job, meter.incoming(items))))
                items = Lane(items, self._threads[name])
                lanes.append(items)
            meter = meters["write"]
            for _ in meter.outgoing(_named("write", writer.write(meter.incoming(items)))):
                pass
            counts = writer.finish(": ".join(job.faults["clip"]) if "clip" in job.faults else None)
        except _InStage as wrapped:
            error, stage_name = wrapped.error, wrapped.stage
        except Exception as exc:  # noqa: BLE001 - closing the parts; told below like any other
            error, stage_name = exc, "write"
        else:
            steps = tuple(
                Step(name, "failed", started_at, meter.busy_s, *job.faults[name])
                if name in job.faults
                else Step(name, "done", started_at, meter.busy_s, None, job.notes.get(name))
                for name, meter in meters.items()
            )
            return Staged(
                task.video_id, fingerprint, staging, "done", None, steps, counts, job.tail_frames, job.lost_clips
            )
        finally:
            for lane in reversed(lanes):
                lane.close()
        seconds = meters[stage_name].busy_s
        if isinstance(error, StopError):
            raise error
        if stage_name == "write" and (stop := writing_stop(error, staging)) is not None:
            raise stop from error
        if isinstance(error, DropVideo):
            with writing_stops(staging):
                stage_empty(job, fingerprint, error.reason, error.message)
            step = Step(stage_name, "dropped", started_at, seconds, error.reason, error.message)
            return Staged(task.video_id, fingerprint, staging, "dropped", error.reason, (step,))
        error_class, message = _told(error)
        step = Step(stage_name, "failed", started_at, seconds, error_class, message)
        return Failed(task.video_id, fingerprint, error_class, message, (step,))


def _told(error: BaseException) -> tuple[ErrorClass, str]:
    """Class and one line of an error; a fault of ours keeps the place where it arose."""
    if isinstance(error, VideoError):
        return error.error_class, str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    return ErrorClass.INTERNAL, f"{type(error).__name__}: {error}{where}"


class _InStage(Exception):
    """Carries an error with the name of the stage it was raised in through the stages after it."""

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(stage)
        self.stage = stage
        self.error = error


def _named(stage: str, items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except _InStage:
        raise
    except Exception as exc:
        raise _InStage(stage, exc) from exc
