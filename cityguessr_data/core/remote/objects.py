"""Objects below one url: listed, read, written, copied and deleted, through fsspec. The only file that talks to it.

An object store has no rename and no folders, but each object is whole or absent, and a name can be created by one
writer alone. Requests that fail for a moment (throttling, 5xx, a cut connection) are made again, a bounded number of
times. What a request of the store says of an error is never shown whole: it may name keys.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..atomic import partial_name, sync_folder
from ..errors import MachineError, disk_full_stops
from . import s3
from .place import url_of
from .s3 import is_s3
from .tries import n_tries, names_no_bucket, tried

Got = TypeVar("Got")

_AT_ONCE = 8
"""Files that travel side by side."""
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of an object."""

    size: int
    token: str
    """Another one when the object has changed: its ETag, which for small objects is the MD5 of its bytes."""
    changed: datetime | None
    """By the store's own clock."""


def of(folder: Path) -> Remote | None:
    """The remote of a folder that works for a url (place.py); None for every other folder."""
    url = url_of(folder)
    return None if url is None else Remote(url)


@dataclass
class Remote:
    """Everything below `url`. Names are relative to it, with slashes. May be shared by threads.

    Every method raises StopError where the store still fails after some tries, and MachineError where it refuses us.
    """

    url: str
    before_write: Callable[[], None] = field(default=lambda: None, repr=False)
    """Called before each request that changes something, each time it is made; may raise."""

    def __post_init__(self) -> None:
        protocol, _, self._root = self.url.partition("://")
        self._tries = n_tries(protocol)
        self._fs = _file_system(protocol)

    def list(self, folder: str = "", *, deep: bool = True, start: str = "") -> dict[str, Entry]:
        """What lies below `folder`, by name: a request a thousand objects.

        Args:
            deep: also in folders below; False leaves those out.
            start: of the names within `folder`; others are left out.
        """
        return {name: entry for page in self.pages(folder, deep=deep, start=start) for name, entry in page.items()}

    def pages(self, folder: str = "", *, deep: bool = True, start: str = "") -> Iterator[dict[str, Entry]]:
        """The same in pages of up to a thousand, where the store gives pages: for listings too long to be kept."""
        inside, where = self._root + "/", f"{self._root}/{folder}".rstrip("/")
        what = f"list {folder or 'it'}"
        if is_s3(self._fs):
            bucket = self._root.partition("/")[0]
            for page in s3.pages(self._fs, self._ask, what, f"{where}/{start}", deep=deep):
                objects = (info for info in page if info["Size"] or not info["Key"].endswith("/"))  # an empty folder
                yield {f"{bucket}/{info['Key']}".removeprefix(inside): _entry(info) for info in objects}
            return

        def ask() -> dict[str, Any]:
            try:
                if deep:
                    return dict(self._fs.find(where, detail=True))
                return {info["name"]: info for info in self._fs.ls(where, detail=True)}
            except FileNotFoundError as exc:
                if names_no_bucket(exc):
                    raise
                return {}

        names = {name.lstrip("/"): info for name, info in self._ask(what, ask).items()}
        files = {n: i for n, i in names.items() if i["type"] == "file" and n.startswith(f"{where}/{start}")}
        yield {name.removeprefix(inside): _entry(info) for name, info in files.items()}

    def some(self, folder: str) -> Sequence[str]:
        """A few names right below `folder`, none where nothing is: one request, however many there are."""
        return tuple(next(self.pages(folder, deep=False), {}))

    def info(self, name: str) -> Entry | None:
        """What the store says of one object; None where it is not there."""

        def ask() -> Entry | None:
            try:
                info = self._fs.info(self._path(name))
            except FileNotFoundError:
                return None
            return _entry(info) if info["type"] == "file" else None

        return self._ask(f"look at {name}", ask)

    def read(self, name: str) -> bytes:
        """The bytes of a small object.

        Raises:
            FileNotFoundError: it is not there.
        """
        whole = {"max_concurrency": 1} if is_s3(self._fs) else {}  # s3fs asks for the size first, to read large ones
        return bytes(self._ask(f"read {name}", partial(self._fs.cat_file, self._path(name), **whole)))

    def get(self, name: str, target: Path) -> None:
        """Bring an object to a file, which is whole or absent.

        Raises:
            FileNotFoundError: it is not there.
            DiskFullError: no space left.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        incoming = partial_name(target)

        def ask() -> None:
            self._fs.get_file(self._path(name), str(incoming))
            with incoming.open("rb") as stream:
                os.fsync(stream.fileno())

        try:
            with disk_full_stops(str(target)):
                self._ask(f"fetch {name}", ask)
                incoming.replace(target)
        finally:
            incoming.unlink(missing_ok=True)
        sync_folder(target.parent)

    def put(self, name: str, source: Path) -> str:
        """Write an object from a file. Returns its token, or nothing where the store does not tell it at once."""
        what, path = f"write {name}", self._path(name)
        if is_s3(self._fs):
            return s3.put(self._fs, self._write, what, path, source, _side_by_side)
        self._write(what, lambda: self._fs.put_file(str(source), path))
        return ""

    def put_bytes(self, name: str, content: bytes) -> None:
        """Write a small object."""
        self._write(f"write {name}", lambda: self._fs.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that is not there; False where it is. Of several writers, one alone gets True."""

        def ask() -> bool:
            try:
                self._fs.pipe_file(self._path(name), content, mode="create")
            except FileExistsError:
                return False
            return True

        return self._write(f"create {name}", ask)

    def copy(self, source: str, target: str, size: int | None = None) -> str:
        """Copy an object within the store. Returns the token of the new one, or nothing, as `put`.

        Args:
            size: in bytes, where that is known.
        Raises:
            FileNotFoundError: it is not there.
        """
        one, other = self._path(source), self._path(target)
        if is_s3(self._fs):
            return self._write(f"copy {source}", lambda: s3.copy(self._fs, one, other, size))
        self._write(f"copy {source}", lambda: self._fs.cp_file(one, other))
        return ""

    def token(self, name: str) -> str | None:
        """The token of an object; None where it is not there."""
        entry = self.info(name)
        return None if entry is None else entry.token

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; one that is not there is no error."""
        paths = [self._path(name) for name in names]
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            some = paths[start : start + _DELETED_AT_ONCE]
            self._write(f"delete {len(some)} objects", partial(_delete, self._fs, some))

    def put_many(self, files: Mapping[str, Path]) -> None:
        """`put` for several, side by side; ends at the first that fails."""
        _side_by_side([partial(self.put, name, path) for name, path in files.items()])

    def get_many(self, targets: Mapping[str, Path]) -> None:
        """`get` for several, side by side, leaving out what is not there."""

        def get(name: str, path: Path) -> None:
            with suppress(FileNotFoundError):
                self.get(name, path)

        _side_by_side([partial(get, name, path) for name, path in targets.items()])

    def copy_many(self, targets: Mapping[str, tuple[str, int]]) -> None:
        """`copy` for several (source -> target, bytes), side by side; ends at the first that fails."""
        _side_by_side([partial(self.copy, source, target, size) for source, (target, size) in targets.items()])

    def uploads(self, start: str = "") -> Sequence[tuple[str, str]] | None:
        """Uploads in parts that nobody has ended, of names that start so; None where the store refuses to tell."""
        if not is_s3(self._fs):
            return []
        try:
            return s3.uploads(self._fs, self._ask, self._path(start))
        except MachineError:
            return None

    def end_uploads(self, start: str = "") -> int:
        """End them: they cost and are seen by nobody. That is all, so it is no error where the store refuses it.

        Returns how many were ended.
        """
        n = 0
        for path, upload in self.uploads(start) or ():
            with suppress(FileNotFoundError, MachineError):  # ended meanwhile, or refused: `verify` tells of those left
                self._write("end an unfinished upload", partial(s3.end_upload, self._fs, path, upload))
                n += 1
        return n

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _write(self, what: str, ask: Callable[[], Got]) -> Got:
        def guarded() -> Got:
            self.before_write()
            return ask()

        return self._ask(what, guarded)

    def _ask(self, what: str, ask: Callable[[], Got]) -> Got:
        return tried(self.url, what, ask, self._tries)


def _file_system(protocol: str) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol == "s3":
        options["config_kwargs"] = {"retries": {"mode": "standard", "total_max_attempts": 1}}  # tries.n_tries
    try:
        found = fsspec.filesystem(protocol, **options)
    except ImportError as exc:
        from .place import check_protocol

        check_protocol(protocol)
        raise MachineError(f"the package for {protocol}:// does not work ({exc})", "Install it again") from exc
    if protocol == "s3":
        found.retries = 1
    return found


def _entry(info: Mapping[str, Any]) -> Entry:
    told = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if info.get(key)), None)
    changed = datetime.fromtimestamp(told, UTC) if isinstance(told, float) else told
    changed = changed if isinstance(changed, datetime) else None
    token = str(info.get("ETag") or info.get("etag") or info.get("md5Hash") or f"{info.get('size')} {changed}")
    return Entry(int(info.get("size") or info.get("Size") or 0), token.strip('"'), changed)


def _delete(fs: Any, paths: list[str]) -> None:
    """Delete up to a thousand objects."""
    if is_s3(fs):
        s3.delete(fs, paths)
        return
    for path in paths:
        if fs.exists(path):
            fs.rm_file(path)


def _side_by_side(jobs: Sequence[Callable[[], Got]]) -> list[Got]:
    """What the jobs give; ends at the first that fails."""
    if len(jobs) < 2:
        return [job() for job in jobs]
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(jobs)), thread_name_prefix="remote")
    try:
        futures = [pool.submit(job) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
        return [one.result() for one in futures]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
