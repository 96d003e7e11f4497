"""Makes the n-th step of writing fail in a command and its workers, as a full, broken or taken-away disk would.

A step is what the program asks of the system below one folder: to make or open a file, to write, to have bytes on the
disk, to rename, to make or delete a folder. They are counted over all processes of a command, in a file elsewhere.

    env = Fault(under=out, at=17, error="ENOSPC").env(tmp_path)
    cgtool("build-dataset", ..., env=env)
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support_workers import HOOK

_ASKED = "CGTOOL_TEST_FAULT"


@dataclass(frozen=True)
class Fault:
    """What is to fail."""

    under: str
    """The folder, absolute."""
    at: int
    """The step that fails, from 1; 0: none."""
    error: str = "ENOSPC"
    lasting: bool = True
    """Whether all later steps fail too."""
    counter: str = ""

    def env(self, folder: Path) -> dict[str, str]:
        """Variables for a command; the count begins at zero."""
        counter = folder / "steps"
        counter.write_bytes(b"")
        return {HOOK: __name__, _ASKED: json.dumps(asdict(self) | {"counter": str(counter)})}


def install() -> None:
    """From here on, in this process, as a command's environment says."""
    fault = Fault(**json.loads(os.environ[_ASKED]))
    _patch(_Steps(fault, fault.counter), setattr)


@contextmanager
def failing(fault: Fault) -> Iterator[Callable[[], int]]:
    """In this process, as long as it lasts. Gives what tells how many steps were made so far."""
    steps = _Steps(fault)
    with pytest.MonkeyPatch.context() as patch:
        _patch(steps, patch.setattr)
        yield lambda: steps.made


class _Steps:
    def __init__(self, fault: Fault, counter: str = "") -> None:
        self.fault = fault
        self.made = 0
        self._counter = counter
        self._lock = threading.Lock()
        self._open, self._write, self._close = os.open, os.write, os.close
        self._deletes_fail = fault.error not in ("ENOSPC", "EDQUOT")

    def take(self, path: Any, what: str) -> None:
        """Count a step; raise where it is to fail."""
        if isinstance(path, int):
            path = str(Path(f"/proc/self/fd/{path}").readlink())
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a link is followed by nobody here
        if not (name + "/").startswith(self.fault.under + "/") or (what == "delete" and not self._deletes_fail):
            return
        number = self._count()
        if self.fault.at and (number == self.fault.at or (self.fault.lasting and number > self.fault.at)):
            code = getattr(errno, self.fault.error)
            raise OSError(code, os.strerror(code), *([name] if what not in ("write", "sync") else []))

    def _count(self) -> int:
        if not self._counter:
            with self._lock:
                self.made += 1
                return self.made
        counter = self._open(self._counter, os.O_WRONLY | os.O_APPEND)
        try:
            self._write(counter, b".")
            return os.fstat(counter).st_size
        finally:
            self._close(counter)


def _patch(steps: _Steps, put: Callable[[Any, str, Any], None]) -> None:
    import pyarrow.parquet as pq

    def before(function: Callable[..., Any], what: str, which: int = 0) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is None:
                steps.take(args[which], what)
            return function(*args, **kwargs)

        return called

    real_open = io.open

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        writes = bool(set(mode) & set("wxa+")) and not isinstance(file, int)
        if writes:
            steps.take(file, "open")
        stream = real_open(file, mode, *args, **kwargs)
        if writes:
            stream.write = _after(steps, file, stream.write)
        return stream

    real_os_open = os.open

    def os_opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT and kwargs.get("dir_fd") is None:
            steps.take(path, "open")
        return real_os_open(path, flags, *args, **kwargs)

    put(builtins, "open", opened)
    put(io, "open", opened)
    put(os, "open", os_opened)
    put(os, "fsync", before(os.fsync, "sync"))
    put(os, "write", _unless_pipe(steps, os.write))
    for name, which in (("mkdir", 0), ("rename", 1), ("replace", 1), ("link", 1), ("symlink", 1)):
        put(os, name, before(getattr(os, name), name, which))
    for name in ("unlink", "remove", "rmdir"):
        put(os, name, before(getattr(os, name), "delete"))

    kind = pq.ParquetWriter
    began, wrote, closed = kind.__init__, kind.write_table, kind.close

    def begin(writer: Any, where: Any, *args: Any, **kwargs: Any) -> None:
        writer.is_open = False  # closing asks
        writer._path = where if isinstance(where, (str, os.PathLike)) else "/"
        steps.take(writer._path, "open")
        began(writer, where, *args, **kwargs)

    def write(writer: Any, *args: Any, **kwargs: Any) -> None:
        steps.take(writer._path, "write")
        wrote(writer, *args, **kwargs)

    def close(writer: Any) -> None:
        if writer.is_open:
            try:
                if hasattr(writer, "_path"):  # it was opened; one that was not is collected at any time
                    steps.take(writer._path, "write")
            except OSError:
                writer.is_open = False  # as in Arrow, a second call does nothing
                raise
        closed(writer)

    put(kind, "__init__", begin)
    put(kind, "write_table", write)
    put(kind, "close", close)


def _after(steps: _Steps, path: Any, write: Callable[[Any], int]) -> Callable[[Any], int]:
    def written(content: Any) -> int:
        steps.take(path, "write")
        return write(content)

    return written


def _unless_pipe(steps: _Steps, write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    def written(descriptor: int, content: Any) -> int:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/"):
            steps.take(descriptor, "write")
        return write(descriptor, content)

    return written
