"""Where the bytes of a saved frame are: the one reader of the `path` column of the frames table.

    clips/<video_id>/<clip_id>/001.jpg      a file, relative to the output directory (--layout folder)
    clips/<video_id>.tar#<clip_id>.001.jpg  a member of a tar (--layout tar); tars are not compressed
    /data/set/001.jpg                       an imported frame, where it lies

A tar's table of contents is read once, by its headers alone, and a member's bytes from their place. Where the output
directory works for an object store, what is not on the local disk is read from there (core/remote/frames.py).
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from .remote.place import url_of

if TYPE_CHECKING:
    from .remote.frames import RemoteFrames

MEMBER = "#"
"""Between a tar's path and the name of its member."""
_KEPT_TARS = 16


def split_member(path: str) -> tuple[str, str | None]:
    """The file that a path names, and the member of it where that is a tar.

    Tars lie under OUT, and no name of a member has a `/`: the folder of an imported frame may be called anything.
    """
    file, mark, member = path.rpartition(f".tar{MEMBER}")
    if not mark or "/" in member or PurePosixPath(path).is_absolute():
        return path, None
    return f"{file}.tar", member


def is_under(path: str) -> bool:
    """Whether a path stays under the output directory: relative, and never upwards."""
    parts = PurePosixPath(split_member(path)[0])
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts


@dataclass(frozen=True)
class _Index:
    """What a tar holds."""

    mark: tuple[int, int]
    """Of the file that was read: other bytes, other mark."""
    places: Mapping[str, tuple[int, int]]
    """Member -> (offset of its bytes, how many), in the order of the tar; whole members only."""
    fault: str | None
    """Why the rest of it cannot be read."""


class FrameFiles:
    """Reads frames of one output directory. May be shared by threads."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._indexes: OrderedDict[str, _Index] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: str) -> bytes:
        """The bytes of a frame.

        Raises:
            OSError: it is not there, or cannot be read; FileNotFoundError also where its tar has no such member.
        """
        file, member = split_member(path)
        if member is None:
            with self._open(file) as stream:
                return stream.read()
        offset, size = self._place(file, member)
        with self._open(file) as stream:
            stream.seek(offset)
            content = stream.read(size)
        if len(content) != size:
            raise OSError(errno.EIO, "it ends within this frame", str(self.out / file))
        return content

    def size(self, path: str) -> int:
        """Bytes of a frame, without reading it.

        Raises:
            OSError: as `read`; of class OSError itself where it is no regular file.
        """
        file, member = split_member(path)
        return self._stat(file)[0] if member is None else self._place(file, member)[1]

    def members(self, file: str) -> list[str]:
        """The names in a tar, in their order.

        Raises:
            OSError: it is not there, or is no whole tar.
        """
        index = self._index(file)
        if index.fault is not None:
            raise OSError(errno.EINVAL, f"it is no whole tar ({index.fault})", str(self.out / file))
        return list(index.places)

    def stream(self, file: str) -> BinaryIO:
        """A file that holds frames, such as a tar with all that is in it, for reading.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        return self._open(file)

    @cached_property
    def _remote(self) -> RemoteFrames | None:
        """Where this folder works for an object store."""
        if url_of(self.out) is None:
            return None
        from .remote.frames import RemoteFrames  # loads fsspec

        return RemoteFrames(self.out)

    def _open(self, file: str) -> BinaryIO:
        """A file that holds frames, for reading: with `_stat`, all that touches the disk here."""
        try:
            return _open_regular(self.out / file)
        except FileNotFoundError:
            if self._remote is None or not is_under(file):
                raise
            return self._remote.open(file)

    def _stat(self, file: str) -> tuple[int, int]:
        """(bytes, time of the last change in ns) of a file. A frame that is a link of its own is none; a tar may be."""
        path = self.out / file
        try:
            found = path.stat() if path.suffix == ".tar" else path.lstat()
        except FileNotFoundError:
            if self._remote is None or not is_under(file):
                raise
            return self._remote.stat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return found.st_size, found.st_mtime_ns

    def _place(self, file: str, member: str) -> tuple[int, int]:
        index = self._index(file)
        if (found := index.places.get(member)) is None:
            why = "" if index.fault is None else f"; it is no whole tar ({index.fault})"
            raise FileNotFoundError(errno.ENOENT, f"its tar has no member {member}{why}", str(self.out / file))
        return found

    def _index(self, file: str) -> _Index:
        mark = self._stat(file)
        with self._lock:
            held = self._indexes.get(file)
            if held is None or held.mark != mark:
                with self._open(file) as stream:
                    held = self._indexes[file] = _read_index(stream, mark)
                while len(self._indexes) > _KEPT_TARS:
                    self._indexes.popitem(last=False)
            self._indexes.move_to_end(file)
            return held


def _open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe in its place would have the reader wait for ever.

    Raises:
        OSError: it is not there, or is no regular file.
    """
    waits_not = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    stream = os.fdopen(os.open(path, os.O_RDONLY | waits_not), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return stream


def _read_index(stream: BinaryIO, mark: tuple[int, int]) -> _Index:
    places: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r:") as opened:
            for info in opened:
                if info.isreg() and not info.issparse():
                    if info.offset_data + info.size > mark[0]:
                        return _Index(mark, places, f"it ends within {info.name}")
                    places[info.name] = (info.offset_data, info.size)
    except tarfile.TarError as exc:
        return _Index(mark, places, str(exc))
    return _Index(mark, places, None)
