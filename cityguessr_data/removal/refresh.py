"""`cgtool refresh`: asks the sources of a data set which of its videos are gone or private now, and marks or removes.

One look-up a video, at the rate of downloads; nothing is downloaded. Each answer is on the disk before the next
question, in OUT/.cgtool/refresh.jsonl, so a run that was cut short goes on with the videos it did not ask about.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from ..core.errors import ErrorClass, StopError, VideoError
from ..media.download import Downloader, SiteBlocked
from ..media.ids import is_local
from ..media.outcomes import in_words
from ..media.pace import site_of
from ..over_frames.go import finish
from ..run.store import Store, read_part
from ..run.take_out import TakenOut
from ..run.telling_links import links_to_bury
from .find import Wanted, video_fields
from .marks import mark_gone, mark_there, marked_class
from .remove import Removal, carry_out, finish_earlier, opened, tombstones_for

GONE = (ErrorClass.REMOVED, ErrorClass.PRIVATE, ErrorClass.COPYRIGHT)
"""What the owner or the site did to the video itself. Geo and age blocks say something of who asks, and so does a bare
401, 402 or 403: a video counts as private where its site says so in words."""
_MAY_CHANGE = (ErrorClass.NETWORK, ErrorClass.INTERNAL)
_FRESH = timedelta(hours=24)
"""An answer of a run that was cut short counts for so long."""
_MANY = 3
"""So many videos gone are too many to believe at once, where they are more than half of a site's answers."""

State = Literal["there", "gone", "refused", "failed", "not-asked", "no-link"]
_ANSWERS = ("there", "gone", "refused")
"""States that a site told."""


@dataclass(frozen=True)
class Answer:
    """What is known of one video."""

    video_id: str
    state: State
    """there; gone (removed, private, copyright); refused: the site does not show it to us (geo, age, bad-media, a bare
    403), or a local file is missing; failed: it could not be asked; not-asked: its site stopped answering; no-link: its
    url is no link."""
    error_class: str = ""
    message: str = ""


class Listener(Protocol):
    """Is told how a refresh goes."""

    def planned(self, videos: int) -> None:
        """How many videos there are to ask about."""

    def answered(self, answer: Answer) -> None:
        """One more is known."""


@dataclass(frozen=True)
class HeldBack:
    """Too many videos of one site seem to be gone."""

    gone: int
    answered: int
    """Videos of the site that it said anything about."""


@dataclass
class Refreshed:
    """What a refresh came to. n_videos = len(answers) where it was not interrupted."""

    n_videos: int
    answers: list[Answer] = field(default_factory=list)
    newly_gone: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    """Marked as gone earlier, and there again."""
    removal: Removal | None = None
    finished: TakenOut | None = None
    """What was left to do of a removal that was interrupted, and is done now; None where there was none."""
    held_back: dict[str, HeldBack] = field(default_factory=dict)
    """Sites of which nothing was removed, though it was asked for."""
    stopped: StopError | None = None
    interrupted: bool = False

    @property
    def counts(self) -> Counter[str]:
        """Videos by state."""
        return Counter(answer.state for answer in self.answers)

    @property
    def exit_code(self) -> int:
        """130 interrupted, 3 a site or the disk stopped it, 1 some could not be asked, were held back or stay
        outside OUT behind links, else 0."""
        if self.interrupted:
            return 130
        if self.stopped is not None or self.counts["not-asked"]:
            return 3
        return 1 if self.counts["failed"] or self.held_back or self.outside else 0

    @property
    def outside(self) -> tuple[Path, ...]:
        """Frames of removed clips behind symbolic links that lie outside OUT, and stay."""
        done = (self.finished, self.removal)
        return tuple(dict.fromkeys(path for one in done if one is not None for path in one.outside))

    def of(self, *states: State) -> list[Answer]:
        """The answers of these states, by video id."""
        return [answer for answer in self.answers if answer.state in states]


def refresh(
    out: Path, downloader: Downloader, listener: Listener, *, remove_gone: bool = False, even_if_many: bool = False
) -> Refreshed:
    """Ask about every video that has clips; mark those that are gone in the videos table, or remove them.

    Args:
        even_if_many: also remove where more than half of a site's answers say gone, and three or more of them.
    Raises:
        InputError: `out` is no output directory; nothing was asked.
    """
    store = opened(out)
    with store.locked():
        finished = finish_earlier(store)
        rows = dict(_with_clips(store))
        listener.planned(len(rows))
        result = Refreshed(len(rows), finished=finished)
        try:
            _ask_all(store, rows, downloader, listener, result)
            if remove_gone:
                result.held_back = {} if even_if_many else _held_back(rows, result.answers)
                gone = [one for one in result.of("gone") if site_of(rows[one.video_id]["url"]) not in result.held_back]
                result.removal = _remove(store, rows, gone) if gone else None
        except StopError as exc:
            result.stopped = exc
        except KeyboardInterrupt:
            result.interrupted = True
        finish(store)
        if result.exit_code in (0, 1):
            _journal(store).unlink(missing_ok=True)
    return result


