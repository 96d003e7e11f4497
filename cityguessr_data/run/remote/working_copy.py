"""The local side of an output directory on an object store: tables as files, frames not at all.

Whoever writes holds the lease (lock.py), takes over what changed there, works on local files as ever, and sends
what changed here: before each commit and at the end. Of a file that changed on both sides the remote's counts, and ours
is set aside. Only what is listed in `is_synced` ever travels, and frames by `push_unit` alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from ...core.atomic import write_bytes, write_json
from ...core.errors import CgtoolError, InputError, StopError
from ...core.remote.frames import fetched_folder
from ...core.remote.objects import Remote
from ...core.schemas import UNIT_TABLES
from .commit import md5_of, push_unit, recover
from .journal import Journal, Known
from .lock import Lease
from .pulling import fetch_changes

_FOLDERS = ("manifests", "splits", "parts", ".cgtool/exports", ".cgtool/originals", ".cgtool/review")
_ENDINGS = (".parquet", ".json", ".jsonl", ".md", ".html", ".csv", ".txt", ".R")
_OWN = frozenset({".cgtool/assembled.parquet", ".cgtool/preview.json"})
"""They compare time stamps of this machine's files."""
_SENT_FIRST = ("clips", "frames", "faces")
"""Tables whose parts change by a commit alone, which is made there before it is made here."""
_ORDER = (
    "parts/tombstones/", "parts/", ".cgtool/", "splits/", "preview.", "manifests/frames", "manifests/faces",
    "manifests/attempts", "manifests/videos", "manifests/", "", "CHANGELOG.md", "dataset.json",
)  # fmt: skip
"""What is sent first: what was removed before anything is; the version and the counts when all else is there."""


