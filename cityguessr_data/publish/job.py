"""What every writer of an export is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .contents import Contents
from .destination import Destination
from .facts import Facts
from .guard import PathGuard


@dataclass(frozen=True)
class ExportJob:
    """One export under way."""

    facts: Facts
    dest: Destination
    guard: PathGuard
    shard_bytes: int
    """Of a shard's frames, at most; a clip stays whole."""
    packed: Callable[[int, int], None]
    """Told of (clips, bytes of frames) as they are packed, or were by an earlier run."""

    @property
    def contents(self) -> Contents:
        """What goes out."""
        return self.facts.contents
