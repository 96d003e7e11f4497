"""From a link to a video on the local disk: a download that is polite, resumable and always ends in a typed outcome.

    resolve(url)          -> which videos a link stands for: one, or those of a playlist or page
    look(video_id, url)   -> nothing       it is still there; else the VideoError that `fetch` would end in
    fetch(video_id, url)  -> LocalVideo    in the cache, or the local file in place
                          or Dropped       the user's limits leave it out
                          or VideoError    removed, private, age, geo, copyright, bot-check, network, bad-media

yt-dlp does the work (ytdlp.py) in another process (talking.py); what it says is put into classes by outcomes.py, the
rate is kept by pace.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.errors import ErrorClass, VideoError, disk_full_stops
from cityguessr_data.core.private import make_private
from cityguessr_data.core.types import Dropped, LocalVideo
from cityguessr_data.media import outcomes
from cityguessr_data.media.cache_turns import turn
from cityguessr_data.media.download_config import DownloadConfig, Progress, Refused, ResolvedVideo
from cityguessr_data.media.failures import PauseAskedError
from cityguessr_data.media.hosts import HostGuard, host_of
from cityguessr_data.media.ids import is_local, offline_id
from cityguessr_data.media.pace import Pace, site_of
from cityguessr_data.media.source_cache import SourceCache, sha256_of
from cityguessr_data.media.talking import DownloadStopped, Talk, talk

if TYPE_CHECKING:
    from cityguessr_data.media.session import Session


class SiteBlocked(VideoError):
    """The site took this run for a robot earlier on: it is not asked again."""

    def __init__(self, site: str, message: str) -> None:
        super().__init__(ErrorClass.BOT_CHECK, f"{site} was not asked: {message}", outcomes.hint(ErrorClass.BOT_CHECK))


class Downloader:
    """Looks up and downloads videos. May be shared by threads; the rate and the blocked sites then count for all."""

    def __init__(
        self,
        config: DownloadConfig,
        *,
        guard: HostGuard | None = None,
        pace: Pace | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.config = config
        self.refused = refused or Refused()
        self.cache = SourceCache(config.cache)
        self.guard = guard or HostGuard(allow_private=config.allow_private_hosts)
        self.pace = pace or Pace(config.rate_per_hour)
        self._blocked: dict[str, str] = {}

    def resolve(self, url: str, stop: threading.Event | None = None) -> tuple[ResolvedVideo, ...]:
        """The videos of a link, in order, each once. No request where `offline_id` knows; else one, or a few.

        Raises:
            VideoError: the link could not be looked up; RefusedHostError, SiteBlocked among them.
            DownloadStopped: `stop` was set.
        """
        if not is_local(url):
            host_of(url)
        known = offline_id(url)
        if known is not None:
            return (ResolvedVideo(known, url),)
        videos: tuple[ResolvedVideo, ...] = self.ask(url, _videos, stop)
        return videos

    def look(self, video_id: str, url: str, stop: threading.Event | None = None) -> None:
        """Ask a site whether a video is still there, by one look-up; nothing is downloaded or written.

        Raises:
            VideoError: it is not, or the site could not be asked; SiteBlocked and RefusedHostError among them.
            DownloadStopped: `stop` was set.
        """
        self.ask(url, partial(_look, video_id), stop)

    def forget(self, video_id: str) -> None:
        """Delete what the cache holds of a video: its source, and what an unfinished download left."""
        self.cache.drop(video_id)
        self.cache.drop_partial(video_id)

    def fetch(
        self, video_id: str, url: str, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> LocalVideo | Dropped:
        """Bring one video to the local disk; from the cache, without a request, where it is there already.

        Raises:
            VideoError: of the class that outcomes.classify gives; RefusedHostError and SiteBlocked among them.
            DiskFullError: no space left in the cache.
            DownloadStopped: `stop` was set; raised within two seconds.
        """
        if is_local(url):
            return _local_video(url)
        cached = self.cache.find(video_id, url)
        if cached is not None:
            return cached
        with disk_full_stops(str(self.config.cache)):
            make_private(self.config.cache)
        with turn(self.config.cache, video_id, stop) as is_ours:
            if not is_ours:
                raise DownloadStopped(f"stopped before {url} was asked for", "The same command goes on from here")
            brought = self.cache.find(video_id, url)  # by another build, while this one waited
            return brought or self._bring(video_id, url, progress, stop)

    def _bring(
        self, video_id: str, url: str, progress: Progress | None, stop: threading.Event | None
    ) -> LocalVideo | Dropped:
        folder = self.cache.partial(video_id)

        try:
            found = self.ask(url, partial(_download, video_id), stop, folder, progress)
        except VideoError as exc:
            self.cache.drop_partial(video_id, only_empty=not exc.error_class.permanent)
            raise
        if isinstance(found, Dropped):
            self.cache.drop_partial(video_id)
            return found
        path, about = found
        return self.cache.keep(video_id, url, path, about)

    def ask(
        self,
        url: str,
        job: Callable[[Session], Any],
        stop: threading.Event | None = None,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """One look-up or download, in its turn; see talking.Talk.

        Raises:
            CgtoolError: every failure leaves as one of our errors.
        """
        host_of(url)
        site = site_of(url)
        self._wait_for(url, stop)
        asked = Talk(self.config, self.guard, url, folder, self.refused, job)
        try:
            return talk(asked, partial(self._wait_for, stop=stop), progress, stop)
        except VideoError as exc:
            if exc.error_class is ErrorClass.BOT_CHECK or (isinstance(exc, PauseAskedError) and exc.of_the_site):
                self._blocked[site] = exc.message
            raise

    def _wait_for(self, url: str, stop: threading.Event | None) -> None:
        """Wait until a link's site may be asked. Raises SiteBlocked where it may not be."""
        site = site_of(url)
        if site in self._blocked:
            raise SiteBlocked(site, self._blocked[site])
        if not self.pace.wait(site, stop):
            raise DownloadStopped(f"stopped before {url} was asked for", "The same command goes on from here")
        # Another thread may have met the bot check while this one waited
        if site in self._blocked:
            raise SiteBlocked(site, self._blocked[site])


def _videos(session: Session) -> tuple[ResolvedVideo, ...]:
    return session.videos()


def _look(video_id: str, session: Session) -> None:
    session.look(video_id)


def _download(video_id: str, session: Session) -> tuple[Path, dict[str, Any]] | Dropped:
    return session.download(video_id)


def _local_video(url: str) -> LocalVideo:
    """A file of this machine, used where it lies.

    A missing one counts as `network`, which is tried again: disks get mounted and names mended, and the same row is
    then good, while `removed` would rule it out for ever.
    """
    path = Path(url)
    try:
        if not path.is_file():
            kind = "is not a file" if path.exists() else "does not exist"
            raise VideoError(ErrorClass.NETWORK, f"{url} {kind}", "Check the path, then run with --retry-failed")
        digest = sha256_of(path)
    except OSError as exc:
        raise VideoError(
            ErrorClass.NETWORK, f"{url} cannot be read: {exc.strerror}", "Check its rights and disk"
        ) from exc
    return LocalVideo(path=path, url=url, sha256=digest, title=path.stem)
