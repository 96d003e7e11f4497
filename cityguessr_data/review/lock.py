"""Keeps one process at a time at the decisions of an output directory: a page that is open, or applying them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import filelock

from ..core.errors import InputError, unfit_for_writing
from ..run.store import Store


@contextmanager
def review_lock(store: Store) -> Iterator[None]:
    """Hold it; the system lets go when the process dies, however it dies. On an object store, hold OUT there too.

    Raises:
        InputError: another process holds it.
        DiskFullError, MachineError: OUT cannot be written.
    """
    lock = filelock.FileLock(store.work / "review.lock")
    try:
        store.work.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as exc:
        raise InputError(
            f"a review of {store.out} is open already", "Use its page from another tab, or end it with Ctrl-C"
        ) from exc
    except OSError as exc:
        raise unfit_for_writing(exc, str(store.out), "Make it writable: decisions are kept there") from exc
    try:
        with store.uploading():
            yield
    finally:
        lock.release()
