"""`cgtool refresh`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import command, ignore_interrupts, plain, say

if TYPE_CHECKING:
    from cityguessr_data.removal.refresh import Answer


@command
def refresh(
    out: Annotated[Path, typer.Argument(help="Output directory of a build or an import.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what is gone, as `cgtool remove` does; else it is marked.")
    ] = False,
    even_if_many: Annotated[
        bool,
        typer.Option("--even-if-many", help="With --remove: also where most of a site's videos seem to be gone."),
    ] = False,
    rate: Annotated[float, typer.Option(help="Look-ups an hour and site.")] = 300.0,
    cookies: Annotated[Path | None, typer.Option(help="Netscape cookie file; only read.")] = None,
    proxy: Annotated[str | None, typer.Option(help="Proxy url (http, socks5).")] = None,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Also ask hosts on loopback and private networks.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Ask the sources of all videos with clips whether they are still there; mark what is gone, or take it out.

    One look-up a video, nothing is downloaded. Gone means removed, private or blocked for its rights holder; its row in
    the videos table then says since when. Where most of a site's videos seem to be gone, --remove leaves them: the site
    may be at fault. A run that was cut short goes on where it was.
    """
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.media.download import Downloader
    from cityguessr_data.media.download_config import DownloadConfig
    from cityguessr_data.removal.refresh import refresh as ask

    from ..removal_summary import show_refresh

    if even_if_many and not remove:
        raise InputError("--even-if-many does nothing alone", "Give --remove too")
    config = DownloadConfig(
        cache=out / "no-cache",  # nothing is downloaded
        rate_per_hour=rate,
        cookies=cookies,
        proxy=proxy,
        allow_private_hosts=allow_private_hosts,
    )
    result = ask(out, Downloader(config), _Progress(), remove_gone=remove, even_if_many=even_if_many)
    ignore_interrupts()
    show_refresh(out, result, as_json=json_)
    return result.exit_code


class _Progress:
    """On a terminal one line that counts; elsewhere a line for what is not simply there."""

    def __init__(self) -> None:
        self._videos = self._done = 0
        self._live = sys.stderr.isatty()

    def planned(self, videos: int) -> None:
        """How many videos there are to ask about."""
        self._videos = videos

    def answered(self, answer: Answer) -> None:
        """One more is known."""
        self._done += 1
        if self._live:
            end = "\n" if self._done == self._videos else ""
            sys.stderr.write(f"\rasked {self._done:,} of {self._videos:,}{end}")
            sys.stderr.flush()
        elif answer.state != "there":
            say(f"{self._done:,} of {self._videos:,}: {answer.video_id}: {answer.state}: {plain(answer.error_class)}")
