"""The id of a video from its link alone, where that can be told: so that a finished build asks nobody anything.

`<extractor>_<id>` in yt-dlp's words. Its extractors are asked, so the id is the one that a lookup would give.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from cityguessr_data.core.sources import safe_id
from cityguessr_data.media.pace import YOUTUBE, site_of
from cityguessr_data.media.site_words import prefilter

_MEDIA_ENDINGS = frozenset(
    f".{ending}"
    for group in ("mp4 m4v mov webm mkv avi mpg mpeg ts m2ts mts ogv flv 3gp wmv", "m3u8 mpd", "mp3 m4a aac ogg wav")
    for ending in group.split()
)


def is_local(url: str) -> bool:
    """True for a path of this machine: it has no scheme. A single letter is a drive; `file:` is a scheme."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", url) is None


def offline_id(url: str) -> str | None:
    """The video_id of a link where it is known without asking anybody; None for pages, playlists and the like.

    `youtube_<id>` for a video of YouTube in any spelling, `generic_<name>` for a media file, `local_<stem>` for a path.
    Two media files of one name on two hosts get the same id.
    """
    if is_local(url):
        return safe_id(f"local_{Path(url).stem}")
    key = offline_key(url)
    return None if key is None else safe_id(f"{key[0]}_{key[1]}")


def offline_key(url: str) -> tuple[str, str] | None:
    """(extractor, id) where yt-dlp's extractors tell both from the url alone, else None.

    That is so for one YouTube video however it is written, and for a media file or manifest by its ending.
    """
    if site_of(url) == YOUTUBE:
        # A video opened from a playlist is that one video; yt-dlp only takes it for one without the list
        base, _, query = url.partition("?")
        query = re.sub(r"(^|&)list=[^&#]*", "", query).lstrip("&")
        url = f"{base}?{query}" if query else base
    elif Path(urlsplit(url).path).suffix.lower() not in _MEDIA_ENDINGS:
        return None
    extractor = prefilter().first_suitable(url)
    if extractor is not None and extractor.IE_NAME == "youtube":
        return "youtube", extractor.get_temp_id(url)
    if extractor is not None and extractor.IE_NAME == "generic" and site_of(url) != YOUTUBE:
        return "generic", generic_id(url)
    return None


def generic_id(url: str) -> str:
    """The id that yt-dlp gives a link of no known site: the last part of its path without the ending."""
    from yt_dlp.extractor.common import InfoExtractor

    return str(InfoExtractor._generic_id(url))
