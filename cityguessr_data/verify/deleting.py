"""Deletes what a look under the lock found to be cgtool's own and named by nobody: by exact names, never by a link.

Where the tables of a video are in doubt, nothing of it is: what they do not name may be all that is left of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.schemas import UNIT_TABLES
from ..run.store import Store
from .findings import Fault, Findings
from .from_manifests import named_by_manifest
from .own import is_linked, rows_of_folder


@dataclass(frozen=True)
class Deleted:
    """What became of what no part names: paths relative to OUT."""

    gone: list[str]
    kept: list[str]
    """Of a video whose tables are in doubt."""
    named: list[str]
    """Of these what the manifests name."""


def delete_unnamed(store: Store, found: Findings, redone: Collection[str], left: Collection[str]) -> Deleted:
    """Delete all that was found to be cgtool's own and named by no part, where nothing speaks against it.

    Args:
        redone: units that were done again since: what lies there now was committed, and may have the same names.
        left: units that were to be done again, and stayed as they were.
    """
    done = {f"clips/{unit}/" for unit in redone} | {f"clips/{unit}.tar" for unit in redone}
    faults = [fault for fault in found.mended_by("delete") if not fault.where.startswith(tuple(done))]
    doubtful = {*left, *(fault.unit for fault in found.of("tables"))}
    named = named_by_manifest(store, [fault.where for fault in faults if fault.where.startswith("clips/")])
    gone, kept = list[str](), list[str]()
    for fault in faults:
        is_frames = fault.where.startswith("clips/") and not (store.out / fault.where).is_dir()
        unit = fault.unit or PurePosixPath(fault.where).parts[1].removesuffix(".tar")
        if is_frames and (unit in doubtful or fault.where in named):
            kept.append(fault.where)
        else:
            gone += delete_fault(store, fault)
    return Deleted(gone, kept, sorted(named & set(kept)))


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
