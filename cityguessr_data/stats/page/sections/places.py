"""Where the clips were filmed: the map, and the cities that it cannot show."""

from __future__ import annotations

from ...results import ClassCount, Stats
from ..blocks import Chart, Part, Plot, Row, Section, Select, Table, Words, num, text
from ..charts.world import REGIONS, has_bubble, world
from ..drawing import page_spec
from ..words import listing, many, place, short


def places(stats: Stats) -> Section:
    """The section."""
    level = stats.levels.get("city")
    blank: tuple[str, ...] = () if level else (f"Cities: {stats.blank.get('city', 'the data does not say.')}",)
    parts: list[Part] = []
    if level:
        shown = [c for c in level.classes if has_bubble(c)]
        hidden = [c for c in level.classes if not has_bubble(c)]
        if shown:
            parts.append(_map(shown))
        else:
            blank = ("No city has coordinates.",)
        if hidden:
            names = listing([f"{place(c.name)} ({c.n_clips:,})" for c in hidden], 200)
            why = f"{many(len(hidden), 'city is', 'cities are')} not on the map, without coordinates or without a clip"
            parts.append(Words("Not on the map", (f"{why}: {names}.",)))
    return Section("map", "Map", "Where the clips were filmed.", tuple(parts), blank)


def _map(shown: list[ClassCount]) -> Plot:
    largest = shown[0]
    regions = tuple((",".join(short_plain(x) for x in view), name) for name, view in REGIONS.items())
    description = f"World map of {many(len(shown), 'city', 'cities')}; the largest bubble is {place(largest.name)}."
    rows = tuple(
        Row(
            (
                text(place(c.name)),
                text(", ".join(place(p, 40) for p in c.parents[1:2]) or "–"),
                num(c.n_clips, f"{c.n_clips:,}"),
                num(c.n_videos, f"{c.n_videos:,}" if c.n_videos is not None else "–"),
                num(c.lat, short(c.lat or 0)),
                num(c.lon, short(c.lon or 0)),
            )
        )
        for c in shown
    )
    columns = (
        ("City", False),
        ("Country", False),
        ("Clips", True),
        ("Videos", True),
        ("Latitude", True),
        ("Longitude", True),
    )
    return Plot(
        "Clips by city",
        "One bubble a city; its area is its number of clips.",
        (Chart("map", page_spec(world(shown), description, "container"), "map"),),
        Table("Cities on the map", columns, rows),
        selects=(Select("view", "Show", regions),),
        wide=True,
    )


def short_plain(x: float) -> str:
    """A number as scripts read it."""
    return f"{x:g}"
