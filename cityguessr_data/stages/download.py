"""Brings source videos to the local disk: the network's side of a build. See media/download.py for how."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ..core.errors import VideoError
from ..core.types import Dropped
from ..media.download import Downloader, SiteBlocked
from ..run.compute import Failed
from ..run.executor import Fetched, Postponed, WorkItem
from ..run.stage import Step

Progress = Callable[[str, int, int | None], None]
"""(video id, bytes so far, bytes in all where known)."""


class DownloadStage:
    """VideoTask -> LocalVideo or Dropped."""

    name = "download"

    def __init__(self, downloader: Downloader, progress: Progress) -> None:
        self.downloader = downloader
        self.progress = progress

    def fetch(self, item: WorkItem, stop: threading.Event) -> Fetched | Failed | Postponed:
        """Get one video; a failure of the video is returned. See executor.Fetch.

        Raises:
            StopError: no space left, or `stop` was set.
        """
        task, started_at, start = item.task, datetime.now(UTC), time.monotonic()
        try:
            source = self.downloader.fetch(
                task.video_id, task.url, lambda done, total: self.progress(task.video_id, done, total), stop
            )
        except SiteBlocked as exc:
            return Postponed(task.video_id, str(exc))
        except VideoError as exc:
            step = Step(self.name, "failed", started_at, time.monotonic() - start, exc.error_class, str(exc))
            return Failed(task.video_id, item.fingerprint, exc.error_class, str(exc), (step,))
        seconds = time.monotonic() - start
        if isinstance(source, Dropped):
            step = Step(self.name, "dropped", started_at, seconds, source.reason, source.message)
        else:
            step = Step(self.name, "done", started_at, seconds)
        return Fetched(item, source, step)
