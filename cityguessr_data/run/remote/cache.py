"""What a cache on an object store holds of some videos, and its deletion. A cache that is a folder holds nothing so."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ...core.remote.place import url_of
from ...media.source_cache import SourceCache

SENT = ".sent"
"""Ending of the mark of a local file that is a copy of an object (media/source_cache.py)."""
_FEW = 20
"""Videos of which each is asked about alone; of more, the whole cache is listed."""


def stored_sources(folder: Path, video_ids: Collection[str]) -> dict[str, int]:
    """Name -> bytes of every object that a cache has of these videos.

    Raises:
        MachineError, StopError: the object store refuses, or does not answer.
    """
    if url_of(folder) is None or not video_ids:
        return {}
    remote = SourceCache(folder).remote
    if remote is None:
        return {}
    if len(video_ids) <= _FEW:
        listed = {k: v for video_id in video_ids for k, v in remote.list("sources", start=f"{video_id}.").items()}
    else:
        listed = remote.list("sources")
    wanted = set(video_ids)
    return {name: entry.size for name, entry in listed.items() if _video(name) in wanted}


def delete_stored(folder: Path, names: Collection[str]) -> None:
    """Delete such objects, notes first: without its note a file does not count as whole."""
    remote = SourceCache(folder).remote if names else None
    if remote is not None:
        remote.delete(name for name in names if name.endswith(".json"))
        remote.delete(name for name in names if not name.endswith(".json"))


def noted_url(folder: Path, video_id: str) -> str | None:
    """The link that the note of a video names there; None where it has none."""
    note = SourceCache(folder).noted(video_id)
    return None if note is None else str(note.get("url"))


def _video(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]
