"""Where the frames of one video are staged: in a folder a clip, or all in one tar (contract 4, `--layout`).

    staging/clips/<clip_id>/001.jpg     --layout folder
    staging/clips.tar                   --layout tar; until a clip is whole it lies in staging/clips/<clip_id>/

What comes here is blurred: the writers above take nothing else. A tar's bytes depend on its frames alone.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.atomic import sync_file, sync_folder
from ..core.errors import InputError, MediaError
from ..core.frame_files import MEMBER, FrameFiles, is_under
from ..core.sources import safe_id

Layout = Literal["folder", "tar"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


class ClipFrames(ABC):
    """The frames of one clip under way: files in a folder of its own. End it or drop it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    @abstractmethod
    def add(self, name: str, jpeg: bytes) -> str:
        """Keep a frame; returns its path for the frames table.

        Args:
            name: `parts.frame_name` of its position.
        """

    @abstractmethod
    def carry(self, name: str, files: FrameFiles, path: str) -> str:
        """Keep a frame that OUT has already, byte for byte; returns its path from now on.

        Raises:
            MediaError: it is gone.
        """

    @abstractmethod
    def end(self) -> None:
        """The clip is whole."""

    def drop(self) -> None:
        """Throw away what came."""
        shutil.rmtree(self.folder)


class FrameSink(ABC):
    """Takes the frames of one video; clips come to lie in the order in which they end."""

    def __init__(self, staging: Path, unit: str) -> None:
        self.folder = staging / "clips"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.unit = unit

    @abstractmethod
    def uri(self, clip_id: str) -> str:
        """`frames_uri` of a clip."""

    @abstractmethod
    def open(self, clip_id: str) -> ClipFrames:
        """Begin a clip. Several may be under way."""

    @abstractmethod
    def close(self) -> None:
        """Have all on the disk. No clip is under way any more."""


def frame_sink(layout: Layout, staging: Path, unit: str) -> FrameSink:
    """The sink of that layout."""
    return {"folder": FolderSink, "tar": TarSink}[layout](staging, unit)


def layout_of(dataset: Mapping[str, Any] | None) -> Layout:
    """How a data set keeps its frames, by its dataset.json; one that says nothing has folders.

    Raises:
        InputError: it names a layout that this version does not know.
    """
    told = (dataset or {}).get("layout", "folder")
    for layout in LAYOUTS:
        if told == layout:
            return layout
    raise InputError(f"dataset.json names the layout {told!r}, which is not known here", "Install a newer cgtool")


def chosen_layout(out: Path, dataset: Mapping[str, Any] | None, wanted: Layout | None, *, any_frames: bool) -> Layout:
    """The layout of a run that saves frames: the one asked for, else the data set's.

    Args:
        any_frames: whether the data set has frames of its own; until then any layout will do.
    Raises:
        InputError: another one than the data set's.
    """
    there = layout_of(dataset)
    if wanted is None or wanted == there or not any_frames:
        return wanted or there
    raise InputError(
        f"{out} has its frames in the layout {there}, and --layout {wanted} was asked for",
        "Leave --layout out, or build another --out from the same cache",
    )


class _FolderClip(ClipFrames):
    def __init__(self, folder: Path, uri: str) -> None:
        super().__init__(folder)
        self._uri = uri

    def add(self, name: str, jpeg: bytes) -> str:
        with (self.folder / name).open("xb") as f:
            f.write(jpeg)
            f.flush()
            os.fsync(f.fileno())
        return f"{self._uri}/{name}"

    def carry(self, name: str, files: FrameFiles, path: str) -> str:
        """A second name for the same file; a copy where the file system cannot."""
        _check_own(path)
        try:
            os.link(files.out / path, self.folder / name)
        except OSError:
            return self.add(name, _bytes_of(files, path))
        return f"{self._uri}/{name}"

    def end(self) -> None:
        sync_folder(self.folder)


class FolderSink(FrameSink):
    """A folder a clip."""

    def uri(self, clip_id: str) -> str:
        """That folder."""
        return f"clips/{self.unit}/{clip_id}"

    def open(self, clip_id: str) -> ClipFrames:
        """See FrameSink."""
        return _FolderClip(self.folder / clip_id, self.uri(clip_id))

    def close(self) -> None:
        """See FrameSink."""
        sync_folder(self.folder)


class _TarClip(ClipFrames):
    def __init__(self, folder: Path, tar: Path, uri: str) -> None:
        super().__init__(folder)
        self._tar, self._uri = tar, uri
        self._key = safe_id(folder.name)

    def add(self, name: str, jpeg: bytes) -> str:
        with (self.folder / name).open("xb") as f:  # not worth an fsync: the tar gets one
            f.write(jpeg)
        return f"{self._uri}{MEMBER}{self._key}.{name}"

    def carry(self, name: str, files: FrameFiles, path: str) -> str:
        _check_own(path)
        return self.add(name, _bytes_of(files, path))

    def end(self) -> None:
        for path in sorted(self.folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            append_member(self._tar, f"{self._key}.{path.name}", path.read_bytes())
        if self._tar.exists():  # clip by clip: all of it at the end could take longer than a worker may be silent
            sync_file(self._tar)
        shutil.rmtree(self.folder)


class TarSink(FrameSink):
    """One tar, a WebDataset sample a clip: `<clip_id>.001.jpg`, where the id has other characters its safe form."""

    def __init__(self, staging: Path, unit: str) -> None:
        super().__init__(staging, unit)
        self.tar = staging / "clips.tar"

    def uri(self, clip_id: str) -> str:
        """That tar."""
        return f"clips/{self.unit}.tar"

    def open(self, clip_id: str) -> ClipFrames:
        """See FrameSink."""
        return _TarClip(self.folder / clip_id, self.tar, self.uri(clip_id))

    def close(self) -> None:
        """See FrameSink. Without a clip there is no tar, and an empty folder that takes the place of an earlier one."""
        if self.tar.exists():
            end_tar(self.tar)
            self.folder.rmdir()


def append_member(tar: Path, name: str, content: bytes) -> None:
    """Add a file to a tar that is not ended yet; its time and owner are 0."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    with tar.open("ab") as f:
        f.write(info.tobuf(tarfile.PAX_FORMAT))
        f.write(content)
        f.write(bytes(-len(content) % tarfile.BLOCKSIZE))


def end_tar(tar: Path) -> None:
    """Write the two empty blocks that end a tar, fill its last record, and have it on the disk."""
    end_bytes = 2 * tarfile.BLOCKSIZE
    with tar.open("ab") as f:
        f.write(bytes(end_bytes + -(f.tell() + end_bytes) % tarfile.RECORDSIZE))
    sync_file(tar)


def _check_own(path: str) -> None:
    """See that a frame lies under OUT, where all are blurred: nothing else may be carried over."""
    if not is_under(path):
        raise ValueError(f"the frame {path} lies outside of the data set")


def _bytes_of(files: FrameFiles, path: str) -> bytes:
    try:
        return files.read(path)
    except FileNotFoundError as exc:
        raise MediaError(f"{files.out / path} is gone", "Restore it, or run `cgtool build-dataset` anew") from exc
