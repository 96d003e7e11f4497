"""Frames that lie on an object store: one by one as they are asked for, and tars whole, a few of them at a time.

Most commands that read one frame of a tar read them all, so a tar is brought to the local disk and read there.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..errors import MachineError
from .objects import Entry, of

Got = TypeVar("Got")

_TARS = 4
"""Kept on the local disk."""
_FOLDERS = 8
"""Listings kept in memory."""


def fetched_folder(out: Path) -> Path:
    """Where tars of `out` are kept for a while: beside it, so that they are no part of the data set."""
    return out.with_name(f"{out.name}.fetched")


class RemoteFrames:
    """Reads files below `clips/` of the object store that `out` works for. May be shared by threads."""

    def __init__(self, out: Path) -> None:
        self._out = out
        remote = of(out)
        if remote is None:
            raise MachineError(f"{out} works for no url", "Name the url itself")
        self._remote = remote
        self._listings: OrderedDict[str, dict[str, Entry]] = OrderedDict()
        self._tars: dict[str, Path] = {}
        self._lock = threading.Lock()

    def open(self, file: str) -> BinaryIO:
        """A file for reading.

        Raises:
            FileNotFoundError: it is not there.
            MachineError, StopError: the object store refuses, or does not answer.
        """
        if file.endswith(".tar"):
            return self._of_tar(file, lambda path: path.open("rb"))
        for name in self._names(file):
            try:
                return io.BytesIO(self._remote.read(name))
            except FileNotFoundError:
                continue
        raise self._lacks(file)

    def stat(self, file: str) -> tuple[int, int]:
        """(bytes, what changes with them), as FrameFiles wants it."""
        if file.endswith(".tar"):
            found = self._of_tar(file, lambda path: path.stat())
            return found.st_size, found.st_mtime_ns
        for name in self._names(file):
            if (entry := self._listed(name.rpartition("/")[0]).get(name)) is not None:
                return entry.size, 0
        raise self._lacks(file)

    def _names(self, file: str) -> list[str]:
        """Where it may be: first where a replacement waits that is decided and not finished (run/remote/pulling.py)."""
        try:
            decided = json.loads((self._out / ".cgtool" / "decided.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return [file]
        return [decided[file], file] if file in decided else [file]

    def _listed(self, folder: str) -> dict[str, Entry]:
        with self._lock:
            if folder not in self._listings:
                self._listings[folder] = self._remote.list(folder)
                while len(self._listings) > _FOLDERS:
                    self._listings.popitem(last=False)
            return self._listings[folder]

    def _of_tar(self, file: str, look: Callable[[Path], Got]) -> Got:
        for _ in range(3):  # another process may make room, or commit another one, in this moment
            with suppress(FileNotFoundError):
                return look(self._tar(file))
        raise self._lacks(file)

    def _tar(self, file: str) -> Path:
        """The tar on the local disk, fetched where it is not there yet."""
        with self._lock:
            held = self._tars.get(file)
            if held is not None and held.exists():
                return held
            for name in self._names(file):
                entry = self._remote.info(name)
                if entry is not None:
                    break
            else:
                raise self._lacks(file)
            digest = hashlib.sha256(f"{name} {entry.token}".encode()).hexdigest()[:24]
            target = fetched_folder(self._out) / f"{digest}.tar"
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                oldest = sorted(target.parent.glob("[!.]*.tar"), key=lambda path: path.stat().st_mtime_ns)
                for path in oldest[: max(0, len(oldest) - _TARS + 1)]:
                    path.unlink(missing_ok=True)
                self._remote.get(name, target)
            self._tars[file] = target
            return target

    def _lacks(self, file: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, "it is not there", f"{self._remote.url}/{file}")
