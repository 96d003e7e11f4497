"""How long encoding will take: said once, as soon as the first batches have shown it."""

from __future__ import annotations

import time
from collections.abc import Callable

_AFTER_S = 20.0
"""Or after the first shard, where that is done earlier."""


class Pace:
    """Counts the clips of a call of pack.write.pack."""

    def __init__(
        self, n_left: int, n_frames: int, clips_per_shard: int, where: Callable[[], str], say: Callable[[str], None]
    ) -> None:
        """Args:
        n_left: clips to be encoded.
        n_frames: of a clip.
        where: what computes, in words; asked when it does.
        """
        self._n_left, self._n_frames, self._clips_per_shard = n_left, n_frames, clips_per_shard
        self._where, self._say = where, say
        self._n_done = self._n_first = 0
        self._since_s = 0.0
        self._said = False

    def clips(self, n: int) -> None:
        """After each batch of `n` clips. The first is not measured: in it the network is loaded."""
        self._n_left -= n
        self._n_done += n
        if not self._n_first:
            self._n_first, self._since_s = n, time.monotonic()
            return
        took_s = time.monotonic() - self._since_s
        if self._said or (took_s < _AFTER_S and self._n_done < self._clips_per_shard):
            return
        self._said = True
        per_s = (self._n_done - self._n_first) / max(took_s, 1e-9)
        if self._n_left > 0:
            frames = f"{per_s * self._n_frames:,.1f} frames/s on {self._where()}"
            self._say(f"encoding: {frames}; about {_span(self._n_left / per_s)} to go")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
