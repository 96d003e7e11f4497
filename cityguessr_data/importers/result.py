"""What came of an import, as values; the command line only shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .found import Fault


class Listener(Protocol):
    """Told while an import runs."""

    def planned(self, n_units: int, n_clips: int) -> None:
        """The source is fit; so much is in it."""

    def unit_ended(self, unit_id: str, n_clips: int, n_frames: int, *, was_done: bool) -> None:
        """One unit is committed, or was before."""


class Silent:
    """Listens to nothing."""

    def planned(self, n_units: int, n_clips: int) -> None:
        """See Listener."""

    def unit_ended(self, unit_id: str, n_clips: int, n_frames: int, *, was_done: bool) -> None:
        """See Listener."""


@dataclass(frozen=True)
class ImportResult:
    """One import."""

    out: Path
    kind: str
    source: Path
    counts: Mapping[str, int]
    """Of all that OUT holds now: clips, frames, cities, states, countries, continents, and parts where there are."""
    published: Mapping[str, int]
    """What the paper gives of it, by the same names."""
    n_units: int
    """In the source."""
    n_units_done: int
    """Committed before, as they are now."""
    n_clips_new: int
    """Committed by this run."""
    n_frames_read: int
    seconds: float
    """That the frames took."""
    left: tuple[Fault, ...]
    """What was left out or lacks, in the order it was found; the next run looks at it again."""
    n_unblurred: int
    """Clips that `anonymise` has not made blurred copies of."""
    splits: Mapping[str, Mapping[str, int]]
    """Split that was written -> clips by part."""
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where something was left out that may be there later."""
        return 1 if self.left else 0
