"""What `cgtool sources suggest` says: how long it takes, then what was found, what was left out, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.words import n_of

from .console import plain, print_json, say, stdout
from .summary import span
from .tables import cut, fact

if TYPE_CHECKING:
    from cityguessr_data.suggest.config import SuggestConfig
    from cityguessr_data.suggest.suggesting import CityResult, SuggestResult

_FACT = 10
_LISTED = 10


def show_pace(config: SuggestConfig) -> None:
    """Before it starts: the least time that the rate asks for."""
    n_requests = 2 * min(config.n_videos, max(len(config.cities), 1)) + (config.n_videos if config.look_up else 0)
    seconds = n_requests * 3600 / config.network.rate_per_hour
    if seconds > 20:
        say(f"note: about {span(seconds)} or more at {config.network.rate_per_hour:g} requests an hour (--rate)")


def show_suggestions(config: SuggestConfig, result: SuggestResult, *, as_json: bool) -> None:
    """The end of a search."""
    if as_json:
        print_json(
            {
                "out": str(config.table),
                "exit_code": result.exit_code,
                "stopped": str(result.stopped) if result.stopped else None,
                "rows": result.n_rows,
                "new": sum(city.n_new for city in result.cities),
                "known": dict(result.known),
                "left_out": dict(result.left_out),
                "failed": list(result.failed),
                "looked_up": result.looked_up,
                "with_licence": result.n_licensed,
                "gini": {"now": result.gini_now, "then": result.gini_then},
                "written": result.n_rows > 0,
                "cities": [_city(one) for one in result.cities],
            }
        )
    else:
        console = stdout()
        for name, value in _facts(config, result):
            console.print(fact(name, value, _FACT))
    if result.failed:
        say("failed:")
        for line in result.failed[:_LISTED]:
            say(f"  {plain(line)}")
        if len(result.failed) > _LISTED:
            say(f"  and {len(result.failed) - _LISTED:,} more; --json lists them all")
    if result.stopped:
        say(f"stopped: {plain(str(result.stopped))}")


def _city(one: CityResult) -> dict[str, Any]:
    place = one.city.place
    levels = {level: getattr(place, level) for level in ("city", "state", "country", "continent")}
    return {**levels, "clips": one.n_clips, "wanted": one.n_wanted, "new": one.n_new}


def _facts(config: SuggestConfig, result: SuggestResult) -> Iterator[tuple[str, str]]:
    n_new = sum(city.n_new for city in result.cities)
    n_wanted = sum(city.n_wanted for city in result.cities)
    full = sum(1 for city in result.cities if city.n_new)
    yield "found", f"{n_new:,} of {n_of(n_wanted, 'candidate')} for {n_of(full, 'city', 'cities')}"
    short = [f"{cut(c.city.name)} {c.n_new} of {c.n_wanted}" for c in result.cities if c.n_new < c.n_wanted]
    if short:
        more = f" and {len(short) - _LISTED:,} more" if len(short) > _LISTED else ""
        yield "too few", f"{'; '.join(short[:_LISTED])}{more}"
    if result.known:
        yield "known", ", ".join(f"{n:,} {_MARKS[mark]}" for mark, n in sorted(result.known.items()))
    if result.left_out:
        yield "left out", ", ".join(f"{n:,} {why}" for why, n in sorted(result.left_out.items()))
    if result.n_rows and result.looked_up:
        yield "licence", f"told for {result.n_licensed:,} of {n_of(result.n_rows, 'row')}; none told grants nothing"
    elif result.n_rows:
        yield "licence", "not asked for (--no-lookup): the column is empty, and so are the dates"
    if result.gini_now is not None and result.gini_then is not None:
        yield (
            "Gini",
            f"{result.gini_now:.3f} now, {result.gini_then:.3f} if each new video brings as many clips as so far",
        )
    if not result.n_rows:
        left = f"{config.table} is as it was" if config.table.exists() else f"{config.table} was not written"
        yield "table", f"nothing was found: {left}"
    else:
        yield "table", f"{config.table}: {n_of(result.n_rows, 'row')}"
        marked = ", those marked video and removed first" if result.known["video"] + result.known["removed"] else ""
        yield "next", f"watch the videos, delete rows{marked}, mend cities, then run cgtool build-dataset on it"


_MARKS = {
    "video": "in the data set already",
    "channel": "of a channel that is in it",
    "removed": "removed from it on request or by you",
}
