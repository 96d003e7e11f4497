"""Reliability: of the clips where a model is so sure, how many are right (Guo et al. 2017), with how many they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.page.blocks import Key
from cityguessr_data.stats.page.theme import colour, share_ticks
from cityguessr_data.stats.page.words import percent

from ...results import SHOWN_FIRST, Results

if TYPE_CHECKING:
    import altair as alt

DATA = "bins"
"""Name of the rows that both charts share."""
_SAME_ROOM: dict[str, Any] = {"minExtent": 44, "maxExtent": 44}  # px: bars of both plots stand under each other
KEYS = (Key("Right", "accent"), Key("Mean confidence", "few"), Key("Perfect", "soft", (1, 0)))


def rows(results: Results) -> list[dict[str, Any]]:
    """One row a bin that holds clips: level, mode, low, high, n, confidence, accuracy."""
    return [
        {
            "level": level,
            "mode": mode,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "confidence": one.confidence,
            "accuracy": one.accuracy,
            "range": f"{percent(one.low)} to {percent(one.high)}",
        }
        for mode, scores in results.modes.items()
        for level in LEVELS
        for one in scores.levels[level].calibration.bins
        if one.n
    ]


def reliability() -> alt.LayerChart:
    """Accuracy as bars, mean confidence as ticks, the diagonal as a line. Parameters `level` and `mode`."""
    import altair as alt

    y: Any = alt.Y("accuracy:Q", title="Right").scale(domain=[0, 1]).axis(format="%", tickCount=5, **_SAME_ROOM)
    diagonal = (
        alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
        .mark_line(strokeWidth=1, stroke=colour("soft"))
        .encode(alt.X("x:Q"), alt.Y("y:Q"))
    )
    base = _base("")
    bars = base.mark_rect(fill=colour("accent"), fillOpacity=0.6, stroke=colour("card")).encode(y, alt.Y2(datum=0))
    ticks = base.mark_rule(stroke=colour("few"), strokeWidth=3).encode(alt.Y("confidence:Q"))
    hover = base.mark_rect(opacity=0).encode(y=alt.value(0), y2=alt.value(alt.ExprRef("height")))
    return _with_params(alt.layer(bars, ticks, diagonal, hover))


def counts() -> alt.LayerChart:
    """How many clips each bin holds. Parameters `level` and `mode`."""
    import altair as alt

    base = _base("Confidence: probability of the predicted class")
    y: Any = alt.Y("n:Q", title="Clips").scale(zero=True).axis(format=",d", tickCount=3, tickMinStep=1, **_SAME_ROOM)
    bars = base.mark_rect(fill=colour("soft"), fillOpacity=0.6, stroke=colour("card")).encode(y, alt.Y2(datum=0))
    return _with_params(alt.layer(bars))


def _base(title: str) -> Any:
    import altair as alt

    x = alt.X("low:Q", title=title or None).scale(domain=[0, 1]).axis(format="%", grid=False, tickCount=share_ticks())
    return (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_filter("datum.level == level && datum.mode == mode")
        .encode(
            x,
            alt.X2("high:Q"),
            tooltip=[
                alt.Tooltip("range:N", title="Confidence"),
                alt.Tooltip("n:Q", title="Clips", format=","),
                alt.Tooltip("confidence:Q", title="Mean confidence", format=".1%"),
                alt.Tooltip("accuracy:Q", title="Right", format=".1%"),
            ],
        )
    )


def _with_params(layers: alt.LayerChart) -> alt.LayerChart:
    import altair as alt

    return layers.add_params(alt.param(name="level", value=LEVELS[0]), alt.param(name="mode", value=SHOWN_FIRST))
