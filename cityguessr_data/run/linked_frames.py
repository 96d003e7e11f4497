"""Frames that do not lie where their table says, because a folder or a tar below OUT/clips is a symbolic link.

To delete the link would leave the pictures. Those that lie inside OUT all the same are deleted where they are; what
lies outside is the user's to delete: it is told, and stays. A tar counts as one file, with all that is in it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.errors import InputError
from ..core.frame_files import split_member
from .store import Store


@dataclass(frozen=True)
class Linked:
    """Where frames behind links really are."""

    inside: tuple[Path, ...] = ()
    """In OUT, and nobody else's."""
    outside: tuple[Path, ...] = ()
    """Outside OUT, or under OUT as the frames of a clip that stays."""


def linked_frames(store: Store, unit: str, gone: Iterable[str], kept: Iterable[str] = ()) -> Linked:
    """The frames of a unit that lie behind a link below OUT/clips; files that are not there are left out.

    Args:
        gone: paths of the frames table that are to go.
        kept: those of the same unit that stay.
    """
    clips, out, folders = (store.out / "clips").resolve(), store.out.resolve(), dict[Path, Path]()
    real = {told: path for told in gone if (path := _real(store, unit, told, folders)) is not None}
    behind = {path for told, path in real.items() if path != clips / PurePosixPath(_file(told)).relative_to("clips")}
    behind = {path for path in behind if path.is_file()}
    if not behind:
        return Linked()
    tar = _linked_tar(store, unit)
    stays = {_real(store, unit, told, folders) for told in kept}

    def is_own(path: Path) -> bool:
        in_clips = path.relative_to(clips).parts[0] if path.is_relative_to(clips) else unit
        its_own = in_clips in (unit, f"{unit}.tar") and (path.is_relative_to(out) or path.is_relative_to(clips))
        return its_own and (path == tar or path not in stays)  # what stays of a tar is copied out of it

    inside = {path for path in behind if is_own(path)}
    return Linked(tuple(sorted(inside)), tuple(sorted(behind - inside)))


def delete_linked(store: Store, unit: str, gone: Collection[str], kept: Collection[str] = ()) -> None:
    """Delete the frames behind links that lie in OUT, and their folders where nothing else is in them.

    A tar takes the place of its link: the commit that follows deletes it, and a kill before that loses nothing.
    """
    tar, inside = _linked_tar(store, unit), linked_frames(store, unit, gone, kept).inside
    for path in inside:
        if path == tar:
            os.replace(path, store.tar(unit))  # noqa: PTH105 - the word says that the target may exist
        else:
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in inside}:
        if not any(folder.iterdir()):
            folder.rmdir()


def refuse_broken_links(store: Store) -> None:
    """Nobody can tell what lies behind a link that leads nowhere, such as to a disk that is not mounted.

    Raises:
        InputError: there is one under OUT/clips.
    """
    for pattern in ("*", "*/*"):
        for path in sorted((store.out / "clips").glob(pattern)):
            if path.is_symlink() and not path.exists():
                raise InputError(
                    f"{path} is a link to {path.readlink()}, which is not there",
                    "Bring it back (is its disk mounted?) or delete the link; nothing was changed",
                )


def _real(store: Store, unit: str, told: str, folders: dict[Path, Path]) -> Path | None:
    """Where a frame really is; None for one that is no file of this unit under OUT/clips."""
    file = _file(told)
    if not (file.startswith(f"clips/{unit}/") or file == f"clips/{unit}.tar") or ".." in PurePosixPath(file).parts:
        return None
    path = store.out / file
    if path.parent not in folders:
        folders[path.parent] = path.parent.resolve()
    path = folders[path.parent] / path.name
    return path.resolve() if path.is_symlink() else path


def _linked_tar(store: Store, unit: str) -> Path | None:
    """Where the tar of a unit really is; None on another disk, from where it cannot take the place of its link."""
    tar = store.tar(unit)
    return tar.resolve() if tar.exists() and tar.stat().st_dev == tar.parent.stat().st_dev else None


def _file(told: str) -> str:
    return split_member(told)[0]
