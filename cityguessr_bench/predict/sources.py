"""From what a person names, a path or a link, to video files on the local disk, as a build downloads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import CgtoolError, StopError, VideoError
from cityguessr_data.core.links import checked_url

from .results import Failure

if TYPE_CHECKING:
    from cityguessr_data.media.download import Downloader

OnBytes = Callable[[str, int, int | None], None]
"""(video id, bytes so far, bytes in all where known)."""


@dataclass(frozen=True)
class Film:
    """A video file to look at."""

    source: str
    video_id: str
    path: Path
    title: str | None
    downloaded: bool
    """False for a file of the user's own, which nobody may remove."""


def films(source: str, downloader: Downloader, on_bytes: OnBytes | None = None) -> Iterator[Film | Failure]:
    """The videos of a path or a link: one, or those of a playlist, each downloaded when it is asked for.

    Args:
        on_bytes: called while downloading, from its thread.
    Yields:
        A Failure for the link, or for a video of it, that is not to be had.
    """
    from cityguessr_data.core.types import Dropped
    from cityguessr_data.media.ids import is_local, offline_id

    if is_local(source):
        yield _local(source, offline_id(source) or source)
        return
    try:
        checked_url(source, Path(), downloader.config.allow_private_hosts)
        videos = downloader.resolve(source)
    except ValueError as exc:
        yield Failure(source, None, "link", f"{source}: {exc}", "Name a video file, or a link with https://")
        return
    except (VideoError, StopError) as exc:
        yield failure(source, None, exc)
        return
    if not videos:
        yield Failure(source, None, "empty", f"{source} leads to no video", "Check the link in a browser")
    for video in videos:

        def progress(done: int, total: int | None, video_id: str = video.video_id) -> None:
            if on_bytes is not None:
                on_bytes(video_id, done, total)

        try:
            got = downloader.fetch(video.video_id, video.url, progress)
        except (VideoError, StopError) as exc:
            yield failure(source, video.video_id, exc)
            continue
        if isinstance(got, Dropped):
            yield Failure(source, video.video_id, got.reason, got.message, "Name another video")
        else:
            yield Film(source, video.video_id, got.path, got.title or video.title, downloaded=True)


def failure(source: str, video_id: str | None, error: CgtoolError) -> Failure:
    """An error as a line of the answer."""
    kind = str(error.error_class) if isinstance(error, VideoError) else type(error).__name__
    return Failure(source, video_id, kind, error.message, error.hint)


def _local(source: str, video_id: str) -> Film | Failure:
    path = Path(source)
    try:
        if not path.is_file():
            kind = "is not a file" if path.exists() else "does not exist"
            return Failure(source, None, "not-found", f"{source} {kind}", "Name a video file, or a link with https://")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as exc:  # ValueError: a name that no file can have
        why = getattr(exc, "strerror", None) or str(exc)
        return Failure(source, None, "unreadable", f"{source} cannot be read: {why}", "Check its rights and its disk")
    return Film(source, video_id, path, path.stem, downloaded=False)
