"""Deletes what a look under the lock found to be cgtool's own and named by nobody: by exact names, never by a link."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..core.schemas import UNIT_TABLES
from ..run.store import Store
from .findings import Fault
from .own import is_linked, rows_of_folder


def delete_fault(store: Store, fault: Fault) -> list[str]:
    """What went, relative to OUT. `store` is locked, and the fault was found since."""
    if fault.mend != "delete":
        raise ValueError(f"{fault.where} is not to be deleted")
    parts = PurePosixPath(fault.where).parts
    if len(parts) == 3 and parts[:2] == ("parts", "clips"):  # a second copy of a unit, which goes whole
        unit = parts[2].removesuffix(".parquet")
        places = [
            store.part(table, unit).relative_to(store.out).as_posix() for table in ("clips", *UNIT_TABLES, "attempts")
        ]
        return [place for place in dict.fromkeys(places) if _delete_file(store, place)]
    if parts[0] == "parts":
        return [fault.where] if _delete_file(store, fault.where) else []
    if is_linked(store.out, fault.where):
        return []
    path = store.out / fault.where
    if path.is_dir():
        return _delete_hollow(store, fault.where)
    went = _delete_file(store, fault.where)
    if store.copy is not None and fault.where in store.copy.remote.list(fault.where.rpartition("/")[0], deep=False):
        store.copy.remote.delete([fault.where])
        went = True
    if went:
        prune(store, path.parent)
    return [fault.where] if went else []


def _delete_file(store: Store, told: str) -> bool:
    path = store.out / told
    if is_linked(store.out, told) or not path.is_file():
        return False
    path.unlink()
    return True


def _delete_hollow(store: Store, told: str) -> list[str]:
    """Folders that hold no file, from the innermost; one that holds something by now stays, and all above it."""
    went: list[str] = []
    for entry in rows_of_folder(store.out / told):
        if entry.is_dir(follow_symlinks=False):
            went += _delete_hollow(store, f"{told}/{entry.name}")
    if not rows_of_folder(store.out / told):
        (store.out / told).rmdir()
        went.append(told)
    return went


def prune(store: Store, folder: Path) -> None:
    """Folders below clips/ that hold nothing any more go, upwards from this one."""
    clips = store.out / "clips"
    while clips in folder.parents and folder.is_dir() and not rows_of_folder(folder):
        folder.rmdir()
        folder = folder.parent
