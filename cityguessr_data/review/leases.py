"""Which tab works on which clip: a clip that was handed to one is not handed to another for some minutes.

Only so that two people don't do the same work. What keeps them from overwriting each other is in desk.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LEASE_S = 300.0
"""Since the tab last asked for anything about its clip."""


class Leases:
    """One clip a tab. Not thread-safe: its owner holds a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}
        """clip_id -> (tab, when it ends)."""
        self._of: dict[str, str] = {}

    def take(self, clip_id: str, tab: str) -> bool:
        """Give a clip to a tab, and free the one it had. False where another tab holds it: that one keeps it."""
        self.free(tab, unless=clip_id)
        if self.held_by_another(clip_id, tab):
            return False
        self._held[clip_id] = (tab, self._clock() + LEASE_S)
        self._of[tab] = clip_id
        return True

    def free(self, tab: str, unless: str | None = None) -> None:
        """Free the clip of a tab."""
        clip_id = self._of.get(tab)
        if clip_id is not None and clip_id != unless:
            del self._of[tab]
            if self._held.get(clip_id, ("", 0.0))[0] == tab:
                del self._held[clip_id]

    def held_by_another(self, clip_id: str, tab: str) -> bool:
        """Whether another tab works on a clip."""
        holder, ends = self._held.get(clip_id, (tab, 0.0))
        return holder != tab and ends > self._clock()
