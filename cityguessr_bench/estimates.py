"""Means over clips with both intervals; the same values are asked for more than once, and counted once.

City predictions are the same in two modes each, and so are all their distances: a memory of the values saves half the
bootstraps. The modes are scored in threads, and whoever asks second for the same values waits for who asked first.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .intervals import Values, over_clips, over_videos
from .results import Estimate


@dataclass(frozen=True)
class Estimates:
    """Of the clips of one evaluation."""

    video_ids: Sequence[str | None]
    """(N,) the source video of every clip."""
    _known: dict[tuple[str, bytes, bytes], Future[Estimate]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def of(self, values: Values, chosen: npt.NDArray[np.bool_] | None = None) -> Estimate:
        """The mean of a value a clip. May be called from several threads.

        Args:
            values: (N,) numbers or booleans; outside `chosen` they are not looked at.
            chosen: (N,) clips that count; None: all.
        Raises:
            ValueError: no clips, or a value that is NaN or infinity.
            CancelledError: `stop` was called.
        """
        rows = np.flatnonzero(np.ones(len(values), bool) if chosen is None else chosen)
        used: Values = np.asarray(values)[rows]  # type: ignore[assignment]
        key = (used.dtype.str, used.tobytes(), rows.tobytes())
        mine: Future[Estimate] = Future()
        known = self._known.setdefault(key, mine)  # one step, so one thread alone finds its own there
        if known is mine:
            try:
                mine.set_result(self._counted(used, rows))
            except BaseException as exc:  # noqa: BLE001 - raised again in every thread that asks
                mine.set_exception(exc)
        return known.result()

    def stop(self) -> None:
        """Have nothing more counted, in no thread: a person who interrupts an evaluation need not wait for its end."""
        self._stopped.set()

    def _counted(self, used: Values, rows: npt.NDArray[np.intp]) -> Estimate:
        clips = over_clips(used, self._check)
        videos = over_videos(used, [self.video_ids[row] for row in rows.tolist()], self._check)
        return Estimate(clips.value, clips.low, clips.high, videos.low, videos.high)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise CancelledError


def certain(value: float) -> Estimate:
    """A value that could not be another, whatever the clips: it has no interval."""
    return Estimate(value, None, None, None, None)
