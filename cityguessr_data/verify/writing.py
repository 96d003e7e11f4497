"""Tells whether another process writes to a data set, without taking its lock: that would refuse a run its start."""

from __future__ import annotations

import os
from pathlib import Path

from ..run.store import Store

_LOCKS = Path("/proc/locks")


def is_being_written(store: Store) -> bool:
    """Whether somebody holds the lock; False too where the system does not tell (only Linux does)."""
    try:
        stat = (store.work / "lock").stat()
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return False
    place = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    return any(place in line.split() for line in lines)


def marks_of_parts(store: Store) -> dict[str, int]:
    """Time stamps of the folders that every commit changes: others after a look mean that a run wrote meanwhile."""
    folders = [*(store.out / "parts").glob("*"), store.out / "manifests"]
    return {folder.name: folder.stat().st_mtime_ns for folder in folders if folder.is_dir()}
