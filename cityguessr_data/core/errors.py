"""Every error this project raises on purpose, and what each means for the run.

CgtoolError                 message: what happened; hint: what to do. One line each.
├── InputError              the user's table, option or OUT is not fit; nothing was started   exit 2
│   ├── TableError          a sources or taxonomy table, with every fault and its line
│   ├── SourceError         a data set to import, with every fault and its path (importers/found.py)
│   └── FramesError         frames that cannot be exported, each with what is wrong (publish/frames.py)
├── MachineError            this machine is not fit (weights, disk rights, a library)         exit 2
│   └── WeightsError        a weights file is missing or is not the file it should be
├── StopError               the run stopped early and can be resumed                          exit 3
│   └── DiskFullError       no space left where we write
└── VideoError              one video failed; the run goes on with the others
    └── MediaError          its file could not be decoded (class bad-media)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any


class ErrorClass(StrEnum):
    """Why a video failed. The first six are permanent: asking again gives the same answer, so it is not done."""

    REMOVED = "removed"
    PRIVATE = "private"
    AGE = "age"
    GEO = "geo"
    COPYRIGHT = "copyright"
    BAD_MEDIA = "bad-media"
    BOT_CHECK = "bot-check"
    NETWORK = "network"
    DETECTOR = "detector"  # detection could not run on it: fail closed, nothing of it was saved
    INTERNAL = "internal"  # a fault of ours or of a library, a worker that died

    @property
    def permanent(self) -> bool:
        """True where a retry is never made."""
        return self in _PERMANENT


_PERMANENT = frozenset(
    {
        ErrorClass.REMOVED,
        ErrorClass.PRIVATE,
        ErrorClass.AGE,
        ErrorClass.GEO,
        ErrorClass.COPYRIGHT,
        ErrorClass.BAD_MEDIA,
    }
)


class CgtoolError(Exception):
    """Base of all: `message` says what happened, `hint` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Its words and all it knows travel to another process, whatever its class is made from."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[CgtoolError], args: tuple[Any, ...], known: dict[str, Any]) -> CgtoolError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(known)
    return error


class InputError(CgtoolError):
    """The user's input is not fit; nothing was started."""

    exit_code = 2


class TableError(InputError):
    """A table with faults. `faults` holds (line number in the file, what is wrong), in file order."""

    def __init__(self, path: str, faults: Sequence[tuple[int, str]]) -> None:
        self.path = path
        self.faults = tuple(faults)
        n = len(self.faults)
        super().__init__(
            f"{path}: {n} fault{'s' if n != 1 else ''}",
            "Nothing was started: mend the table and run again",
        )


class MachineError(CgtoolError):
    """The machine is not fit; nothing was started."""

    exit_code = 2


class WeightsError(MachineError):
    """A weights file is missing, or its digest is not the pinned one."""


class StopError(CgtoolError):
    """The run stopped early; what is committed is kept, and the same command resumes."""

    exit_code = 3


class DiskFullError(StopError):
    """No space left on a disk we write to."""


class VideoError(CgtoolError):
    """One video failed; the others go on."""

    def __init__(self, error_class: ErrorClass, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.error_class = error_class


class MediaError(VideoError):
    """A file that is no video, or that breaks before a frame of it could be used."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(ErrorClass.BAD_MEDIA, message, hint)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILING = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def disk_full_stops(where: str) -> Iterator[None]:
    """Turn what the system says of a full or failing disk into a StopError, which ends the run.

    "No space left", "quota exceeded" and, of a limit on the size of files, "file too large" become DiskFullError.
    """
    try:
        yield
    except OSError as exc:
        stop = _disk_stop(exc, where)
        if stop is None:
            raise
        raise stop from exc


@contextmanager
def writing_stops(folder: Path) -> Iterator[None]:
    """The same for whatever is written under `folder`, and for rights that were taken away in the middle of a run.

    A disk that fails is often made read-only by the system. Errors that name a file elsewhere pass as they are.
    """
    try:
        yield
    except OSError as exc:
        stop = writing_stop(exc, folder)
        if stop is None:
            raise
        raise stop from exc


def writing_stop(error: BaseException, folder: Path) -> StopError | None:
    """What stops the run where an error says that `folder` cannot be written any more; None where it does not.

    What the system says of a write or a sync names no file: it counts for `folder`.
    """
    if not isinstance(error, OSError):
        return None
    named = error.filename
    if named is not None and (isinstance(named, int) or not Path(os.fsdecode(named)).is_relative_to(folder)):
        return None
    where = str(folder) if named is None else os.fsdecode(named)
    if error.errno in _REFUSED:
        where = where if named is None else str(Path(where).parent)  # its folder, not a file of a passing name
        hint = "Make it writable again, and run the same command again"
        return StopError(f"{where} can no longer be written ({error.strerror})", hint)
    return _disk_stop(error, where)


def system_refusal(error: BaseException) -> CgtoolError | None:
    """What the system says of a named file that may not be used, or of its disk, which is no fault of ours; else None.

    For what reached the end of a command: whoever knows what the file is for says it better.
    """
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes | os.PathLike):
        return None
    if error.errno not in _REFUSED | _FAILING | _FULL:
        return None
    return unfit_for_writing(error, os.fsdecode(error.filename), "Check who may read and write there", "used")


def unfit_for_writing(error: OSError, where: str, hint: str, doing: str = "written") -> CgtoolError:
    """What a first look at a place to write to ends in: DiskFullError where it is full, else MachineError."""
    stop = _disk_stop(error, where)
    if isinstance(stop, DiskFullError):
        return stop
    return MachineError(f"{where} cannot be {doing} ({error.strerror or error})", hint)


def _disk_stop(error: OSError, where: str) -> StopError | None:
    if error.errno == errno.EFBIG:
        return DiskFullError(
            f"{where} would be larger than a file may be here",
            "Raise the limit (`ulimit -f`) or write to another file system, and run the same command again",
        )
    if error.errno in _FULL:
        return DiskFullError(f"no space left while writing {where}", "Free some space and run the same command again")
    if error.errno in _FAILING:
        return StopError(
            f"{where} cannot be written ({error.strerror or error})",
            "The disk fails or has gone: see to it, and run the same command again",
        )
    return None
