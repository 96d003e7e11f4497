"""What a killed run leaves: staged videos, a commit that was cut short, files half written. The next run clears them.

None of it is seen by a reader of the tables, so it is no loss; it is a fault only in that it is there.
"""

from __future__ import annotations

from pathlib import Path

from ..core.schemas import AFTERWARDS, TABLES
from ..core.words import is_or_are, n_of
from ..run.store import Store
from .findings import Fault, Findings
from .own import is_own_partial, is_own_probe

_CHECK = "leftovers"


def unfinished_commits(store: Store) -> set[str]:
    """Units whose commit was decided and is not carried out: their parts may be of two results."""
    return {path.name for path in (store.work / "ready").glob("*")}


def check_leftovers(store: Store, findings: Findings) -> None:
    """See the module."""
    told = {
        "staging": "was being worked on when a run ended",
        "ready": "its commit was cut short",
        "trash": "was replaced, and is to be deleted",
        "manifests": "was being put together when a run ended",
    }
    for name, what in told.items():
        for path in sorted((store.work / name).glob("*")):
            _add(store, path, what, findings)
    for path in sorted(store.work.glob("probe.*")):
        if is_own_probe(path.name):
            _add(store, path, "is left of a look whether it can be written", findings)
    folders = written_folders(store)
    for folder in folders:
        for path in sorted(folder.glob(".*.partial")):
            if is_own_partial(path.name):
                _add(store, path, "is half written", findings)
    if aside := sorted((store.work / "set_aside").glob("*")):
        what = f"{n_of(len(aside), 'thing')} that {'was' if len(aside) == 1 else 'were'} in the way"
        line = f"{what} {is_or_are(len(aside))} set aside in .cgtool/set_aside, such as {aside[0].name}"
        findings.notes.append(f"{line}: see what it is, and take it away")
    findings.looked(_CHECK, len(told) + len(folders))


def written_folders(store: Store) -> list[Path]:
    """Those in which files are written under another name first."""
    return [store.out, store.work, store.out / "manifests", store.out / "splits", *_tables(store)]


def _tables(store: Store) -> list[Path]:
    side = [store.work / "originals", *(store.work / "review").glob("*"), store.work / "exports"]
    return [*(store.out / "parts" / table for table in (*TABLES, *AFTERWARDS)), *(one for one in side if one.is_dir())]


def _add(store: Store, path: Path, what: str, findings: Findings) -> None:
    findings.add(Fault(_CHECK, path.relative_to(store.out).as_posix(), what, "recover"))
