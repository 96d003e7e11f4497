"""Gathers the frames of a clip into the batches that a model takes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from ..core.types import RGB, Clip


MOST_BYTES = 128 << 20
"""Of the pixels in a batch: 32 frames of 4K would be 800 MB, and they are held twice."""


class Framed(Protocol):
    """A frame of a clip, at any step."""

    @property
    def clip(self) -> Clip:
        """Whose it is."""

    @property
    def rgb(self) -> RGB:
        """(H, W, 3)."""


F = TypeVar("F", bound=Framed)


def batched(frames: Iterable[F], size: int) -> Iterator[list[F]]:
    """`frames` in lists of up to `size` and MOST_BYTES, in order. One list holds frames of ONE clip and one size in px.

    Never across clips: what a clip comes to must not depend on its neighbours. Frames of an import may change their
    size within a clip.
    """
    held: list[F] = []
    for frame in frames:
        if held and (len(held) == size or frame.clip != held[0].clip or frame.rgb.shape != held[0].rgb.shape):
            yield held
            held = []
        held.append(frame)
        if size == 1 or (len(held) + 1) * frame.rgb.nbytes > MOST_BYTES:
            yield held
            held = []
    if held:
        yield held


def stacked(frames: Sequence[Framed]) -> RGB:
    """(B, H, W, 3) uint8; one frame is not copied."""
    return frames[0].rgb[np.newaxis] if len(frames) == 1 else np.stack([frame.rgb for frame in frames])