class WorkingCopy:
    """A local folder that works for `remote`."""

    def __init__(self, out: Path, remote: Remote) -> None:
        self.out = out
        self.remote = remote
        self.work = out / ".cgtool"
        self._journal = Journal(self.work / "journal.jsonl")
        self._present: set[str] = set()
        """Names that both sides had when the lease was taken, or that were sent since."""
        self._tokens: dict[str, str] = {}
        """Of parts that lie there and are not moved to their places here yet."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lease and be up to date inside; at the end, what changed is sent. The local lock is held already.

        Raises:
            InputError: another machine is writing.
            MachineError, StopError: the store refuses, or does not answer.
        """
        lease = Lease(Remote(self.remote.url), self._owner())
        with self._alone():
            self._journal.load()
            is_ours = lease.acquire()
            self.remote.before_write = lease.check
            try:
                if not is_ours:  # what was decided here and not sent was decided about another state
                    shutil.rmtree(self.work / "ready", ignore_errors=True)
                self.remote.end_uploads()
                recover(self.remote)
                self._take_over()
                self._present = {name for name in self._journal.names() if (self.out / name).exists()}
            except BaseException:
                _let_go(lease)
                raise
        try:
            yield
            self.push()
        except StopError:
            _let_go(lease)
            raise
        except BaseException:
            with suppress(CgtoolError):
                self.push()
            _let_go(lease)
            raise
        lease.release()

    def refresh(self) -> None:
        """Take over what changed there, for a command that only reads. Nothing to do where this machine is writing."""
        with self._alone():
            lock = filelock.FileLock(self.work / "lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                return
            lock.release()
            self._journal.load()
            self._take_over()

    def push_unit(self, ready: Path) -> None:
        """Send all that changed, then make a ready video the committed one; its local frames are dropped then."""
        self.push()
        unit = ready.name
        frames = self.out / "parts" / "frames" / f"{unit}.parquet"
        is_there = self._journal.get(f"parts/clips/{unit}.parquet") is not None
        self._tokens = push_unit(self.remote, ready, frames if is_there and frames.exists() else None)
        for name in self._tokens:
            self._journal.doubt(name)
        shutil.rmtree(fetched_folder(self.out), ignore_errors=True)  # they may show what was just taken out
        shutil.rmtree(ready / "clips", ignore_errors=True)
        (ready / "clips.tar").unlink(missing_ok=True)

    def note_unit(self, unit: str) -> None:
        """The parts of a unit are in their places now, on both sides."""
        for table in UNIT_TABLES:
            name = f"parts/{table}/{unit}.parquet"
            known, path = self._journal.get(name), self.out / name
            if path.exists() and not (known and known.token and known.fits(path)):
                self._note(name, self._tokens.get(name) or self._told(name, path), path.stat())
        self._tokens = {}

    def push(self) -> None:
        """Send every local file that changed, and delete there what was deleted here since the lease was taken."""
        files = sorted(self._files(), key=lambda one: (_rank(one[0]), one[0]))
        there = {name for name, _ in files}
        # A manifest that became a folder of partitions, or was one: not every store has both under one name
        self._delete(name for name in self._present - there if name.startswith("manifests/"))
        for name, path in files:
            known, stat = self._journal.get(name), path.stat()
            if known is not None and known.fits(path):
                continue
            token = "" if known is None else known.token
            if not token or token != md5_of(path):
                token = self.remote.put(name, path) or self._told(name, path)
            self._note(name, token, stat)
        self._delete(self._present - there)
        self._journal.compact()

    def _told(self, name: str, path: Path) -> str:
        """What the store calls the object that a file was just sent as: not every one says it by the file's MD5."""
        return self.remote.token(name) or md5_of(path)

    def _delete(self, names: Iterable[str]) -> None:
        if gone := sorted(names):
            self._journal.forget(*gone)
            self.remote.delete(gone)
            self._present -= set(gone)

    def _note(self, name: str, token: str, stat: os.stat_result) -> None:
        self._journal.note(name, token, stat)
        self._present.add(name)

    def _take_over(self) -> None:
        """Make the local files those of the remote; what only changed here stays, to be sent."""
        folder = self.work / "pulled"
        shutil.rmtree(folder, ignore_errors=True)
        changes = fetch_changes(self.remote, self._journal.names(), self._is_current, folder, is_synced)
        gone = [name for name in self._journal.names() if name not in changes.there]
        for name in (*filter(_is_clips, changes.fetched), *gone):  # a result ends with its clips part
            known, path = self._journal.get(name), self.out / name
            is_ours = known is None or not known.fits(path)
            if _is_clips(name) or not is_ours:
                path.unlink(missing_ok=True)
            self._journal.forget(name)  # after its file: killed in between, a file without a note would be sent
        for name, token in sorted(changes.fetched.items(), key=lambda one: (_is_clips(one[0]), _rank(one[0]))):
            target, fetched = self.out / name, folder / name
            known = self._journal.get(name)
            self._journal.doubt(name)
            self._set_aside_if_ours(name, known, fetched)
            _make_room(target)
            fetched.replace(target)
            self._journal.note(name, token, target.stat())
        shutil.rmtree(folder, ignore_errors=True)
        self._drop_unknown(changes.there)
        if any(name.startswith("parts/frames/") for name in (*changes.fetched, *gone)):
            shutil.rmtree(fetched_folder(self.out), ignore_errors=True)
        if changes.decided:
            write_json(self.work / "decided.json", changes.decided)
        else:
            (self.work / "decided.json").unlink(missing_ok=True)

    def _drop_unknown(self, there: Collection[str]) -> None:
        """Delete parts of units that are neither noted nor there.

        A unit is sent before its parts are moved here, so they are what a kill left of one that was taken out there
        since: to send them would bring it back.
        """
        for table in _SENT_FIRST:
            for path in (self.out / "parts" / table).glob("[!.]*.parquet"):
                name = f"parts/{table}/{path.name}"
                if self._journal.get(name) is None and name not in there:
                    path.unlink()

    def _is_current(self, name: str, token: str) -> bool:
        """Whether the local file need not be fetched: the same, or changed here alone."""
        known, path = self._journal.get(name), self.out / name
        if known is not None and known.token == token and known.fits(path):
            return True
        if not path.is_file():
            return False
        stat = path.stat()
        if md5_of(path) == token:
            self._journal.note(name, token, stat)
            return True
        is_unit = name.startswith(tuple(f"parts/{table}/" for table in _SENT_FIRST))
        return known is not None and known.token == token and not is_unit

    def _set_aside_if_ours(self, name: str, known: Known | None, new: Path) -> None:
        """Keep a copy of what a person decided here and was never sent, where the remote's takes its place."""
        path = self.out / name
        if not name.startswith(("parts/decisions/", ".cgtool/review/")) or not path.exists():
            return
        if not (known and known.fits(path)) and path.read_bytes() != new.read_bytes():
            aside = self.work / "set_aside" / f"{secrets.token_hex(4)}" / name
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, aside)

    def _files(self) -> Iterator[tuple[str, Path]]:
        for folder in ("", ".cgtool"):
            for path in (self.out / folder).iterdir():
                yield from self._named([path])
        for folder in _FOLDERS:
            for base, _, names in os.walk(self.out / folder):
                yield from self._named([Path(base) / name for name in names])

    def _named(self, paths: list[Path]) -> Iterator[tuple[str, Path]]:
        for path in paths:
            name = path.relative_to(self.out).as_posix()
            if is_synced(name) and path.is_file():
                yield name, path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process of this machine at a time takes over."""
        lock = filelock.FileLock(self.work / "pull.lock")
        try:
            lock.acquire(timeout=600)
        except filelock.Timeout as exc:
            raise InputError(f"another command is fetching {self.remote.url}", "Try again when it is done") from exc
        try:
            yield
        finally:
            lock.release()

    def _owner(self) -> str:
        """Tells this working copy from every other one, also from a copy of it on another machine."""
        path = self.work / "copy_id"
        if not path.exists():
            write_bytes(path, secrets.token_hex(16).encode())
        told = f"{path.read_text()} {socket.gethostname()} {self.out.resolve()}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def _make_room(target: Path) -> None:
    """A manifest that is one file here may be a folder of partitions there, and the other way around."""
    if target.is_dir():
        shutil.rmtree(target)
    if target.parent.is_file():
        target.parent.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)


def is_synced(name: str) -> bool:
    """Whether a file belongs to the data set's tables and notes, and not to this machine or to nobody yet."""
    folder, _, file = name.rpartition("/")
    if file.startswith(".") or name in _OWN:
        return False
    if folder == "":
        return file.endswith(_ENDINGS) or file == "preview.jpg"
    if folder == ".cgtool":
        return file in ("plan.json", "refresh.jsonl", "rows.parquet")
    return file.endswith(_ENDINGS) and any(f"{folder}/".startswith(f"{one}/") for one in _FOLDERS)


def _rank(name: str) -> int:
    return next((i for i, start in enumerate(_ORDER) if start and name.startswith(start)), _ORDER.index(""))


def _is_clips(name: str) -> bool:
    return name.startswith("parts/clips/")


def _let_go(lease: Lease) -> None:
    """Release it if that can be done, or stop renewing it."""
    try:
        lease.release()
    except CgtoolError:
        lease.stop()
