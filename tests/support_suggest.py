"""A search made up in the test, for what `sources suggest` does with its answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cityguessr_data.media.search import FoundVideo, search_config
from cityguessr_data.suggest.config import SuggestConfig
from cityguessr_data.suggest.suggesting import SuggestResult, suggest


class FakeSearcher:
    """Finds what it was told, by query; an exception instead of a list is raised, also by the look-up of its id."""

    def __init__(self, found: Mapping[str, Sequence[str] | BaseException]) -> None:
        self.found = found
        self.asked: list[str] = []

    def search(self, query: str, n: int, stop: threading.Event | None = None) -> tuple[FoundVideo, ...]:
        self.asked.append(query)
        found = self.found.get(query, ())
        if isinstance(found, BaseException):
            raise found
        return tuple(FoundVideo(f"https://example.org/{one}", one, duration_s=900.0) for one in found)

    def look_up(self, video: FoundVideo, stop: threading.Event | None = None) -> FoundVideo:
        found = self.found.get(video.video_id)
        if isinstance(found, BaseException):
            raise found
        return video


def run_suggest(table: Path, searcher: Any, **options: Any) -> SuggestResult:
    """Suggest over a table that may be there."""
    given: dict[str, Any] = {"replace": True, "network": search_config(1e9), **options}
    return suggest(SuggestConfig(table=table, **given), searcher=searcher)
