"""Deletes what the caches hold of removed videos and clips: sources, partial downloads, kept clips.

Only files that a build downloaded or made, by its own notes: a local file of the user's is never one of them, nor is
the source of another data set in a shared cache, whose note there names another link.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.remote.place import folder_at, url_of
from .remote.cache import delete_stored, noted_url, stored_sources
from .store import Store
from .tombstones import same_link


@dataclass(frozen=True)
class Unwanted:
    """Of what the caches may keep nothing."""

    sources: Mapping[str, Collection[str]]
    """Ids of videos, each with every link that this data set had for it: their sources, whole or half downloaded."""
    videos: frozenset[str]
    """Ids of videos: the kept files of all their clips."""
    clips: frozenset[str]
    """Ids of clips: their kept files."""


@dataclass(frozen=True)
class ClearedCache:
    """What went from the caches."""

    files: int = 0
    bytes: int = 0
    elsewhere: tuple[Path, ...] = ()
    """Caches that were left alone: OUT was copied or moved, and what they hold may be another data set's."""


def cached_files(store: Store, unwanted: Unwanted) -> list[Path]:
    """The files in the caches noted in OUT that must go."""
    cached = store.plan().get("cached", {})
    fetched = unwanted.sources.keys() & set(cached.get("fetched", ()))
    known = set(cached.get("videos", ()))
    found: set[Path] = set()
    for folder in map(folder_at, cached.get("folders", ())):
        own = {video_id for video_id in fetched if _is_own(folder, video_id, unwanted.sources[video_id])}
        found.update(path for path in _files(folder / "sources") if _stem(path) in own)
        for video_id in fetched:
            found.update(_files(folder / "partial" / video_id, "**/*"))
        for path in (folder / "clips").glob("*"):
            video_id, _, number = _stem(path).rpartition("_")
            is_unwanted = video_id in unwanted.videos or _stem(path) in unwanted.clips
            if number.isdecimal() and video_id in known and is_unwanted:
                found.update(_files(path, "**/*") if path.is_dir() and not path.is_symlink() else [path])
    return sorted(found)


def stored_objects(store: Store, unwanted: Unwanted) -> dict[Path, dict[str, int]]:
    """Of each cache that works for an object store: name -> bytes of the objects that must go."""
    cached = store.plan().get("cached", {})
    fetched, found = unwanted.sources.keys() & set(cached.get("fetched", ())), {}
    for folder in map(folder_at, cached.get("folders", ())):
        if url_of(folder) is not None:
            own = {video_id for video_id in fetched if _is_own(folder, video_id, unwanted.sources[video_id])}
            found[folder] = stored_sources(folder, own)
    return found


def would_clear(store: Store, unwanted: Unwanted) -> ClearedCache:
    """What `clear_caches` would delete."""
    sizes = [path.lstat().st_size for path in cached_files(store, unwanted)]
    sizes += [size for names in stored_objects(store, unwanted).values() for size in names.values()]
    return ClearedCache(len(sizes), sum(sizes))


def clear_caches(store: Store, unwanted: Unwanted) -> ClearedCache:
    """Delete them; where OUT was copied or moved since its last build, only say which caches may hold some."""
    plan = store.plan()
    doomed = cached_files(store, unwanted)
    if plan.get("out") != store.place:
        return ClearedCache(elsewhere=tuple(sorted({_cache_of(path, plan["cached"]["folders"]) for path in doomed})))
    would = would_clear(store, unwanted)
    for folder, names in stored_objects(store, unwanted).items():
        delete_stored(folder, names)
    for path in doomed:
        path.unlink(missing_ok=True)
    for folder in map(folder_at, plan["cached"]["folders"]):
        for partial in (folder / "partial" / video_id for video_id in unwanted.sources):
            if partial.is_dir() and not partial.is_symlink() and not any(p.is_file() for p in partial.rglob("*")):
                shutil.rmtree(partial)
    return would


def _is_own(folder: Path, video_id: str, links: Collection[str]) -> bool:
    """Whether the source in a cache is the video of these links: it has no note, or one that names such a link."""
    try:
        noted: str | None = json.loads((folder / "sources" / f"{video_id}.json").read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        noted = noted_url(folder, video_id)
    if noted is None:
        return True  # half deleted or half written, and nobody can use it
    return not links or same_link(str(noted)) in {same_link(link) for link in links}


def _files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    return (path for path in folder.glob(pattern) if path.is_file() or path.is_symlink())


def _stem(path: Path) -> str:
    """The video or clip of a file's name, also of one that is still being written."""
    return path.name.lstrip(".").partition(".")[0]


def _cache_of(path: Path, folders: Collection[str]) -> Path:
    return next(folder for folder in map(folder_at, folders) if folder in path.parents)
