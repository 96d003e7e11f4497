"""Objects below one url: listed, read, written, copied and deleted, through fsspec. The only file that talks to it.

An object store has no rename and no folders, but each object is whole or absent, and a name can be created by one
writer alone. Requests that fail for a moment (throttling, 5xx, a cut connection) are made again, a bounded number of
times. What a request of the store says of an error is never shown whole: it may name keys.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .atomic import partial_name, sync_folder
from .errors import MachineError, disk_full_stops
from .remote_place import url_of
from .remote_tries import names_no_bucket, tried

Got = TypeVar("Got")

_AT_ONCE = 8
"""Files that travel side by side."""
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True)
class Entry:
    """What a listing says of an object."""

    size: int
    token: str
    """Another one when the object has changed: its ETag, which for small objects is the MD5 of its bytes."""
    changed: datetime | None
    """By the store's own clock."""


def of(folder: Path) -> Remote | None:
    """The remote of a folder that works for a url (remote_place.py); None for every other folder."""
    url = url_of(folder)
    return None if url is None else Remote(url)


@dataclass
class Remote:
    """Everything below `url`. Names are relative to it, with slashes. May be shared by threads.

    Every method raises StopError where the store still fails after some tries, and MachineError where it refuses us.
    """

    url: str
    before_write: Callable[[], None] = field(default=lambda: None, repr=False)
    """Called before each request that changes something; may raise."""

    def __post_init__(self) -> None:
        self._fs = _file_system(self.url.partition("://")[0])
        self._root = self.url.partition("://")[2]

    def list(self, folder: str = "", *, deep: bool = True, start: str = "") -> dict[str, Entry]:
        """What lies below `folder`, by name: a request a thousand objects.

        Args:
            deep: also in folders below; False leaves those out.
            start: of the names within `folder`; others are left out.
        """
        where = f"{self._root}/{folder}".rstrip("/")

        def ask() -> dict[str, Entry]:
            try:
                if deep:
                    by_store = {"prefix": start} if start and hasattr(self._fs, "call_s3") else {}
                    found = self._fs.find(where, detail=True, **by_store)
                else:
                    found = {info["name"]: info for info in self._fs.ls(where, detail=True)}
            except FileNotFoundError as exc:
                if names_no_bucket(exc):
                    raise
                return {}
            inside, names = self._root + "/", {name.lstrip("/"): info for name, info in found.items()}
            files = {n: i for n, i in names.items() if i["type"] == "file" and n.startswith(f"{where}/{start}")}
            return {name.removeprefix(inside): _entry(info) for name, info in files.items()}

        return self._ask(f"list {folder or 'it'}", ask)

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
        return bytes(self._ask(f"read {name}", lambda: self._fs.cat_file(self._path(name), **self._whole())))

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

    def put(self, name: str, source: Path) -> None:
        """Write an object from a file."""
        self._write(f"write {name}", lambda: self._fs.put_file(str(source), self._path(name), **self._in_parts()))

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

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store.

        Raises:
            FileNotFoundError: it is not there.
        """
        self._write(f"copy {source}", lambda: self._fs.cp_file(self._path(source), self._path(target)))

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

    def copy_many(self, targets: Mapping[str, str]) -> None:
        """`copy` for several (source -> target), side by side; ends at the first that fails."""
        _side_by_side([partial(self.copy, source, target) for source, target in targets.items()])

    def abort_uploads(self) -> int:
        """End the uploads in parts that a killed run left below the url: they cost and are seen by nobody.

        Returns how many there were; 0 also where the store knows no such thing.
        """
        if not hasattr(self._fs, "list_multipart_uploads"):
            return 0
        bucket, _, inside = self._root.partition("/")

        def ask() -> list[tuple[str, str]]:
            said = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=inside + "/")
            return [(one["Key"], one["UploadId"]) for one in said.get("Uploads", ())]

        left = self._ask("list unfinished uploads", ask)
        for key, upload in left:
            try:
                self._write("end an unfinished upload", partial(self._fs.abort_mpu, bucket, key, upload))
            except FileNotFoundError:  # ended meanwhile
                continue
        return len(left)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _in_parts(self) -> dict[str, int]:
        """How big the parts of an upload are: the store's usual size, or $CGTOOL_PART_MB."""
        told = os.environ.get("CGTOOL_PART_MB")
        return {"chunksize": int(float(told) * (1 << 20))} if told and hasattr(self._fs, "call_s3") else {}

    def _whole(self) -> dict[str, int]:
        """Small objects in one request: s3fs asks for the size first, to read large ones side by side."""
        return {"max_concurrency": 1} if hasattr(self._fs, "call_s3") else {}

    def _write(self, what: str, ask: Callable[[], Got]) -> Got:
        def guarded() -> Got:
            self.before_write()
            return ask()

        return self._ask(what, guarded)

    def _ask(self, what: str, ask: Callable[[], Got]) -> Got:
        return tried(self.url, what, ask)


def _file_system(protocol: str) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        tries = int(os.environ.get("AWS_MAX_ATTEMPTS", "5"))
        options["config_kwargs"] = {"retries": {"mode": "standard", "total_max_attempts": tries}}
    try:
        found = fsspec.filesystem(protocol, **options)
    except ImportError as exc:
        from .remote_place import check_protocol

        check_protocol(protocol)
        raise MachineError(f"the package for {protocol}:// does not work ({exc})", "Install it again") from exc
    if protocol in ("s3", "s3a"):
        found.retries = 1  # botocore's tries are the tries
    return found


def _entry(info: Mapping[str, Any]) -> Entry:
    told = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if info.get(key)), None)
    changed = datetime.fromtimestamp(told, UTC) if isinstance(told, float) else told
    changed = changed if isinstance(changed, datetime) else None
    token = str(info.get("ETag") or info.get("etag") or info.get("md5Hash") or f"{info['size']} {changed}")
    return Entry(int(info["size"] or 0), token.strip('"'), changed)


def _delete(fs: Any, paths: list[str]) -> None:
    """Delete up to a thousand objects. s3fs's own way of many at once keeps errors of single ones to itself."""
    if not hasattr(fs, "call_s3"):
        for path in paths:
            if fs.exists(path):
                fs.rm_file(path)
        return
    bucket = paths[0].partition("/")[0]
    keys = [{"Key": path.partition("/")[2]} for path in paths]
    said = fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    if said.get("Errors"):
        raise OSError(f"{len(said['Errors'])} objects were not deleted: {said['Errors'][0].get('Code')}")


def _side_by_side(jobs: list[Callable[[], None]]) -> None:
    if len(jobs) < 2:
        for job in jobs:
            job()
        return
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(jobs)), thread_name_prefix="remote")
    try:
        futures = [pool.submit(job) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
