"""What every writer of an export is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..review.progress import ReviewProgress
from .contents import Contents
from .destination import Destination
from .guard import PathGuard


@dataclass(frozen=True)
class ExportJob:
    """One export under way."""

    contents: Contents
    dest: Destination
    guard: PathGuard
    review: ReviewProgress
    shard_bytes: int
    """Of a shard's frames, at most; a clip stays whole."""
    contact: str | None
    """Who to ask for a removal."""
    packed: Callable[[int, int], None]
    """Told of (clips, bytes of frames) as they are packed, or were by an earlier run."""
