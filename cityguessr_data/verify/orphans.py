"""Files under clips/ and parts/ that no row names: those with the very names of our own layout are deleted by a repair.

Anything else is somebody's own file, which is told and stays; so is all that lies below a link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.frame_files import FrameFiles, split_member
from ..core.schemas import AFTERWARDS, TABLES, UNIT_TABLES
from ..core.words import n_of
from ..run.store import Store
from .findings import Fault, Findings, Mend
from .own import are_own_members, is_own_frame, rows_of_folder
from .tars import tar_oddity
from .unit import UnitTables

_CHECK = "orphans"
_OWN_HINT = "It is not cgtool's: move it elsewhere"
UNKNOWN_HINT = "No table says what it is: delete it, or run the build command that made it"


@dataclass(frozen=True)
class Units:
    """What the parts and the rows say of units, for those that have no clips part."""

    committed: Collection[str]
    """With a clips part, or whose commit is under way or told as lost."""
    asked: Collection[str]
    """Those that can be done again: it is remembered what was asked of them."""
    over: Collection[str]
    """Of which a videos part says that they have no clips: dropped, failed or removed."""
    removed: Collection[str]
    """Of these the ones that were removed for good."""
    is_tar: bool
    """The layout of the data set."""

    def mend(self, unit: str) -> Mend:
        """What becomes of what has our names and belongs to a unit that is not committed."""
        if unit in self.removed:
            return "delete"
        if unit in self.asked:
            return "redo"
        return "delete" if unit in self.over else "person"


def check_unit_files(store: Store, unit: UnitTables, files: FrameFiles, is_tar: bool, findings: Findings) -> None:
    """Files and members of tars of one committed unit that none of its rows names."""
    named, members, clips = set[str](), set[str](), {clip["clip_id"] for clip in unit.clips}
    for path in unit.frames["path"]:
        file, member = split_member(path)
        (named if member is None else members).add(file if member is None else path)
    for told, is_own in _files(store, unit.name, named):
        findings.looked(_CHECK)
        if told not in named:
            own = is_own and is_own_frame(told, unit.name, clips)
            findings.add(_stray(told, unit.name, "no row names it", "delete" if own else "person"))
    for told in _hollow(store, f"clips/{unit.name}"):
        findings.add(Fault(_CHECK, told, "holds no file", "delete", unit.name))
    tar = store.tar(unit.name)
    if in_the_way := _no_file(store, unit.name):
        findings.looked(_CHECK, len(in_the_way))
        findings.extend(
            _stray(told, unit.name, "lies where the tar of this video belongs", "person") for told in in_the_way
        )
    elif members or tar.is_symlink() or tar.exists():
        findings.looked(_CHECK)
        _check_tar(store, unit.name, members, clips, files, is_tar, findings)


def _check_tar(
    store: Store,
    unit: str,
    members: Collection[str],
    clips: Collection[str],
    files: FrameFiles,
    is_tar: bool,
    findings: Findings,
) -> None:
    """The tar of a committed unit has the frames of its rows, each once, and nothing else in any byte."""
    told = store.tar(unit).relative_to(store.out).as_posix()
    if not members:
        own = is_tar and not store.tar(unit).is_symlink() and is_own_tar(files, told, unit, clips)
        findings.add(_stray(told, unit, "no row names a frame of it", "delete" if own else "person"))
        return
    try:
        inside, odd = files.members(told), tar_oddity(files, told)
    except OSError:
        return  # its frames are told as missing
    extra = [member for member in inside if f"{told}#{member}" not in members]
    if extra:
        what = f"holds {n_of(len(extra), 'member')} that no row names, such as {extra[0]}"
        findings.add(Fault(_CHECK, told, what, "redo", unit))
    elif odd:
        findings.add(Fault(_CHECK, told, odd, "redo", unit))


def _no_file(store: Store, unit: str) -> list[str]:
    """What lies where the tar of a unit belongs, where that is no file: all that is in a folder, or its path."""
    tar = store.tar(unit)
    if tar.is_symlink() or tar.is_file() or not tar.exists():
        return []
    return [told for told, _ in _files(store, tar.name, ())] or [tar.relative_to(store.out).as_posix()]


def is_own_tar(files: FrameFiles, told: str, unit: str, clips: Collection[str] = ()) -> bool:
    """Whether a tar is one that a build made of this unit, whatever the tables say: by its bytes and its names."""
    try:
        return tar_oddity(files, told) is None and are_own_members(files.members(told), unit, clips)
    except OSError:
        return False


def check_clips_folder(store: Store, units: Units, files: FrameFiles, findings: Findings) -> None:
    """What lies in OUT/clips and belongs to no committed unit."""
    for entry in rows_of_folder(store.out / "clips"):
        told = f"clips/{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        unit = entry.name if is_folder or entry.is_symlink() else entry.name.removesuffix(".tar")
        if unit.removesuffix(".tar") in units.committed and (entry.is_dir() or entry.name.endswith(".tar")):
            continue
        findings.looked(_CHECK)
        if entry.is_symlink() or not (is_folder or entry.name.endswith(".tar")):
            if unit in units.committed:
                findings.add(_stray(told, unit, "lies where the folder of this video belongs", "person"))
            else:
                findings.add(_stray(told, None, "belongs to no unit", "person"))
        elif not is_folder:
            mend = units.mend(unit) if units.is_tar and is_own_tar(files, told, unit) else "person"
            findings.add(_stray(told, unit if mend == "redo" else None, "is of no committed unit", mend))
        else:
            for path, is_own in _files(store, unit, ()):
                mend = units.mend(unit) if is_own and is_own_frame(path, unit, ()) else "person"
                findings.add(_stray(path, unit if mend == "redo" else None, "no row names it", mend))
            for path in _hollow(store, told):
                findings.add(Fault(_CHECK, path, "holds no file, and is of no unit", "delete"))


def holds_others(store: Store, unit: str, *, is_tar: bool) -> bool:
    """Whether anything lies where a commit of this unit puts its frames that a build has not made, by its name.

    For a unit whose tables cannot be read; what rows name is not known then, nor what lies behind links.
    """
    own = all(is_own and is_own_frame(told, unit, ()) for told, is_own in _files(store, unit, ()))
    folder = store.out / "clips" / unit
    tar = store.tar(unit)
    in_the_way = tar.exists() and not (is_tar and tar.is_file())
    return not own or folder.is_symlink() or folder.is_file() or in_the_way


def check_parts_folder(store: Store, names: Collection[str], units: Units, findings: Findings) -> None:
    """What lies in OUT/parts and belongs to no committed unit.

    Args:
        names: of all units that have a part of any table.
    """
    known = {*TABLES, *AFTERWARDS}
    for folder in rows_of_folder(store.out / "parts"):
        if folder.name not in known or folder.is_symlink():
            findings.looked(_CHECK)
            findings.add(Fault(_CHECK, f"parts/{folder.name}", "is no table", "person", hint=_OWN_HINT))
            continue
        for entry in rows_of_folder(Path(folder.path)):
            if not entry.name.endswith(".parquet") and not entry.name.startswith("."):
                findings.looked(_CHECK)
                told = f"parts/{folder.name}/{entry.name}"
                findings.add(Fault(_CHECK, told, "is no part of a table", "person", hint=_OWN_HINT))
    for name in sorted(set(names) - set(units.committed)):
        for table in UNIT_TABLES:
            path = store.part(table, name)
            if table in ("frames", "faces") and path.exists():
                findings.looked(_CHECK)
                mend = "person" if path.is_symlink() else units.mend(name)
                told = f"parts/{table}/{name}.parquet"
                findings.add(_stray(told, name if mend == "redo" else None, "has no clips part", mend, UNKNOWN_HINT))


def _stray(told: str, unit: str | None, what: str, mend: Mend, hint: str = _OWN_HINT) -> Fault:
    return Fault(_CHECK, told, what, mend, unit, hint=hint if mend == "person" else "")


def _files(store: Store, unit: str, named: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Every file below the folder of a unit, and whether no link leads to it or is it.

    A link is entered only where rows name files below it: a clip's folder may lie on another disk.
    """
    above = {parent.as_posix() for path in named for parent in PurePosixPath(path).parents}

    def walk(told: str, is_own: bool) -> Iterator[tuple[str, bool]]:
        for entry in rows_of_folder(store.out / told):
            path, is_link = f"{told}/{entry.name}", entry.is_symlink()
            if entry.is_dir() and (not is_link or path in above):
                yield from walk(path, is_own and not is_link)
            else:
                yield path, is_own and entry.is_file(follow_symlinks=False)

    top = f"clips/{unit}"
    is_link = (store.out / top).is_symlink() or (store.out / "clips").is_symlink()
    if not is_link or top in above:
        yield from walk(top, not is_link)


def _hollow(store: Store, told: str) -> list[str]:
    """Folders at or below a path that hold no file and no link at any depth: the topmost ones."""

    def look(path: str) -> tuple[bool, list[str]]:
        hollow, found = True, list[str]()
        for entry in rows_of_folder(store.out / path):
            if entry.is_dir(follow_symlinks=False):
                inner, below = look(f"{path}/{entry.name}")
                hollow, found = hollow and inner, found + below
            else:
                hollow = False
        return hollow, [path] if hollow else found

    return look(told)[1] if (store.out / told).is_dir() and not (store.out / told).is_symlink() else []
