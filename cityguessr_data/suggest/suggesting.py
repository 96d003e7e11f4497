"""Looks for candidates city by city, the one with the fewest clips first, and writes them as a sources table.

Nothing is downloaded. Whatever ends the search early, what was found by then is written; where nothing was found, a
table that is there stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..core.errors import CgtoolError, ErrorClass, StopError, VideoError
from ..core.types import Place
from ..media.search import MOST_RESULTS, FoundVideo, Searcher
from ..run.store import Store
from ..stats.inequality import gini
from .allocation import allocate
from .cities import Cities, City, read_cities
from .config import SuggestConfig
from .known import Known
from .table import Candidate, write_candidates

QUERIES = ("{} walking tour", "{} driving tour")
"""Of a city and its country."""
Listener = Callable[[str], None]
"""Gets a line to show after each city."""


@dataclass(frozen=True)
class CityResult:
    """What came of one city."""

    city: City
    n_clips: int
    """That it has now."""
    n_wanted: int
    n_new: int
    """Candidates that the data set does not have."""


@dataclass(frozen=True)
class SuggestResult:
    """What was found, and why the rest was not taken."""

    cities: tuple[CityResult, ...]
    known: Counter[str]
    """Rows marked as video, channel or removed; only those marked channel are among the new ones."""
    left_out: Counter[str]
    """Reason -> videos that a search found and the table does not have."""
    failed: tuple[str, ...]
    """Searches and look-ups that failed, in words."""
    n_rows: int
    n_licensed: int
    """Rows whose site tells a licence."""
    looked_up: bool
    gini_now: float | None
    """Over the clips of the data set's cities; None without clips."""
    gini_then: float | None
    """If every new candidate brings as many clips as its videos did so far."""
    stopped: CgtoolError | None = None

    @property
    def exit_code(self) -> int:
        """As of a command."""
        return self.stopped.exit_code if self.stopped else 1 if self.failed else 0


@dataclass
class _Work:
    """What fills up while cities are searched."""

    rows: list[Candidate] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    new: Counter[Place] = field(default_factory=Counter)
    """City -> new candidates."""
    seen: dict[str, Place] = field(default_factory=dict)
    """Video id -> the city whose search found it first."""


def suggest(
    config: SuggestConfig, listener: Listener = lambda line: None, searcher: Searcher | None = None
) -> SuggestResult:
    """Search, choose, and write the table.

    Raises:
        InputError: a city that nobody knows, no such data set or search; nothing was asked or written.
        DiskFullError: no space left for the table.
        KeyboardInterrupt: what was found by then is written; it says whether that is anything.
    """
    store = Store(config.data) if config.data else None
    cities = read_cities(store, config.cities, config.taxonomy)
    searcher = searcher or Searcher(config.network, config.search)
    known = Known.of(store) if store else Known()
    wanted = [city for city in cities.all if city.wanted]
    shares = allocate([city.n_clips for city in wanted], config.n_videos, cities.clips_per_video, config.most_per_city)
    todo = [(city, n) for city, n in zip(wanted, shares, strict=True) if n]
    work, stopped = _Work(), None
    try:
        for city, n in todo:
            _fill(city, n, config, searcher, known, work)
            listener(f"{city.name}: {work.new[city.place]} of {n}")
    except StopError as exc:
        stopped = exc
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(config, work)) from None
    finally:
        if work.rows:
            write_candidates(config.table, work.rows)
    return _result(config, cities, todo, work, stopped)


def _interrupted(config: SuggestConfig, work: _Work) -> str:
    """What Ctrl-C leaves, for the person who pressed it."""
    if work.rows:
        return f"{config.table} has what was found by then; --replace begins anew"
    return f"Nothing was found by then{f': {config.table} is as it was' if config.table.exists() else ''}"


