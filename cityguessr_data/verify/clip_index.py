"""All clips of a data set in 24 bytes each, so that a million can be asked for by id, video and channel.

Names are held as 64 bits of a digest. That two names share one is so unlikely that it may count as a fault; where it
matters, names are compared once more before anything is said.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Keys = npt.NDArray[np.uint64]
    """(n,) digests of names."""


def key_of(name: str | None) -> int:
    """64 bits of a name's digest; 0 for no name."""
    if name is None:
        return 0
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def keys_of(names: Iterable[str | None]) -> Keys:
    """(n,) of each name."""
    return np.fromiter((key_of(name) for name in names), np.uint64)


class ClipIndex:
    """Filled unit by unit, then asked."""

    def __init__(self) -> None:
        self._clips, self._videos, self._channels = array("Q"), array("Q"), array("Q")
        self._order: Keys | None = None

    def __len__(self) -> int:
        return len(self._clips)

    def add(self, clip_id: str, video_id: str | None, channel: str | None) -> None:
        """One more clip; of None nothing is known."""
        self._clips.append(key_of(clip_id))
        self._videos.append(key_of(video_id))
        self._channels.append(key_of(channel))
        self._order = None

    def twice(self) -> set[int]:
        """Keys of clip ids that were added more than once."""
        keys, counts = np.unique(self._array(self._clips), return_counts=True)
        return set(keys[counts > 1].tolist())

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """(n,) row of each clip, by its key; -1 where there is none."""
        mine = self._array(self._clips)
        if not len(mine):
            return np.full(len(keys), -1, np.int64)
        if self._order is None:
            self._order = np.argsort(mine, kind="stable").astype(np.uint64)
        ordered = mine[self._order]
        at = np.minimum(np.searchsorted(ordered, keys), len(mine) - 1)
        return np.where(ordered[at] == keys, self._order[at].astype(np.int64), -1)

    def sources(self, by: str) -> Keys:
        """(n,) key of each clip's video, or with `channel` of its channel; 0 where it is not known."""
        return self._array(self._channels if by == "channel" else self._videos)

    def _array(self, values: array[int]) -> Keys:
        return np.frombuffer(values, np.uint64) if len(values) else np.zeros(0, np.uint64)
