"""Frames of a data set on an object store: what lies there under clips/ is what rows name, and lies there indeed.

Reading takes a frame from this machine where it has one; others have only what lies there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import PurePosixPath

from ..core.frame_files import split_member
from ..run.store import Store
from .findings import Fault, Findings, Mend
from .orphans import UNKNOWN_HINT
from .own import is_own_frame
from .unit import UnitTables

_CHECK = "orphans"


class StoredFrames:
    """All names under clips/ there, listed once: about 100 bytes a frame."""

    def __init__(self, store: Store, findings: Findings) -> None:
        self.findings = findings
        self._by_unit: dict[str, list[str]] = defaultdict(list)
        if store.copy is not None:
            for name in sorted(store.copy.remote.list("clips")):
                self._by_unit[PurePosixPath(name).parts[1].removesuffix(".tar")].append(name)
        self.store = store

    def check(self, unit: UnitTables) -> None:
        """What lies there of a committed unit."""
        if self.store.copy is None:
            return
        there = set(self._by_unit.pop(unit.name, ()))
        named, clips = {split_member(path)[0] for path in unit.frames["path"]}, {c["clip_id"] for c in unit.clips}
        for path in sorted({path for path in named if path.startswith("clips/")} - there):
            if (self.store.out / path).exists():  # else it is told as missing
                what = "lies on this machine alone, not on the object store"
                is_tar = path.endswith(".tar")
                self.findings.add(Fault("frames", path, what, "redo" if is_tar else "frame", unit.name))
        for path in sorted(there - named):
            own = is_own_frame(path, unit.name, clips)
            hint = "" if own else UNKNOWN_HINT
            self._stray(path, "delete" if own else "person", unit.name, hint)
        self.findings.looked(_CHECK, len(there))

    def end(self, names: Collection[str]) -> None:
        """Every unit was given; the rest is of none.

        Args:
            names: of the units that could not be looked at: nothing is told of theirs.
        """
        for unit, paths in sorted(self._by_unit.items()):
            if unit not in names:
                self.findings.looked(_CHECK, len(paths))
                for path in paths:
                    self._stray(path, "person", None, UNKNOWN_HINT)

    def _stray(self, path: str, mend: Mend, unit: str | None, hint: str) -> None:
        self.findings.add(Fault(_CHECK, path, "lies on the object store, and no row names it", mend, unit, hint))
