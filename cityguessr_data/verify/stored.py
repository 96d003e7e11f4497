"""A data set on an object store: frames that rows name lie there, and nothing lies there that has no place in it.

Reading takes a frame from this machine where it has one; others have only what lies there.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import groupby

from ..core.frame_files import split_member
from ..core.remote.objects import Remote
from ..run.remote.working_copy import is_synced
from ..run.store import Store
from .findings import Fault, Findings, Mend
from .orphans import UNKNOWN_HINT
from .own import is_own_frame
from .unit import UnitTables

_CHECK = "orphans"
_OURS = (".cgtool/lock/", ".cgtool/ready/")
"""Of writers at work, or killed: the next one clears them."""
_ELSEWHERE_HINT = "cgtool never writes one there: see what it shows, and delete it or move it out"
_NO_RIGHT = (
    "the store does not let this key look for unfinished uploads in parts, which cost money: let it "
    "(s3:ListBucketMultipartUploads), or have a lifecycle rule end them"
)


class StoredFrames:
    """All names there, listed once, page by page; those under clips/ are kept, packed: some 10 bytes a frame."""

    def __init__(self, store: Store, findings: Findings) -> None:
        self.store, self.findings = store, findings
        self._by_unit: dict[str, list[bytes]] = defaultdict(list)
        self._elsewhere: list[str] = []
        if store.copy is not None:
            self._list(store.copy.remote)

    def _list(self, remote: Remote) -> None:
        for page in remote.pages():
            frames = []
            for name in sorted(page):
                if name.startswith("clips/"):
                    frames.append(name)
                elif not is_synced(name) and not name.startswith(_OURS):
                    self._elsewhere.append(name)
            for unit, names in groupby(frames, _unit):
                self._by_unit[unit].append(zlib.compress("\0".join(names).encode("utf-8", "surrogatepass"), 1))
        left = remote.uploads()
        if left is None:
            self.findings.notes.append(_NO_RIGHT)
        elif left:
            told = f"{len(left):,} uploads in parts were begun and not ended, which costs money"
            self.findings.notes.append(f"{told}: the next command that writes ends those that nobody works on")

    def check(self, unit: UnitTables) -> None:
        """What lies there of a committed unit."""
        if self.store.copy is None:
            return
        there = set(_unpacked(self._by_unit.pop(unit.name, ())))
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
        for unit, packed in sorted(self._by_unit.items()):
            if unit not in names:
                paths = _unpacked(packed)
                self.findings.looked(_CHECK, len(paths))
                for path in paths:
                    self._stray(path, "person", None, UNKNOWN_HINT)
        for path in self._elsewhere:
            self.findings.looked(_CHECK)
            self._stray(path, "person", None, _ELSEWHERE_HINT)

    def _stray(self, path: str, mend: Mend, unit: str | None, hint: str) -> None:
        self.findings.add(Fault(_CHECK, path, "lies on the object store, and no row names it", mend, unit, hint))


def _unit(name: str) -> str:
    """Of a name under clips/."""
    return name.split("/")[1].removesuffix(".tar")


def _unpacked(packed: Iterable[bytes]) -> list[str]:
    return [n for some in packed for n in zlib.decompress(some).decode("utf-8", "surrogatepass").split("\0")]
