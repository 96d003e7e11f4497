"""How files travel between nodes that share no disk: in blocks, so that neither side holds a whole video in memory.

Nothing here knows Ray. A source goes to the node that computes it, and is recognised where that node sees the very same
file; a staged folder of blurred frames and tables comes back as pieces of its files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.atomic import sync_folder

BLOCK_BYTES = 8 << 20
"""Large enough for a fast network, small enough for an object store of 100 MB with a dozen workers."""
_END_BYTES = 1 << 16


@dataclass(frozen=True)
class FileMark:
    """What two nodes compare to know that a path names the same file on both.

    A disk that both mount gives the same inode; a copy made on another disk has another, and is sent rather than
    trusted. The ends are compared as well, for disks that number their files alike.
    """

    path: Path
    size: int
    mtime_ns: int
    inode: int
    ends_sha256: str

    @classmethod
    def of(cls, path: Path) -> FileMark:
        """Of a file that this process sees.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        found, ends = path.stat(), hashlib.sha256()
        with path.open("rb") as f:
            ends.update(f.read(_END_BYTES))
            f.seek(max(0, found.st_size - _END_BYTES))
            ends.update(f.read(_END_BYTES))
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino, ends.hexdigest())

    def holds(self) -> bool:
        """Whether this process sees that very file under that path."""
        try:
            return FileMark.of(self.path) == self
        except OSError:
            return False


def blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """A file's bytes, one block after the other; one empty block of an empty file."""
    with path.open("rb") as f:
        block = f.read(block_bytes)
        yield block
        while block := f.read(block_bytes):
            yield block


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file in a folder, and where in the file they belong."""

    name: str
    """Relative to the folder, with forward slashes; it ends in one where it is an empty folder."""
    offset: int
    content: bytes
    last: bool = True
    """Whether the file ends with it."""


def pieces(folder: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[list[Piece]]:
    """All of a folder, in lists of about `block_bytes`: many small files share one, a large one fills several."""
    held: list[Piece] = []
    room = block_bytes
    for path in sorted(folder.rglob("*")):
        name, offset = path.relative_to(folder).as_posix(), 0
        if path.is_dir():
            held += [] if any(path.iterdir()) else [Piece(f"{name}/", 0, b"")]
            continue
        size = path.stat().st_size
        for block in blocks(path, block_bytes):
            if held and len(block) > room:
                yield held
                held, room = [], block_bytes
            held.append(Piece(name, offset, block, offset + len(block) >= size))
            offset, room = offset + len(block), room - len(block)
    if held:
        yield held


def write_pieces(folder: Path, received: Iterable[Piece]) -> None:
    """Write pieces, in the order in which `pieces` gave them, into a folder that is made where it is absent.

    A file is on the disk when its last piece is: the time that this takes is spread over the calls.

    Raises:
        ValueError: a name that leads out of the folder or to no file in it, or a piece that does not follow on the one
            before.
        OSError: the folder cannot be written.
    """
    for piece in received:
        path, parts = folder / piece.name, PurePosixPath(piece.name).parts
        if not parts or Path(piece.name).is_absolute() or ".." in parts:
            raise ValueError(f"a staged file is named {piece.name!r}, which is no name in its folder")
        if piece.name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if piece.offset else "xb") as f:
            if f.tell() != piece.offset:
                raise ValueError(f"{piece.name}: a piece for byte {piece.offset} came when {f.tell()} were there")
            f.write(piece.content)
            if piece.last:
                f.flush()
                os.fsync(f.fileno())


def settle_on_disk(folder: Path) -> None:
    """Have the names in a received folder on the disk before it is committed; its files are (`write_pieces`)."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
    sync_folder(folder)
