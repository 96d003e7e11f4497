"""What checks find: faults with their place and what mends them, and how much was looked at, by check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

CHECKS: dict[str, tuple[str, str]] = {
    "tables": ("part", "four a unit, whole, of the schema"),
    "rows": ("clip", "with their frames, each once"),
    "spans": ("clip", "ids, spans, sampled frames by the rule"),
    "frames": ("frame", "there, with the digest written"),
    "orphans": ("file", "none that no row names"),
    "faces": ("box", "all over the threshold blurred"),
    "labels": ("clip", "ids of the taxonomy, one a name"),
    "scenes": ("clip", "shares of their frames, summing to 1"),
    "manifests": ("row", "as the parts say"),
    "dataset": ("count", "dataset.json and preview, as the parts"),
    "splits": ("split", "each clip in one part, no source in two"),
    "removed": ("tombstone", "what was removed is gone"),
    "decisions": ("part", "of a review of this data set"),
    "attempts": ("part", "well-formed"),
    "leftovers": ("place", "nothing that a killed run left"),
    "pictures": ("file", "no picture or video outside clips/"),
    "sources": ("frame", "as its source, blurred as recorded"),
}
"""Check -> the noun of what it looks at, and what it says; in the order they are told."""

Mend = Literal["recover", "delete", "assemble", "frame", "redo", "review", "removal", "person"]
"""What mends a fault.

recover: finish or clear what a killed run left. delete: a file that our own layout made and nobody names.
assemble: put together anew what follows from the parts. frame: make the frame anew from the kept source, else redo.
redo: do the unit again. review: apply its review again, which a redoing undid. removal: carry out what a
tombstone says. person: only somebody who knows can.
"""

_KEPT = 20_000
"""Faults of one check that are kept; all are counted."""


@dataclass(frozen=True)
class Fault:
    """One thing that is not as contract 4 says."""

    check: str
    where: str
    """A path relative to OUT, or the id of a clip."""
    what: str
    mend: Mend
    unit: str | None = None
    """The committed unit it is in."""
    hint: str = ""
    """What a person can do, where repair cannot."""


@dataclass
class Findings:
    """All that a verification came to see."""

    looked_at: Counter[str] = field(default_factory=Counter)
    n_faults: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    """Of each check the first 20,000."""
    units: dict[Mend, set[str]] = field(default_factory=dict)
    """The units with faults, by what mends them."""
    n_frame_faults: Counter[str] = field(default_factory=Counter)
    """By unit, those that are mended frame by frame: more than are kept here need the whole unit."""
    reviewed: set[str] = field(default_factory=set)
    """Units to which a review was applied, or of which that cannot be told any more and decisions are there."""
    notes: list[str] = field(default_factory=list)
    """What is no fault and should be known: what could not be looked at, and why."""

    def looked(self, check: str, n: int = 1) -> None:
        """So many more things were looked at."""
        if check not in CHECKS:
            raise ValueError(f"there is no check {check!r}")
        self.looked_at[check] += n

    def add(self, *faults: Fault) -> None:
        """Count faults, and keep them."""
        for fault in faults:
            if fault.check not in CHECKS:
                raise ValueError(f"there is no check {fault.check!r}")
            self.n_faults[fault.check] += 1
            if self.n_faults[fault.check] <= _KEPT:
                self.faults.append(fault)
            if fault.unit is not None:
                self.units.setdefault(fault.mend, set()).add(fault.unit)
                self.n_frame_faults[fault.unit] += fault.mend == "frame"

    def extend(self, faults: Iterable[Fault]) -> None:
        """The same, of many."""
        self.add(*faults)

    @property
    def n(self) -> int:
        """Faults of all checks."""
        return self.n_faults.total()

    def of(self, check: str) -> list[Fault]:
        """Those of one check."""
        return [fault for fault in self.faults if fault.check == check]

    def without(self, units: Collection[str]) -> Findings:
        """The faults of other units alone, and what is of none; what was looked at is not told."""
        rest = Findings(reviewed=self.reviewed, notes=self.notes)
        rest.faults = [fault for fault in self.faults if fault.unit not in units]
        rest.n_faults.update(fault.check for fault in rest.faults)
        rest.units = {mend: held - set(units) for mend, held in self.units.items()}
        rest.n_frame_faults.update({u: n for u, n in self.n_frame_faults.items() if u not in units})
        return rest

    def mended_by(self, *mends: Mend) -> list[Fault]:
        """Those that are mended in one of these ways."""
        return [fault for fault in self.faults if fault.mend in mends]
