"""Measures as dots with their 95 % intervals as lines: what differs clearly, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...results import Interval
from ..blocks import Key
from ..theme import colour
from ..words import interval

if TYPE_CHECKING:
    import altair as alt


_ROOM_PX = 8  # left of 0: a dot there must not lie on the names

MEASURE_KEYS = (Key("Gini", "curve0"), Key("Hoover", "curve1"))
"""The legend: the measures of the dots, in this order."""


@dataclass(frozen=True)
class Dot:
    """One measure of one level or data set."""

    row: str
    """Name of its row in the plot."""
    measure: str
    value: Interval
    group: str = ""
    """Drawn while this group is selected."""


def whiskers(dots: Sequence[Dot], group: str | None = None, legend: bool = False) -> alt.LayerChart:
    """One row a level or data set, with one dot a measure in it.

    Args:
        group: shown first, parameter `level`; None: the dots have no groups.
        legend: whether the chart has its legend inside.
    """
    import altair as alt

    measures = [key.label for key in MEASURE_KEYS]
    inside: Any = alt.Legend(symbolType="circle", symbolOpacity=1) if legend else None
    rows: list[dict[str, Any]] = [
        {
            "row": dot.row,
            "measure": dot.measure,
            "group": dot.group,
            "value": dot.value.value,
            "low": dot.value.value if dot.value.low is None else dot.value.low,
            "high": dot.value.value if dot.value.high is None else dot.value.high,
            "text": interval(dot.value),
        }
        for dot in dots
    ]
    most = max([0.1, *(row["high"] for row in rows)])  # all 0: an axis still needs a length
    base = alt.Chart(alt.Data(values=rows)).encode(
        alt.Y("row:N", title=None, sort=None).axis(domain=False, ticks=False, labelLimit=130, grid=False),
        alt.YOffset("measure:N", sort=measures),
        alt.Color("measure:N", legend=inside).scale(
            domain=measures, range=[colour(key.colour) for key in MEASURE_KEYS]
        ),
        tooltip=[
            alt.Tooltip("row:N", title="Of"),
            alt.Tooltip("measure:N", title="Measure"),
            alt.Tooltip("text:N", title="Value"),
        ],
    )
    if group is not None:
        base = base.transform_filter("datum.group == level")
    lines = base.mark_rule(strokeWidth=2.5, opacity=0.6).encode(
        alt.X("low:Q", title=None)
        .scale(domain=[0, most], nice=True, range=[_ROOM_PX, alt.ExprRef("width")])
        .axis(tickCount=5),
        alt.X2("high:Q"),
    )
    points = base.mark_circle(size=110, opacity=1).encode(alt.X("value:Q", title=None))
    layers = alt.layer(lines, points)
    return layers if group is None else layers.add_params(alt.param(name="level", value=group))
