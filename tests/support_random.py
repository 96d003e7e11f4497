"""Failures by a script: which step of which attempt on which video fails, and how, follows from a seed alone.

`install` makes a command and its workers fail so; `expected` tells what the attempts table must then hold.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support_workers import HOOK

_ASKED = "CGTOOL_TEST_RANDOM"
STAGES = ("download", "clip", "anonymise", "label", "write")
WAYS = {
    "download": ("network",),
    "clip": ("internal", "killed"),
    "anonymise": ("detector", "internal"),
    "label": ("internal",),
    "write": ("internal", "killed"),
}
"""How a step fails, by the class in the attempts table; `killed`: its worker process dies of SIGKILL."""


@dataclass(frozen=True)
class Script:
    """What fails."""

    seed: int
    share: float
    """Of the steps of each stage."""
    folder: str
    """Where the attempts are counted."""
    last_attempt: int = 5
    """This one, and later ones, succeed."""

    def env(self) -> dict[str, str]:
        return {HOOK: __name__, _ASKED: json.dumps(asdict(self))}

    def failure(self, video_id: str, attempt: int) -> tuple[str, str] | None:
        """(stage, way) of the first step that fails in an attempt; None: it succeeds."""
        if attempt >= self.last_attempt:
            return None
        for stage in STAGES:
            rng = random.Random(f"{self.seed}/{video_id}/{attempt}/{stage}")
            if rng.random() < self.share:
                return stage, rng.choice(WAYS[stage])
        return None

    def expected(self, video_id: str, passes: int) -> list[tuple[int, str, str, str | None]]:
        """(attempt, stage, status, error class) of each row that so many runs leave."""
        rows: list[tuple[int, str, str, str | None]] = []
        for attempt in range(1, passes + 1):
            failed = self.failure(video_id, attempt)
            if failed is None:
                return [*rows, *((attempt, stage, "done", None) for stage in STAGES)]
            stage, way = failed
            if stage != "download":
                rows.append((attempt, "download", "done", None))
            rows.append(
                (attempt, "compute", "failed", "internal") if way == "killed" else (attempt, stage, "failed", way)
            )
        return rows

    def is_done(self, video_id: str, passes: int) -> bool:
        return any(self.failure(video_id, attempt) is None for attempt in range(1, passes + 1))

    def begin(self, video_id: str) -> None:
        """Count an attempt."""
        with (Path(self.folder) / video_id).open("ab") as f:
            f.write(b".")

    def strike(self, video_id: str, stage: str) -> None:
        """Fail, where this step of the attempt under way is to."""
        from cityguessr_data.core.errors import ErrorClass, VideoError

        attempt = (Path(self.folder) / video_id).stat().st_size
        failed = self.failure(video_id, attempt)
        if failed is None or failed[0] != stage:
            return
        match failed[1]:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "internal":
                raise RuntimeError(f"scripted, in {stage}")
            case way:
                raise VideoError(ErrorClass(way), f"scripted, in {stage}")


def install() -> None:
    """In a command or a worker of it."""
    from cityguessr_data.media.download import Downloader
    from cityguessr_data.run.writer import VideoWriter
    from cityguessr_data.stages.anonymise import AnonymiseStage
    from cityguessr_data.stages.clip import ClipStage
    from cityguessr_data.stages.label import LabelStage

    script = Script(**json.loads(os.environ[_ASKED]))
    fetch = Downloader.fetch

    def fetched(self: Any, video_id: str, *args: Any, **kwargs: Any) -> Any:
        script.begin(video_id)
        script.strike(video_id, "download")
        return fetch(self, video_id, *args, **kwargs)

    Downloader.fetch = fetched  # type: ignore[method-assign]
    for kind in (ClipStage, AnonymiseStage, LabelStage):
        kind.run = _in_the_middle(script, kind.name, kind.run)  # type: ignore[method-assign]
    write = VideoWriter.write

    def written(self: Any, frames: Iterator[Any]) -> Iterator[None]:
        for number, done in enumerate(write(self, frames)):
            if number == 1:  # some pictures are on the disk by then
                script.strike(self.job.task.video_id, "write")
            yield done

    VideoWriter.write = written  # type: ignore[method-assign]


def _in_the_middle(script: Script, stage: str, run: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def ran(self: Any, job: Any, items: Iterator[Any]) -> Iterator[Any]:
        for number, item in enumerate(run(self, job, items)):
            if number == 0:
                script.strike(job.task.video_id, stage)
            yield item

    return ran
