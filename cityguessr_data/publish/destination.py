"""The folder of an export: files that are whole or absent, each noted with its digest, so that a killed export goes on.

While an export is under way, DEST/.export/plan.json says what it is and which files are finished. At the end SHA256SUMS
and export.json are written and .export/ goes: export.json is the mark of an export that is done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.atomic import partial_name, sync_file, sync_folder, write_bytes, write_json
from ..core.errors import InputError, MachineError, disk_full_stops
from ..core.fingerprint import file_sha256

SUMS = "SHA256SUMS"
NOTE = "export.json"
_WORK = ".export"
_NAMED = 3


@dataclass(frozen=True)
class Written:
    """A finished file."""

    sha256: str
    n_bytes: int


class Destination:
    """DEST while it is filled. Make it with `open_destination`."""

    def __init__(self, folder: Path, fingerprint: str, day: str, files: dict[str, Written], made: bool = False) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.day = day
        """YYYY-MM-DD, when the export began."""
        self.files = files
        """Finished files by name, with `/` between folders."""
        self._made = made

    def has(self, name: str) -> bool:
        """Whether a file is finished already."""
        written = self.files.get(name)
        path = self.folder / name
        return written is not None and path.is_file() and path.stat().st_size == written.n_bytes

    def write(self, name: str, writer: Callable[[Path], None]) -> Written:
        """Have `writer` write a file under a temporary name, put it in place and note its digest.

        Raises:
            DiskFullError: no space left; the file is not there.
            MachineError: the folder cannot be written.
        """
        path = self.folder / name
        partial = partial_name(path)
        with writable(path), disk_full_stops(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                writer(partial)
                sync_file(partial)
                written = Written(file_sha256(partial), partial.stat().st_size)
                partial.replace(path)
                self.files[name] = written  # it is there, whatever fails from here on
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(path.parent)
        self._note()
        return written

    def work(self, name: str) -> Path:
        """A place for what is needed while the export is made; it goes with the rest of DEST/.export/."""
        return self.folder / _WORK / name

    def write_text(self, name: str, text: str) -> Written:
        """A file of UTF-8 text."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> Written:
        """A file of these bytes."""

        def fill(path: Path) -> None:
            path.write_bytes(content)

        return self.write(name, fill)

    def finish(self, note: Mapping[str, Any]) -> None:
        """Write SHA256SUMS and export.json; from then on the export is done.

        Raises:
            DiskFullError: no space left; the same command finishes it.
        """
        sums = "".join(f"{written.sha256}  {name}\n" for name, written in sorted(self.files.items()))
        with writable(self.folder), disk_full_stops(str(self.folder)):
            write_bytes(self.folder / SUMS, sums.encode())
            write_json(self.folder / NOTE, {**note, "fingerprint": self.fingerprint})
            shutil.rmtree(self.folder / _WORK)
            sync_folder(self.folder)

    def leave(self) -> None:
        """After a failure: where no file was finished, leave nothing behind, not even an empty folder."""
        if not self.files:
            shutil.rmtree(self.folder / _WORK, ignore_errors=True)
            folders = sorted((path for path in self.folder.rglob("*") if path.is_dir()), reverse=True)
            for folder in [*folders, *([self.folder] if self._made else [])]:
                with suppress(OSError):  # something else lies there by now
                    folder.rmdir()

    def _note(self) -> None:
        files = {name: [written.sha256, written.n_bytes] for name, written in self.files.items()}
        plan = {"fingerprint": self.fingerprint, "day": self.day, "files": files}
        write_json(self.folder / _WORK / "plan.json", plan)


def open_destination(folder: Path, out: Path, fingerprint: str, day: str) -> Destination | None:
    """A folder to fill, or one that this export has begun to fill; None where the export is done already.

    Args:
        fingerprint: of all that determines the export.
        day: today, YYYY-MM-DD.
    Raises:
        InputError: the folder holds something else, lies in OUT or OUT in it; or the export that is done is damaged.
        MachineError: it cannot be written.
    """
    check_apart(folder, out)
    with writable(folder), disk_full_stops(str(folder)):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file", "Name a folder that is not there yet")
        if (folder / NOTE).is_file():
            _check_done(folder, fingerprint)
            return None
        plan = _plan(folder)
        if plan is None and folder.exists() and any(_is_of_others(path) for path in folder.iterdir()):
            raise InputError(f"{folder} is not empty, and holds no export", "Name a folder that is not there yet")
        if plan is not None and plan["fingerprint"] != fingerprint:
            raise InputError(
                f"{folder} holds the beginning of another export (of other data, or with other options)",
                "Delete it, or name another folder",
            )
        made = not folder.exists()
        files = {name: Written(*told) for name, told in (plan or {}).get("files", {}).items()}
        destination = Destination(folder, fingerprint, (plan or {}).get("day", day), files, made)
        for leftover in folder.rglob(".*.partial"):
            leftover.unlink(missing_ok=True)
        destination._note()
        with suppress(OSError):
            sync_folder(folder.parent)
    return destination


def _is_of_others(path: Path) -> bool:
    """Whether something in a folder is more than what a failing disk let an export leave behind."""
    if path.is_dir() and not path.is_symlink():
        return path.name != _WORK and any(_is_of_others(inside) for inside in path.iterdir())
    return not (path.name.startswith(".") and path.name.endswith(".partial"))


def check_apart(place: Path, out: Path) -> None:
    """Refuse an export inside OUT, and one that OUT lies in.

    Raises:
        InputError: they lie in one another.
    """
    there, here = place.resolve(), out.resolve()
    if there == here or here in there.parents or there in here.parents:
        raise InputError(f"{place} and the data set {out} lie in one another", "Name a folder outside of it")


def read_sums(folder: Path) -> dict[str, str]:
    """SHA256SUMS: name -> digest."""
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _check_done(folder: Path, fingerprint: str) -> None:
    """See that the export that is there is this one, and that its files are as they were.

    Raises:
        InputError: it is not, or they are not.
    """
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        told, sums = note["fingerprint"], read_sums(folder)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as exc:
        raise InputError(f"{folder}/{NOTE} or {SUMS} is damaged", "Name another folder") from exc
    if told != fingerprint:
        raise InputError(
            f"{folder} holds another export (of other data, of another version, or with other options)",
            "Name another folder, or delete this one",
        )
    bad = [name for name, digest in sums.items() if not _is_whole(folder / name, digest)]
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise InputError(
            f"the export in {folder} is done, but changed since: {', '.join(bad[:_NAMED])}{more}",
            f"Delete {folder} and export again",
        )
    shutil.rmtree(folder / _WORK, ignore_errors=True)  # killed between the mark and this


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest


def _plan(folder: Path) -> dict[str, Any] | None:
    path = folder / _WORK / "plan.json"
    if not path.is_file():
        return None
    try:
        plan = dict(json.loads(path.read_text(encoding="utf-8")))
        plan["fingerprint"]
    except (ValueError, KeyError) as exc:
        raise InputError(f"{path} is damaged", f"Delete {folder} and export again") from exc
    return plan


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """What the system refuses is no fault of cgtool; a full disk is told apart by `disk_full_stops`, inside of this."""
    try:
        yield
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise MachineError(f"{path} cannot be written ({why})", "Name a place that you may write to") from exc
