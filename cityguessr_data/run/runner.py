"""Runs what is missing in an output directory and nothing else, and says how it went."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..core.errors import ErrorClass
from .compute import Failed, Staged
from .executor import ComputeFactory, Executor, Fetch, Listener, Postponed, WorkItem
from .ledger import LastFailure, last_failure, record_attempt
from .parts import Counts
from .store import Store
from .writer import record_failed_video


@dataclass(frozen=True)
class Todo:
    """What a run finds: what is done, what failed for good, what failed and may be tried again, what is missing."""

    missing: tuple[WorkItem, ...]
    done: tuple[str, ...]
    gone: tuple[LastFailure, ...]
    """Permanent failures; never tried again."""
    retryable: tuple[LastFailure, ...]
    removed: tuple[str, ...] = ()
    """Ids of videos that were taken out for good: nobody is asked about them."""


@dataclass
class RunReport:
    """What one run did."""

    done: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    failed: list[Failed] = field(default_factory=list)
    postponed: list[Postponed] = field(default_factory=list)
    counts: Counts = Counts()
    tail_frames: int = 0
    lost_clips: int = 0
    seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Busy seconds by stage, summed over workers."""


def find_todo(
    store: Store,
    items: Sequence[WorkItem],
    *,
    retry_failed: bool,
    left: Sequence[LastFailure] = (),
    removed: Sequence[str] = (),
) -> Todo:
    """Compare what is asked with what OUT holds, by fingerprint; reads no frame and imports no model.

    Of what is done only the commit is looked at, so that a run which finds thousands done is soon at work.

    Args:
        left: failures that have no item, because their links could not be looked up.
        removed: ids of videos that have no item, because they were taken out for good.
    Raises:
        InputError: not all parts of a committed video are there.
    """
    committed = store.committed()
    store.check_whole(committed)
    missing: list[WorkItem] = []
    done: list[str] = []
    gone = [failure for failure in left if failure.error_class.permanent]
    retryable = [failure for failure in left if not failure.error_class.permanent]
    for item in items:
        video_id = item.task.video_id
        held = committed.get(video_id)
        if held and held.fingerprint == item.fingerprint:
            done.append(video_id)
            continue
        failure = last_failure(store, video_id, held)
        if failure is None or failure.fingerprint != item.fingerprint:
            missing.append(item)
        elif failure.error_class.permanent:
            gone.append(failure)
        elif retry_failed:
            missing.append(item)
        else:
            retryable.append(failure)
    return Todo(tuple(missing), tuple(done), tuple(gone), tuple(retryable), tuple(removed))


def run_items(
    store: Store,
    items: Sequence[WorkItem],
    executor: Executor,
    fetch: Fetch,
    factory: ComputeFactory,
    listener: Listener,
    report: RunReport,
    release: Callable[[str], object] = lambda _video_id: None,
) -> None:
    """Run `items`, commit every video as it is finished, and keep `report` up to date, also when this raises.

    Args:
        release: is told the id of each video whose source is done with.
    Raises:
        MachineError, StopError, KeyboardInterrupt: from the executor; what was committed before stays.
    """
    tasks = {item.task.video_id: item.task for item in items}
    start = time.monotonic()

    def handle(outcome: Staged | Failed | Postponed) -> None:
        if isinstance(outcome, Staged):
            # The attempt first: killed in between, the video is done again and the attempt was made all the same
            record_attempt(store, outcome.video_id, outcome.fingerprint, outcome.steps)
            store.commit(outcome.video_id, outcome.staging)
            _count(report, outcome)
        elif isinstance(outcome, Failed):
            store.discard(outcome.video_id)
            record_attempt(store, outcome.video_id, outcome.fingerprint, outcome.steps)
            record_failed_video(store.part, tasks[outcome.video_id], outcome.error_class, outcome.message)
            report.failed.append(outcome)
        else:
            report.postponed.append(outcome)
        release(outcome.video_id)
        listener.ended(outcome)

    listener.planned(len(items))
    try:
        executor.run(items, fetch, factory, store.new_staging, handle, listener)
    except BaseException:
        store.recover()  # ends a commit that was broken off: the parts are read next
        raise
    finally:
        store.discard()
        report.seconds = time.monotonic() - start


def _count(report: RunReport, staged: Staged) -> None:
    if staged.status == "done":
        report.done += 1
    else:
        report.dropped[staged.reason or "dropped"] += 1
    report.counts += staged.counts
    report.tail_frames += staged.tail_frames
    report.lost_clips += staged.lost_clips
    for step in staged.steps:
        report.stage_seconds[step.stage] = report.stage_seconds.get(step.stage, 0.0) + step.seconds


def exit_code(report: RunReport, retryable: Sequence[LastFailure]) -> int:
    """0 done, 1 retryable failures are left, 3 a site stopped answering (contract 5)."""
    if report.postponed or any(f.error_class is ErrorClass.BOT_CHECK for f in report.failed):
        return 3
    if retryable or any(not f.error_class.permanent for f in report.failed):
        return 1
    return 0
