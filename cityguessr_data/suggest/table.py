"""Writes candidates as a sources table: what a build needs, then what a person needs to choose."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.atomic import write_bytes
from ..core.tables import harmless
from ..core.types import Place
from ..media.search import FoundVideo
from .known import Mark

COLUMNS = (
    *("url", "city", "state", "country", "continent"),
    *("title", "channel", "license", "duration_s", "upload_date", "known"),
)


@dataclass(frozen=True)
class Candidate:
    """A video that may be filmed in a city."""

    video: FoundVideo
    place: Place
    known: Mark = ""


def write_candidates(path: Path, candidates: Iterable[Candidate]) -> None:
    """Write the table in one step, UTF-8.

    Raises:
        DiskFullError: no space left; what was there stays.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in candidates:
        video, place = one.video, one.place
        told = [harmless(cell) for cell in (video.title, video.channel, video.license)]
        duration = "" if video.duration_s is None else f"{video.duration_s:g}"
        where = (place.city, place.state, place.country, place.continent)
        writer.writerow([video.url, *where, *told, duration, video.upload_date, one.known])
    write_bytes(path, text.getvalue().encode("utf-8", "replace"))
