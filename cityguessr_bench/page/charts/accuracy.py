"""Accuracy by level as dots with their intervals, beside what always guessing one class would score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cityguessr_data.stats.page.blocks import Key
from cityguessr_data.stats.page.theme import colour, share_ticks
from cityguessr_data.stats.page.words import percent
from cityguessr_data.stats.results import Interval

from ..show import share

if TYPE_CHECKING:
    import altair as alt

KEYS = (Key("The model", "accent"), Key("Always the most frequent class", "few"))
"""The legend."""


@dataclass(frozen=True)
class Row:
    """One level."""

    label: str
    accuracy: Interval
    prior: float


def accuracy(rows: Sequence[Row]) -> alt.LayerChart:
    """One row a level: a dot on its interval, and a line where the prior is."""
    import altair as alt

    values: list[dict[str, Any]] = [
        {
            "level": row.label,
            "value": row.accuracy.value,
            "low": row.accuracy.value if row.accuracy.low is None else row.accuracy.low,
            "high": row.accuracy.value if row.accuracy.high is None else row.accuracy.high,
            "said": share(row.accuracy),
            "shown": percent(row.accuracy.value),
            "prior": row.prior,
            "priorSaid": percent(row.prior),
        }
        for row in rows
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        alt.Y("level:N", title=None, sort=None).axis(domain=False, ticks=False, labelLimit=130, grid=False),
        tooltip=[
            alt.Tooltip("level:N", title="Level"),
            alt.Tooltip("said:N", title="Right"),
            alt.Tooltip("priorSaid:N", title="Most frequent class"),
        ],
    )
    x: Any = alt.X("low:Q", title=None).scale(domain=[0, 1]).axis(format="%", tickCount=share_ticks())
    lines = base.mark_rule(strokeWidth=3, opacity=0.55, stroke=colour("accent")).encode(x, alt.X2("high:Q"))
    dots = base.mark_circle(size=130, opacity=1, fill=colour("accent")).encode(alt.X("value:Q", title=None))
    priors = base.mark_tick(thickness=3, size=22, fill=colour("few"), opacity=1).encode(alt.X("prior:Q", title=None))
    at_the_end = alt.ExprRef("datum.value > 0.9 ? 'right' : 'center'")
    texts = base.mark_text(dy=-15, align=at_the_end, fontWeight=600).encode(
        alt.X("value:Q", title=None), alt.Text("shown:N")
    )
    return alt.layer(lines, priors, dots, texts)
