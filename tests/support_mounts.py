"""Small disks for tests: a tmpfs of a few pages, in a mount namespace that only one test process sees.

    @own_mounts
    def test_something(tmp_path): ...
        with disk(tmp_path / "out", pages=20) as folder: ...

Such tests of a file run again together in one process of their own, as root of a namespace, and each ends here as it
ended there; where the system allows no namespace they are skipped.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_INSIDE = "TESTS_OWN_MOUNTS"
PAGE_BYTES = 4096


def own_mounts(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test where it may mount what it likes."""
    if os.environ.get(_INSIDE):
        return test

    @functools.wraps(test)
    def run(*args: Any, request: pytest.FixtureRequest, **kwargs: Any) -> None:
        if _way() is None:
            pytest.skip("no mount namespace is to be had here")
        chosen = [item for item in request.session.items if hasattr(getattr(item, "obj", None), _INSIDE)]
        ended = _run_inside(tuple(item.nodeid for item in chosen if item.path == request.node.path))
        assert ended.get(request.node.name) == "passed", ended["said"]

    had = inspect.signature(test)
    asks = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = had.replace(parameters=[*had.parameters.values(), asks])  # type: ignore[attr-defined]
    setattr(run, _INSIDE, True)
    return pytest.mark.timeout(3600)(run)  # there each has its own limit


@functools.cache
def _run_inside(node_ids: tuple[str, ...]) -> dict[str, str]:
    """Run tests in a namespace: how each ended, by its name, and what pytest `said`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))} | {_INSIDE: "1"}
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        words = ["-q", "-n0", "-p", "no:cacheprovider", f"--junit-xml={report.name}", *node_ids]
        done = subprocess.run(
            [*(_way() or ()), sys.executable, "-m", "pytest", *words],
            env=env, capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[1],
        )  # fmt: skip
        written = Path(report.name).read_bytes()
    ended = {"said": f"{done.stdout}\n{done.stderr}"}
    for case in ElementTree.fromstring(written).iter("testcase") if written else ():
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if bad or case.attrib["name"] not in ended:
            ended[case.attrib["name"]] = bad[0] if bad else "passed"
    return ended


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
