"""A search of yt-dlp's for tests: a real extractor that asks a loopback server, and answers as YouTube's search does.

    register(); server = SearchServer(...)     in this process
    python -c SEARCHING sources suggest ...    the command line with it, in a process of its own

Its entries have the shape that yt-dlp gives a flat result of YouTube's search: no licence, no date.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yt_dlp.globals
from yt_dlp.extractor import import_extractors
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor
from yt_dlp.utils import ExtractorError

from cityguessr_data.media import talking
from tests.support_server import Server

KEY = "looptest"
BASE = "CGTOOL_TEST_SEARCH"
"""Environment variable: the server's url."""
SEARCHING = "from tests.support_search import register; register(); from cgtool.app import main; main()"
PER_PAGE = 5


class LoopVideoIE(InfoExtractor):  # type: ignore[misc]
    """The page of one video: JSON with what it says, or with an error of the site."""

    IE_NAME = "LoopVideo"
    _VALID_URL = r"http://127\.0\.0\.1:\d+/(?:watch|shorts)/(?P<id>[A-Za-z0-9_-]+)"

    def _real_extract(self, url: str) -> dict[str, Any]:
        info = self._download_json(url, self._match_id(url))
        if "error" in info:
            raise ExtractorError(info["error"], expected=True)
        return {"id": self._match_id(url), "formats": [{"url": f"{url}.mp4", "format_id": "1"}], **info}


class LoopSearchIE(SearchInfoExtractor):  # type: ignore[misc]
    """Pages of PER_PAGE results, asked for as they are needed."""

    IE_NAME = "loop:search"
    _SEARCH_KEY = KEY

    def _search_results(self, query: str) -> Iterator[dict[str, Any]]:
        for page in range(1, 100):
            url = f"{os.environ[BASE]}/search/{slug(query)}/{page}"
            results = self._download_json(url, query)
            if "error" in results:
                raise ExtractorError(results["error"], expected=True)
            yield from results["entries"]
            if results["last"]:
                return


def slug(query: str) -> str:
    """A query as part of a path."""
    return re.sub(r"[^a-z0-9]+", "-", query.lower())


def register() -> None:
    """Make both known to yt-dlp, before its own, which end with one that takes every link."""
    if register not in talking.BEFORE_TALKS:
        talking.BEFORE_TALKS.append(register)
    import_extractors()
    own = {"LoopSearchIE": LoopSearchIE, "LoopVideoIE": LoopVideoIE}
    yt_dlp.globals.extractors.value = {**own, **yt_dlp.globals.extractors.value}


class SearchServer(Server):
    """Answers searches and pages of videos made up in the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ[BASE] = self.url("")

    def entry(self, video: str, minutes: float | None = 15, *, short: bool = False, **changes: Any) -> dict[str, Any]:
        """A flat result as yt-dlp gives it for YouTube's search."""
        return {
            "_type": "url",
            "ie_key": "LoopVideo",
            "id": video,
            "url": self.url(f"/{'shorts' if short else 'watch'}/{video}"),
            "title": f"Walk {video}",
            "description": None,
            "duration": None if minutes is None else minutes * 60,
            "channel_id": f"UC{video}",
            "channel": f"Channel of {video}",
            "channel_url": f"https://example.org/UC{video}",
            "uploader": f"Channel of {video}",
            "thumbnails": [{"url": "https://example.org/t.jpg", "height": 90, "width": 120}],
            "timestamp": None,
            "availability": None,
            "view_count": 1234,
            "live_status": None,
            "channel_is_verified": None,
            **changes,
        }

    def finds(self, query: str, entries: Sequence[dict[str, Any]]) -> None:
        """What a query finds, over pages; and a page for each video, which tells a licence."""
        pages = [entries[n : n + PER_PAGE] for n in range(0, len(entries), PER_PAGE)] or [[]]
        for number, page in enumerate(pages, 1):
            content = {"entries": page, "last": number == len(pages)}
            self.page(f"/search/{slug(query)}/{number}", json.dumps(content), "application/json")
        for one in entries:
            about = {k: one[k] for k in ("title", "duration", "channel")}
            self.tells(one["id"], **about, license="Creative Commons Attribution", upload_date="20240229")

    def refuses(self, query: str, error: str) -> None:
        """A query gets an error of the site."""
        self.page(f"/search/{slug(query)}/1", json.dumps({"error": error}), "application/json")

    def tells(self, video: str, **info: Any) -> None:
        """What the page of a video says."""
        for kind in ("watch", "shorts"):
            self.page(f"/{kind}/{video}", json.dumps(info), "application/json")
