"""Frames that do not lie where their table says, because a folder below OUT/clips is a symbolic link.

To delete the link would leave the pictures. Those that lie inside OUT all the same are deleted where they are; what
lies outside is the user's to delete: it is told, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.errors import InputError
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
    behind = {path for told, path in real.items() if path != clips / PurePosixPath(told).relative_to("clips")}
    behind = {path for path in behind if path.is_file()}
    if not behind:
        return Linked()
    stays = {_real(store, unit, told, folders) for told in kept}

    def is_own(path: Path) -> bool:
        in_clips = path.relative_to(clips).parts[0] if path.is_relative_to(clips) else unit
        return path not in stays and in_clips == unit and (path.is_relative_to(out) or path.is_relative_to(clips))

    inside = {path for path in behind if is_own(path)}
    return Linked(tuple(sorted(inside)), tuple(sorted(behind - inside)))


def delete_linked(store: Store, unit: str, gone: Collection[str], kept: Collection[str] = ()) -> None:
    """Delete the frames behind links that lie in OUT, and their folders where nothing else is in them."""
    for path in (inside := linked_frames(store, unit, gone, kept).inside):
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
    if not told.startswith(f"clips/{unit}/") or ".." in PurePosixPath(told).parts:
        return None
    path = store.out / told
    if path.parent not in folders:
        folders[path.parent] = path.parent.resolve()
    path = folders[path.parent] / path.name
    return path.resolve() if path.is_symlink() else path
