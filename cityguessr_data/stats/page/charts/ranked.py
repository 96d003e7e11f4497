"""Classes by their clips, most first: all of them as a skyline, and those in its window as a list with names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...results import LevelStats
from ..theme import colour, room_for_counts
from ..words import place, search_key

if TYPE_CHECKING:
    import altair as alt

DATA = "classes"
"""Name of the rows that both charts share."""


def rows(levels: Iterable[LevelStats]) -> list[dict[str, Any]]:
    """One row a class: level, rank `i` from 0, unique label, key to search, clips `n`, videos, where, few."""
    made = []
    for stats in levels:
        few = set(stats.few)
        taken: set[str] = set()
        for i, one in enumerate(stats.classes):
            made.append(
                {
                    "level": stats.level,
                    "i": i,
                    "label": _unique(place(one.name), taken),
                    "key": search_key(one.name),
                    "n": one.n_clips,
                    "videos": "–" if one.n_videos is None else f"{one.n_videos:,}",
                    "where": ", ".join(place(p, 40) for p in one.parents) or "–",
                    "few": one.name in few,
                }
            )
    return made


def skyline(level: str, interactive: bool = False) -> alt.Chart:
    """One narrow bar a class; a window dragged over it picks what the list shows."""
    import altair as alt

    chart = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter("datum.level == level")
        .transform_calculate(
            left="datum.i + 0.56", right="datum.i + 1.44", hit="search == '' || indexof(datum.key, search) >= 0"
        )
        .mark_rect()
        .encode(
            alt.X("left:Q", title="Rank")
            .scale(nice=False, zero=False, padding=0)
            .axis(grid=False, tickMinStep=1, format=",d"),
            alt.X2("right:Q"),
            alt.Y("n:Q", title="Clips").scale(zero=True).axis(tickCount=3, format=",d", tickMinStep=1),
            alt.Y2(datum=0),
            color=_colour(),
            opacity=alt.condition("datum.hit", alt.value(1), alt.value(0.18)),
            tooltip=_tooltip(),
        )
        .add_params(alt.param(name="level", value=level), alt.param(name="search", value=""))
    )
    if not interactive:
        return chart
    window = alt.selection_interval(name="window", encodings=["x"], zoom=False)
    return chart.add_params(window)


def names(level: str, most: int) -> alt.LayerChart:
    """One bar a class with its name and its count; parameters `low` and `high` (ranks) and `search` narrow it.

    Args:
        most: clips of a bar as long as the plot is wide (parameter too: it follows `low`).
    """
    import altair as alt

    base = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter("datum.level == level && datum.i + 1 >= low && datum.i + 1 <= high")
        .transform_filter("search == '' || indexof(datum.key, search) >= 0")
        .encode(
            alt.X("n:Q", title=None, stack=None)
            .scale(domain=[0, alt.ExprRef("most")], nice=False, range=room_for_counts())
            .axis(None),
            alt.Y("label:N", title=None, sort=None).axis(
                domain=False, ticks=False, labelLimit=alt.ExprRef("width < 420 ? 120 : 240")
            ),
            tooltip=_tooltip(),
        )
    )
    bars = base.mark_bar(height=alt.RelativeBandSize(band=0.72)).encode(color=_colour())
    counts = base.mark_text(align="left", dx=5).encode(alt.Text("n:Q", format=","))
    return alt.layer(bars, counts).add_params(
        alt.param(name="level", value=level),
        alt.param(name="search", value=""),
        alt.param(name="low", value=1),
        alt.param(name="high", value=1_000_000_000),
        alt.param(name="most", value=max(most, 1)),
    )


def _colour() -> Any:
    import altair as alt

    return alt.condition("datum.few", alt.value(colour("few")), alt.value(colour("accent")))


def _tooltip() -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("label:N", title="Class"),
        alt.Tooltip("where:N", title="In"),
        alt.Tooltip("n:Q", title="Clips", format=","),
        alt.Tooltip("videos:N", title="Source videos"),
    ]


def _unique(label: str, taken: set[str]) -> str:
    """Two long names may look the same once they are cut short; two bars may not."""
    found, n = label, 2
    while found in taken:
        found, n = f"{label} ({n})", n + 1
    taken.add(found)
    return found
