"""What an executor is: it fetches videos, computes them somewhere, and brings every outcome back to one place.

Executors differ in where the computing happens; what they are given and what they give back is the same, and so are the
hashes of the frames. Committing is not theirs: the runner does it, in one process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..core.types import Dropped, LocalVideo, VideoTask
from .compute import Compute, Failed, Staged
from .stage import Step

ComputeFactory = Callable[[], Compute]
"""Makes the computing stages in the process that will run them; picklable. Loading models happens there."""


@dataclass(frozen=True)
class FromFiles:
    """A ComputeFactory that opens files: an executor whose workers see other disks sends them, and says where they lie.

    Args:
        make: given where each file lies. Picklable.
        files: the caller's own, by whatever names `make` knows them; those of one `make` keep their file names and lie
            in one folder wherever they are sent.
    """

    make: Callable[[Mapping[str, Path]], Compute]
    files: Mapping[str, Path]

    def __call__(self) -> Compute:
        return self.make(self.files)


@dataclass(frozen=True)
class WorkItem:
    """One video to do, with the fingerprint its result will carry."""

    task: VideoTask
    fingerprint: str


@dataclass(frozen=True)
class Fetched:
    """A video that is on the local disk now, or was dropped by what its site says of it."""

    item: WorkItem
    source: LocalVideo | Dropped
    step: Step


@dataclass(frozen=True)
class Postponed:
    """A video that was not tried, because its site has stopped answering in this run. It stays pending."""

    video_id: str
    message: str


Fetch = Callable[[WorkItem, threading.Event], Fetched | Failed | Postponed]
"""Gets one video; never raises for a fault of the video. Called from one thread at a time."""


class Listener(Protocol):
    """Is told how a run goes, for progress bars and logs. Called from the executor's own thread, except `fetching`."""

    def planned(self, videos: int) -> None:
        """How many videos this run will try."""

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None:
        """Bytes of a download so far."""

    def fetched(self, fetched: Fetched) -> None:
        """One video is at hand."""

    def ticked(self, stage: str, frames: int) -> None:
        """So many more frames have left a stage."""

    def ended(self, outcome: Staged | Failed | Postponed) -> None:
        """One video is committed, has failed or was put off."""

    def said(self, message: str) -> None:
        """One line for the user."""


class Executor(Protocol):
    """Runs work items; calls `handle` with each outcome, in the caller's thread, in the order they end."""

    def run(
        self,
        items: Sequence[WorkItem],
        fetch: Fetch,
        factory: ComputeFactory,
        new_staging: Callable[[str], Path],
        handle: Callable[[Staged | Failed | Postponed], None],
        listener: Listener,
    ) -> None:
        """Return when every item has had its outcome.

        Raises:
            MachineError: the stages cannot be opened here (weights missing).
            StopError: a worker says that the run must stop, or there is nowhere left to compute.
            KeyboardInterrupt: as usual; workers are gone when it leaves.
        """
