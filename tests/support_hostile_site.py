"""A video site of the tests that says whatever it likes: a real extractor of yt-dlp that asks a loopback server.

register()                            in this process
python -c BUILDING build-dataset ...  the command line with it, impatient, in a process of its own
server.page("/site/x", told(url=...)) what the page of video x says; see HostileSiteIE
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yt_dlp.globals
from yt_dlp.extractor import import_extractors
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError

from cityguessr_data.media import talking

BUILDING = (
    "from tests.support_hostile_site import hurry, register; register(); hurry(); from cgtool.app import main; main()"
)
RETRIES = 2
"""That `hurry` sets: a request that fails is made three times."""

PUBLIC = frozenset({"127.0.0.1", "127.0.0.2"})


class HostileSiteIE(InfoExtractor):  # type: ignore[misc]
    """`/site/<id>`: JSON that is returned as it is, but

    "says": "..."   an error of the site in these words
    "raises": "..." any other exception, by name
    "returns": ...  this instead of a dictionary
    "pages": n      a list of pages /site/<id>/<n>, each with "entries"; n = 0: without end
    """

    IE_NAME = "hostile"
    _VALID_URL = r"http://127\.0\.0\.\d+:\d+/site/(?P<id>[^/?#]+)$"

    def _real_extract(self, url: str) -> Any:
        video = self._match_id(url)
        said = self._download_json(url, video)
        if "says" in said:
            raise ExtractorError(said["says"], expected=True)
        if "raises" in said:
            raise {"RecursionError": RecursionError, "KeyError": KeyError, "MemoryError": MemoryError}[said["raises"]](
                "\x1b[2J<script>"
            )
        if "returns" in said:
            return said["returns"]
        if "pages" in said:
            return self.playlist_result(self._paged(url, said["pages"]), video)
        return {"id": video, **said}

    def _paged(self, url: str, pages: int) -> Iterator[Any]:
        n = 0
        while not pages or n < pages:
            n += 1
            try:
                page = self._download_json(f"{url}/{n}", "page")
            except Exception:  # noqa: BLE001 - as some extractors do: a page that fails is taken for the end
                return
            yield from page["entries"]


def told(**info: Any) -> str:
    """A page of the site."""
    return json.dumps(info)


def register() -> None:
    """Make the site known to yt-dlp, before its own extractors, which end with one that takes every link."""
    if register not in talking.BEFORE_TALKS:
        talking.BEFORE_TALKS.append(register)
    import_extractors()
    yt_dlp.globals.extractors.value = {"HostileSiteIE": HostileSiteIE, **yt_dlp.globals.extractors.value}


def hurry() -> None:
    """Make every Downloader of this process impatient, and PUBLIC its public hosts: a command has no options for it."""
    from dataclasses import replace

    from cityguessr_data.media.download import Downloader
    from cityguessr_data.media.hosts import HostGuard

    patient = Downloader.__init__

    def impatient(self: Downloader, config: Any, **others: Any) -> None:
        limits = replace(config.limits, slow_s=0.3, most_bytes=8 << 20, most_page_bytes=1 << 20, most_requests=20)
        config = replace(config, retries=RETRIES, backoff_s=0.02, timeout_s=0.6, limits=limits)
        patient(self, config, guard=HostGuard(allowed=PUBLIC), **others)

    Downloader.__init__ = impatient  # type: ignore[method-assign]


def begin() -> None:
    """Both."""
    register()
    hurry()
