"""Which exports were made of a data set, in OUT/.cgtool/exports/: so that a removal can tell where a clip went.

The folder of an export is named there in full. It stays in .cgtool, which nothing publishes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.atomic import write_json
from ..core.errors import InputError
from ..run.store import Store


@dataclass(frozen=True)
class NotedExport:
    """One export that was finished."""

    format: str
    dest: str
    """Absolute."""
    made_at: str
    """ISO 8601, UTC."""
    version: str
    """Of the data set, when it was exported."""
    clips: tuple[str, ...]
    """Ids of the clips in it that the data set still has."""
    outdated: bool = False
    """Whether it also holds clips that were removed since."""


def note_export(store: Store, *, to: str, dest: Path, version: str, clips: Sequence[str], made_at: str) -> NotedExport:
    """Remember a finished export; an earlier one to the same place is replaced.

    Args:
        made_at: ISO 8601, UTC.
    Raises:
        DiskFullError: no space left.
    """
    noted = NotedExport(to, str(dest.resolve()), made_at, version, tuple(clips))
    digest = hashlib.sha256(f"{noted.format}\n{noted.dest}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    _write(_folder(store) / f"{digest}.json", noted)
    return noted


def exports_with(store: Store, clip_ids: Collection[str]) -> list[NotedExport]:
    """The exports that hold one of these clips, in the order they were made.

    Raises:
        InputError: a note is damaged.
    """
    wanted = set(clip_ids)
    found = [noted for _, noted in _read(store) if not wanted.isdisjoint(noted.clips)]
    return sorted(found, key=lambda noted: (noted.made_at, noted.dest))


def outdated_exports(store: Store) -> list[NotedExport]:
    """The exports that hold clips which were removed since, in the order they were made; one made anew is none.

    Raises:
        InputError: a note is damaged.
    """
    return sorted((noted for _, noted in _read(store) if noted.outdated), key=lambda noted: (noted.made_at, noted.dest))


def forget_clips(store: Store, clip_ids: Collection[str]) -> list[NotedExport]:
    """Take clips that were removed out of the notes. The exports that hold them are outdated from then on.

    Returns:
        Those exports, as they are noted now.
    Raises:
        InputError: a note is damaged.
        DiskFullError: no space left.
    """
    gone, changed = set(clip_ids), []
    for path, noted in _read(store):
        if not gone.isdisjoint(noted.clips):
            left = tuple(clip_id for clip_id in noted.clips if clip_id not in gone)
            outdated = NotedExport(noted.format, noted.dest, noted.made_at, noted.version, left, outdated=True)
            _write(path, outdated)
            changed.append(outdated)
    return changed


def _folder(store: Store) -> Path:
    return store.work / "exports"


def _write(path: Path, noted: NotedExport) -> None:
    write_json(path, {**asdict(noted), "clips": list(noted.clips)})


def _read(store: Store) -> list[tuple[Path, NotedExport]]:
    found = []
    for path in sorted(_folder(store).glob("[!.]*.json")):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            found.append((path, NotedExport(**{**value, "clips": tuple(value["clips"])})))
        except (ValueError, KeyError, TypeError) as exc:
            raise InputError(f"{path} is damaged ({exc})", "Delete it, and look after that export by hand") from exc
    return found
