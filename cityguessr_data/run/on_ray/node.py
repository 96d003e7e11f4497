"""What a node of a Ray cluster is to its workers: the code that it runs, and the folder that they share there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import metadata
from pathlib import Path

import filelock

import cityguessr_data

from ...core.errors import MachineError

_PACKAGES = ("av", "numpy", "opencv-python-headless", "torch", "onnxruntime", "openvino")
"""Those that decode, compute and write pictures: another version of one may give other frames."""

_REMOVE = 'exec 3<&0; (cat <&3; rm -rf -- "$0"; sleep 2; rm -rf -- "$0") >/dev/null 2>&1 &'
"""Twice: the worker process may live a little longer and write once more."""


@cache
def code_digest() -> str:
    """Of every file of the package that computes: two nodes with other code would give other frames under one name."""
    package, digest = Path(cityguessr_data.__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{digest.hexdigest()[:16]} under Python {platform.python_version()}"


def package_versions() -> dict[str, str]:
    """Name -> version of the packages that frames depend on; `none` of one that is not installed.

    Without the build's name (`+cpu`, `+cu126`): a head without a GPU goes with nodes that have one.
    """
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions


def check_same_code(node: str, code: str, packages: Mapping[str, str]) -> None:
    """See that a node runs what this process runs.

    Args:
        code, packages: its `code_digest` and `package_versions`.
    Raises:
        MachineError: it does not; names what differs.
    """
    if code != code_digest():
        raise MachineError(
            f"{node} has another cgtool than this one ({code}; here {code_digest()})",
            "Install the same version, under the same Python, on every node",
        )
    ours = package_versions()
    differing = [name for name in ours if packages.get(name, "none") != ours[name]]
    others = [f"{name} {packages.get(name, 'none')}; here {ours[name]}" for name in differing]
    if others:
        raise MachineError(
            f"{node} has other packages than this machine ({', '.join(others)})",
            "Install the same versions on every node",
        )


def node_and_folder() -> tuple[str, Path]:
    """Ray's name of this node, and a folder of this project's and this user's in Ray's own temporary folder there."""
    import ray

    context = ray.get_runtime_context()
    told = getattr(context, "get_temp_dir", None)  # older releases do not tell
    owner = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    temporary = Path(told() if told else Path(tempfile.gettempdir()) / "ray")
    return context.get_node_id(), temporary / f"cgtool{owner}"


def make_own(folder: Path) -> None:
    """Make a folder that this user alone can enter, or see that it is one.

    Ray's temporary folder is open to every user of a node: whoever made a folder there first could read what comes.

    Raises:
        MachineError: it is another user's, or no folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise MachineError(f"{folder} on {platform.node()} is not a folder of this user's own", "Remove it there")
    folder.chmod(0o700)


def remove_when_killed(folder: Path) -> Callable[[], None]:
    """Have a folder removed when this process dies, however it dies; returns what to call where that is not needed.

    Ray kills an actor whose driver has died, and the processes that it started with it. So a shell of two lines does
    it, which is nobody's child: it waits for the end of a pipe that only this process holds. Nothing where there is no
    shell.
    """
    shell = shutil.which("sh")
    if shell is None:
        return lambda: None
    theirs, ours = os.pipe()
    try:
        subprocess.run([shell, "-c", _REMOVE, folder], stdin=theirs, check=True, start_new_session=True)
    finally:
        os.close(theirs)
    return partial(os.close, ours)


def sweep(base: Path) -> None:
    """Remove what workers of this node left that were killed: their locks are free."""
    for path in base.glob("worker-*.lock"):
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            continue
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        path.unlink(missing_ok=True)
        lock.release()
    for path in base.glob("weights-*/.*.partial"):
        token = path.name.removesuffix(".partial").rpartition(".")[2]
        if not (base / f"worker-{token}.lock").exists():
            path.unlink(missing_ok=True)
