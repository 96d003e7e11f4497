"""Finds the source video that a committed result was made from, where it is still at hand and still the same file."""

from __future__ import annotations

import threading
from pathlib import Path

from ..core.fingerprint import file_sha256
from ..core.remote.place import folder_at
from ..media.ids import is_local
from ..media.source_cache import SourceCache
from .store import Store

_Mark = tuple[str, int, int]


class KeptSources:
    """The sources of an output directory: in the caches of its builds, or local files where they lie.

    A file counts only with the SHA-256 that the videos table has. Digests of local files are taken once a process. From
    a cache on an object store a file is brought here when it is asked for.
    """

    def __init__(self, store: Store) -> None:
        plan = store.plan()
        folders = [*plan.get("cached", {}).get("folders", ()), *([plan["cache"]] if "cache" in plan else [])]
        self.caches = [SourceCache(folder_at(folder)) for folder in dict.fromkeys(folders)]
        self._brought: list[tuple[SourceCache, str]] = []
        self._digests: dict[_Mark, str] = {}
        self._lock = threading.Lock()

    def find(self, video_id: str, url: str, sha256: str | None) -> Path | str:
        """The file, or in one sentence why there is none.

        Args:
            url, sha256: of the videos table.
        """
        if not sha256:
            return "the tables do not say which file it was made from"
        if is_local(url):
            path = Path(url)
            if not path.is_file():
                return "its source file is not where it was"
            return path if self._digest(path) == sha256 else "its source file has changed since"
        for cache in self.caches:
            was_here = cache.is_here(video_id, url)
            found = cache.find(video_id, url)
            if found is not None and not was_here:
                self._brought.append((cache, video_id))
            if found is not None and found.sha256 == sha256:
                return found.path
        return "its source is no longer in the cache"

    def let_go(self) -> None:
        """Delete the local copies of what `find` brought here from an object store. Nobody may be reading them."""
        while self._brought:
            cache, video_id = self._brought.pop()
            cache.release(video_id)

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        mark = (str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if mark not in self._digests:
                self._digests[mark] = file_sha256(path)
            return self._digests[mark]
