"""Runs one stage over units with the machinery of builds: worker processes, staged results, a commit for each unit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ..core.errors import CgtoolError, StopError, VideoError
from ..core.types import LocalVideo
from ..publish.preview import preview_is_current, write_preview
from ..run.assemble import assemble, is_stale
from ..run.compute import Failed
from ..run.executor import ComputeFactory, Fetch, Fetched, Listener, WorkItem
from ..run.local import LocalExecutor
from ..run.runner import RunReport, run_items
from ..run.stage import Step
from ..run.store import Store
from ..run.tally import count


@dataclass
class StageResult:
    """What one run came to. Failures are of local files, which can be mended: each run tries them again."""

    n_units: int
    """Units with clips."""
    n_done_before: int
    report: RunReport = field(default_factory=RunReport)
    exit_code: int = 0
    stopped: CgtoolError | None = None
    interrupted: bool = False


def run_over(
    store: Store,
    items: Sequence[WorkItem],
    frames_of: Callable[[str], Path],
    factory: ComputeFactory,
    listener: Listener,
    result: StageResult,
    workers: int | None,
) -> None:
    """Run `items` and commit every unit as it is finished; `result` says how it went, however it ends.

    Args:
        frames_of: the table of frames to read, by the unit's name; may raise VideoError.
    Raises:
        MachineError: the stage cannot be opened here (weights missing).
    """
    try:
        if items:
            run_items(store, items, LocalExecutor(workers), _reading(frames_of), factory, listener, result.report)
        result.exit_code = 1 if result.report.failed else 0
    except StopError as exc:
        result.stopped, result.exit_code = exc, exc.exit_code
    except KeyboardInterrupt:
        result.interrupted, result.exit_code = True, 130


def finish(store: Store) -> None:
    """Put the manifests together, count, and draw the preview anew, where they are not of the parts as they are now.

    Data of which nothing is blurred gets no preview.

    A run may die between its commits and this; the next one does it.
    """
    preview = store.out / "preview.html"
    clips = store.out / "manifests" / "clips.parquet"
    stale = is_stale(store)
    if stale:
        assemble(store)
    dataset = store.dataset() or {}
    store.write_dataset(dataset | {"counts": {**dataset.get("counts", {}), **count(store)}})
    outdated = stale or not preview_is_current(store.out)
    blur = pq.read_table(clips, columns=["blur"])["blur"]
    if outdated and (preview.exists() or blur.null_count < len(blur)):
        write_preview(store.out)  # it shows no frame that is not blurred


def _reading(frames_of: Callable[[str], Path]) -> Fetch:
    """What stands where a build downloads: it finds the table of a unit's frames."""

    def fetch(item: WorkItem, _stop: threading.Event) -> Fetched | Failed:
        started_at, start, name = datetime.now(UTC), time.monotonic(), item.task.video_id
        try:
            path = frames_of(name)
        except VideoError as exc:
            step = Step("read", "failed", started_at, time.monotonic() - start, exc.error_class, str(exc))
            return Failed(name, item.fingerprint, exc.error_class, str(exc), (step,))
        return Fetched(item, LocalVideo(path, "", ""), Step("read", "done", started_at, time.monotonic() - start))

    return fetch
