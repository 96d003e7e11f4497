"""The JPEGs of a data set as an export takes them: each one's bytes are checked against the digest in the tables.

An export has every frame or it is not made: what is missing or differs is found, all of it, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.frame_files import FrameFiles, is_under
from ..run.store import Store, read_part
from .clip import ExportClip

Row = dict[str, Any]

COLUMNS = ["clip_id", "position", "frame_index", "timestamp_s", "path", "sha256"]
_NAMED = 3


class FramesError(InputError):
    """Frames are missing or are not those of the tables. `faults` holds each with what is wrong, in their order."""

    def __init__(self, out: Path, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        n, more = len(faults), f"; and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else ""
        self.brief = f"{n:,} frame{'s' if n > 1 else ''} of {out} cannot be exported"
        """For where the faults are listed anyway."""
        super().__init__(
            f"{self.brief}: {'; '.join(faults[:_NAMED])}{more}", "Put them back, or build these videos again"
        )


def clip_digest(sha256s: Iterable[str]) -> str:
    """What a clip's saved frames come to: SHA-256 over their digests in hex, a line each, by position."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sha256s).encode()).hexdigest()


def size_of(files: FrameFiles, row: Mapping[str, Any]) -> int:
    """Bytes of a frame.

    Raises:
        ValueError: why it cannot be exported.
    """
    if not row["sha256"]:
        raise ValueError("the tables have no digest of it")
    try:
        return files.size(_checked(row["path"]))
    except OSError as exc:
        raise ValueError(exc.strerror or str(exc)) from exc


def read_frame(files: FrameFiles, row: Mapping[str, Any]) -> bytes:
    """The JPEG of a frame, which is the one that the tables name.

    Raises:
        ValueError: why it cannot be exported.
    """
    try:
        content = files.read(_checked(row["path"]))
    except OSError as exc:
        raise ValueError(exc.strerror or str(exc)) from exc
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise ValueError("its bytes are not those that the tables name")
    return content


def _checked(path: str) -> str:
    """A frame's path, which stays under OUT.

    Raises:
        ValueError: it does not.
    """
    if not is_under(path):
        raise ValueError("its path leads out of the data set")
    return path


class FrameReader:
    """Gives the frames of one clip after the other; clips of one unit are best asked for together."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.files = FrameFiles(store.out)
        self._unit = ""
        self._rows: dict[str, list[Row]] = {}

    def rows(self, unit: str, clip_id: str) -> list[Row]:
        """The frames rows of a clip (COLUMNS), by position."""
        if self._unit != unit:
            self._rows = rows_of(self.store, unit)
            self._unit = unit
        return self._rows[clip_id]

    def read(self, unit: str, clip_id: str) -> list[bytes]:
        """The JPEGs of a clip, by position.

        Raises:
            FramesError: with every frame of the clip that is missing or differs.
        """
        faults, contents = [], []
        for row in self.rows(unit, clip_id):
            try:
                contents.append(read_frame(self.files, row))
            except ValueError as exc:
                faults.append(f"{row['path']}: {exc}")
        if faults:
            raise FramesError(self.store.out, faults)
        return contents

    def read_all(self, clips: Iterable[ExportClip]) -> Iterator[tuple[ExportClip, list[bytes]]]:
        """Clip after clip with its JPEGs.

        Raises:
            FramesError: with every frame of all these clips that is missing or differs; from the first of them on,
                nothing more is given.
        """
        faults: list[str] = []
        for clip in clips:
            try:
                jpegs = self.read(clip.unit, clip.clip_id)
            except FramesError as exc:
                faults += exc.faults
            else:
                if not faults:
                    yield clip, jpegs
        if faults:
            raise FramesError(self.store.out, faults)


def rows_of(store: Store, unit: str) -> dict[str, list[Row]]:
    """The frames rows of a unit (COLUMNS) by clip, each by position."""
    rows: dict[str, list[Row]] = {}
    for row in read_part(store.part("frames", unit), COLUMNS).to_pylist():
        rows.setdefault(row["clip_id"], []).append(row)
    for held in rows.values():
        held.sort(key=lambda row: row["position"])
    return rows
