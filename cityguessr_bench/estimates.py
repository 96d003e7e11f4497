"""Means over clips with both intervals; the same values are asked for more than once, and counted once.

City predictions are the same in two modes each, and so are all their distances: a memory of the values saves half the
bootstraps.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    _known: dict[tuple[str, bytes, bytes], Estimate] = field(default_factory=dict)

    def of(self, values: Values, chosen: npt.NDArray[np.bool_] | None = None) -> Estimate:
        """The mean of a value a clip.

        Args:
            values: (N,) numbers or booleans; outside `chosen` they are not looked at.
            chosen: (N,) clips that count; None: all.
        Raises:
            ValueError: no clips, or a value that is NaN or infinity.
        """
        rows = np.flatnonzero(np.ones(len(values), bool) if chosen is None else chosen)
        used: Values = np.asarray(values)[rows]  # type: ignore[assignment]
        key = (used.dtype.str, used.tobytes(), rows.tobytes())
        if key not in self._known:
            clips = over_clips(used)
            videos = over_videos(used, [self.video_ids[row] for row in rows.tolist()])
            self._known[key] = Estimate(clips.value, clips.low, clips.high, videos.low, videos.high)
        return self._known[key]


def certain(value: float) -> Estimate:
    """A value that could not be another, whatever the clips: it has no interval."""
    return Estimate(value, None, None, None, None)
