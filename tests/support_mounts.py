"""Small disks for tests: a tmpfs of a few pages, in a mount namespace that only one test process sees.

    @own_mounts
    def test_something(tmp_path): ...
        with disk(tmp_path / "out", pages=20) as folder: ...

The test runs again in a process of its own, as root of a namespace; where the system allows none it is skipped.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_INSIDE = "TESTS_OWN_MOUNTS"
PAGE_BYTES = 4096


def own_mounts(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test where it may mount what it likes."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        if os.environ.get(_INSIDE):
            test(*args, **kwargs)
            return
        way = _way()
        if way is None:
            pytest.skip("no mount namespace is to be had here")
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))} | {_INSIDE: "1"}
        done = subprocess.run(
            [*way, sys.executable, "-m", "pytest", "-q", "-n0", "-x", "-p", "no:cacheprovider", name],
            env=env, capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[1],
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "1 passed" in done.stdout, done.stdout

    return run


@functools.cache
def _way() -> tuple[str, ...] | None:
    """The words that start a command in such a namespace."""
    for way in (("unshare", "-m"), ("unshare", "-rm")):
        mount = "mount -t tmpfs -o size=64k tmpfs /tmp"
        if shutil.which("unshare") and subprocess.run([*way, "sh", "-c", mount], capture_output=True).returncode == 0:
            return way
    return None


@contextlib.contextmanager
def disk(folder: Path, pages: int, inodes: int | None = None) -> Iterator[Path]:
    """A disk of so many pages of 4 KiB at `folder`, as long as it lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", _size(pages, inodes), "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def resize(folder: Path, pages: int) -> None:
    """Give a disk another size, and as many files as it likes."""
    _mount("-o", f"remount,{_size(pages, 100_000)}", folder)


def pages_used(folder: Path) -> int:
    """Of the disk that a folder is on."""
    stat = os.statvfs(folder)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize // PAGE_BYTES


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody can write under a folder, root neither."""
    _mount("--bind", folder, folder)
    _mount("-o", "remount,ro,bind", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _size(pages: int, inodes: int | None) -> str:
    return f"size={pages * PAGE_BYTES}" + (f",nr_inodes={inodes}" if inodes else "")


def _mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)