def _with_clips(store: Store) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in store.parts("videos"):
        row = read_part(path).to_pylist()[0]
        if row["n_clips"] > 0:
            yield path.stem, row


def _ask_all(
    store: Store,
    rows: Mapping[str, Mapping[str, Any]],
    downloader: Downloader,
    listener: Listener,
    result: Refreshed,
) -> None:
    earlier = _earlier_answers(store)
    is_imported = "imported" in (store.dataset() or {})
    for video_id, row in rows.items():
        answer = earlier.get((video_id, row["url"]))
        if answer is None:
            answer = ask(downloader, video_id, row["url"], is_imported=is_imported)
            _note(store, row["url"], answer)
        result.answers.append(answer)
        was = marked_class(row["reason"])
        if answer.state == "gone":
            mark_gone(store, video_id, answer.error_class, answer.message, datetime.now(UTC).date())
            result.newly_gone += [video_id] if was is None else []
        elif answer.state == "there" and was is not None:
            mark_there(store, video_id)
            result.back.append(video_id)
        listener.answered(answer)


def ask(downloader: Downloader, video_id: str, url: str, *, is_imported: bool = False) -> Answer:
    """Ask one source, or look for one local file.

    Args:
        is_imported: a path is then where frames were found, and no source.
    Raises:
        StopError: no space left, or the run is to stop.
    """
    if is_imported and is_local(url):
        return Answer(video_id, "no-link", "", f"{url} is where its frames were found")
    if is_local(url):
        there = Path(url).is_file()
        return Answer(
            video_id, "there" if there else "refused", "", "" if there else f"the local file {url} is missing"
        )
    if not url.lower().startswith(("http://", "https://")):
        return Answer(video_id, "no-link", "", f"{url} is no link")
    try:
        downloader.look(video_id, url)
    except SiteBlocked as exc:
        return Answer(video_id, "not-asked", str(exc.error_class), exc.message)
    except VideoError as exc:
        said = exc.message.removeprefix(f"{url}: ")
        return Answer(video_id, _state(exc.error_class, said), str(exc.error_class), said)
    return Answer(video_id, "there")


def _state(error_class: ErrorClass, said: str) -> State:
    if error_class is ErrorClass.PRIVATE and in_words(said) is not ErrorClass.PRIVATE:
        return "refused"
    if error_class in GONE:
        return "gone"
    if error_class is ErrorClass.BOT_CHECK:
        return "not-asked"
    return "failed" if error_class in _MAY_CHANGE else "refused"


def _held_back(rows: Mapping[str, Mapping[str, Any]], answers: list[Answer]) -> dict[str, HeldBack]:
    """The sites of which too much seems to be gone."""
    told = [(site_of(rows[one.video_id]["url"]), one.state) for one in answers if one.state in _ANSWERS]
    answered, gone = Counter(site for site, _ in told), Counter(site for site, state in told if state == "gone")
    return {
        site: HeldBack(n, answered[site]) for site, n in sorted(gone.items()) if n >= _MANY and 2 * n > answered[site]
    }


def _remove(store: Store, rows: Mapping[str, Mapping[str, Any]], gone: list[Answer]) -> Removal:
    tombstones, links = [], links_to_bury(store)
    for error_class in sorted({answer.error_class for answer in gone}):
        ids = [answer.video_id for answer in gone if answer.error_class == error_class]
        wanted = Wanted(tuple(video_fields(links, video_id, rows[video_id]) for video_id in ids))
        tombstones += tombstones_for(store, [wanted], f"gone: {error_class}")
    return carry_out(store, tombstones)


def _journal(store: Store) -> Path:
    return store.work / "refresh.jsonl"


def _note(store: Store, url: str, answer: Answer) -> None:
    """Remember an answer for the next run, unless it is to be asked again."""
    if answer.state in _ANSWERS and not is_local(url):
        line = {"at": datetime.now(UTC).isoformat(), "url": url, **vars(answer)}
        with _journal(store).open("a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
            f.flush()


def _earlier_answers(store: Store) -> dict[tuple[str, str], Answer]:
    """What a run that was cut short has learned, by id and url; a half-written line counts for nothing."""
    found = {}
    now = datetime.now(UTC)
    for line in _journal(store).read_text(encoding="utf-8").splitlines() if _journal(store).exists() else []:
        try:
            told = json.loads(line)
            at, url = datetime.fromisoformat(told.pop("at")), told.pop("url")
            if timedelta(0) <= now - at < _FRESH:
                found[told["video_id"], url] = Answer(**told)
        except (ValueError, KeyError, TypeError):
            continue
    return found
