"""Counts what code does to the file system, and which Parquet files it opens: how work grows, without a clock."""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

_CALLS = ("open", "rename", "replace", "unlink", "rmdir", "mkdir", "link")


@contextlib.contextmanager
def operations() -> Iterator[Counter[str]]:
    """What happens inside, by kind: calls that open or change files, and the names in the folders that are listed."""
    counted: Counter[str] = Counter()
    listed = os.listdir

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counts(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return call(*args, **kwargs)

        return counts

    def listing(call: Callable[..., Any]) -> Callable[..., Any]:
        def lists(path: Any = ".") -> Any:
            counted["names looked at"] += len(listed(path))
            return call(path)

        return lists

    with pytest.MonkeyPatch.context() as patch:
        for name in _CALLS:
            patch.setattr(os, name, counting(name, getattr(os, name)))
        for name in ("listdir", "scandir"):
            patch.setattr(os, name, listing(getattr(os, name)))
        patch.setattr(io, "open", counting("open", io.open))
        yield counted


@contextlib.contextmanager
def parts_opened(out: Path) -> Iterator[Counter[str]]:
    """How often each Parquet file under `out` is opened inside, by its path from there; in whatever way."""
    opened: Counter[str] = Counter()
    make = pq.ParquetFile.__init__

    def noted(path: Any) -> None:
        if isinstance(path, str | os.PathLike):
            opened[str(Path(path).relative_to(out))] += 1

    def reading(read: Callable[..., Any]) -> Callable[..., Any]:
        def reads(source: Any, *args: Any, **kwargs: Any) -> Any:
            noted(source)
            return read(source, *args, **kwargs)

        return reads

    def makes(self: Any, source: Any, *args: Any, **kwargs: Any) -> None:
        noted(source)  # the readers give it a file that they have opened
        make(self, source, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("read_table", "read_schema", "read_metadata"):
            patch.setattr(pq, name, reading(getattr(pq, name)))
        patch.setattr(pq.ParquetFile, "__init__", makes)
        yield opened