def _fill(city: City, n: int, config: SuggestConfig, searcher: Searcher, known: Known, work: _Work) -> None:
    """Add `n` new candidates of one city, or as many as there are, and those met on the way that are known."""
    place = city.place
    for video in _found(city, n, searcher, work):
        first = work.seen.setdefault(video.video_id, place)
        if first != place:
            work.left_out["found for another city too"] += 1
            continue
        if work.new[place] >= n:
            work.left_out["more than was asked for"] += 1
            continue
        why = _unfit(video, config)
        mark = known.mark(video)
        if why is None and config.look_up and mark in ("", "channel"):
            looked, why = _looked_up(video, config, searcher, work)
            video, mark = looked, known.mark(looked)
        if why is not None:
            work.left_out[why] += 1
            continue
        work.rows.append(Candidate(video, place, mark))
        work.new[place] += mark in ("", "channel")


def _found(city: City, n: int, searcher: Searcher, work: _Work) -> Iterator[FoundVideo]:
    """What the city's searches find, each video once: the first of each query, then the second of each ..."""
    lists = []
    for query in queries(city):
        try:
            lists.append(list(searcher.search(query, min(MOST_RESULTS, 20 * (1 + n // 4)))))
        except VideoError as exc:
            _stop_if_blocked(exc)
            work.failed.append(str(exc))
    given: set[str] = set()
    for rank in range(max(map(len, lists), default=0)):
        for found in lists:
            if rank < len(found) and found[rank].video_id not in given:
                given.add(found[rank].video_id)
                yield found[rank]


def queries(city: City) -> tuple[str, ...]:
    """What is searched for; a city of its country's name is named once, and one of many by what tells it from them."""
    place = city.place
    above = [name for name in city.told_by if name not in (place.country, place.continent)]
    names: dict[str, str] = {}
    for name in (place.city, *above, place.country):
        names.setdefault(name.casefold(), name.replace("_", " "))
    return tuple(" ".join(query.format(" ".join(names.values())).split()) for query in QUERIES)


def _unfit(video: FoundVideo, config: SuggestConfig) -> str | None:
    if video.form != "video":
        return "live streams" if video.form == "live" else "shorts"
    if video.duration_s is None:
        return None if config.look_up else "of unknown length"
    if video.duration_s < config.min_duration_s:
        return "too short"
    return "too long" if video.duration_s > config.max_duration_s else None


def _looked_up(
    video: FoundVideo, config: SuggestConfig, searcher: Searcher, work: _Work
) -> tuple[FoundVideo, str | None]:
    """The video with what its page says, and why it cannot be taken. A page that fails for now costs the licence."""
    try:
        looked = searcher.look_up(video)
    except VideoError as exc:
        _stop_if_blocked(exc)
        if exc.error_class.permanent:
            return video, f"not to be had ({exc.error_class})"
        work.failed.append(str(exc))
        return video, None if video.duration_s is not None else "of unknown length"
    why = "of unknown length" if looked.duration_s is None else _unfit(looked, config)
    return looked, why


def _stop_if_blocked(error: VideoError) -> None:
    """A site that takes us for a robot is asked no more."""
    if error.error_class is ErrorClass.BOT_CHECK:
        raise StopError(error.message, error.hint or "Wait some hours, or give the cookies of an account") from error


def _result(
    config: SuggestConfig, cities: Cities, todo: list[tuple[City, int]], work: _Work, stopped: StopError | None
) -> SuggestResult:
    now = [float(city.n_clips) for city in cities.all]
    then = [city.n_clips + work.new[city.place] * cities.clips_per_video for city in cities.all]
    return SuggestResult(
        cities=tuple(CityResult(c, c.n_clips, n, work.new[c.place]) for c, n in todo),
        known=Counter(one.known for one in work.rows if one.known),
        left_out=work.left_out,
        failed=tuple(work.failed),
        n_rows=len(work.rows),
        n_licensed=sum(bool(one.video.license) for one in work.rows),
        looked_up=config.look_up,
        gini_now=float(gini(now)) if any(now) else None,
        gini_then=float(gini(then)) if any(now) else None,
        stopped=stopped,
    )
