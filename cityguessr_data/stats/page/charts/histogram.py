"""A histogram of binned values, with lines for the median and the fullest bin, or with a threshold."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...results import Distribution
from ..blocks import Key
from ..theme import colour
from ..words import edge, percent, short, whole

if TYPE_CHECKING:
    import altair as alt


def histogram(
    values: Distribution,
    axis: str,
    counted: str,
    threshold: float | None = None,
    legend: bool = False,
) -> alt.LayerChart:
    """Bars of a distribution.

    Args:
        axis: what is measured, with its unit.
        counted: what the bars count, e.g. `Classes`.
        threshold: values from here on are told apart from those below; median and mode are left out then.
        legend: whether the chart names what the threshold parts; median and mode are always named.
    """
    import altair as alt

    integers = are_whole(values)
    shift = 0.5 if integers else 0.0  # a bar of whole numbers stands over the numbers that it counts
    rows = bins(values)
    for row in rows:
        row["part"] = "" if threshold is None else _part(row["low"], threshold)
        row |= {"from": row["low"] - shift, "to": row["high"] - shift}
    low, high = rows[0]["from"], rows[-1]["to"]
    if len(rows) == 1:  # one bar as wide as the plot would look like a background
        low, high = low - 2 * (high - low), high + 2 * (high - low)
    tooltip = [
        alt.Tooltip("range:N", title=axis),
        alt.Tooltip("n:Q", title=counted, format=","),
        alt.Tooltip("share:N", title="Share"),
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        alt.X("from:Q", title=axis)
        .scale(domain=[low, high], nice=False, zero=False)
        .axis(grid=False, labelOverlap=True, **_ticks(rows, integers)),
        alt.X2("to:Q"),
        tooltip=tooltip,
    )
    fill: Any = alt.value(colour("accent"))
    if threshold is not None:
        entries = threshold_keys(threshold)
        fill = alt.Color("part:N", legend=alt.Legend(symbolType="square") if legend else None).scale(
            domain=[key.label for key in entries], range=[colour(key.colour) for key in entries]
        )
    bars = base.mark_rect(stroke=colour("card"), strokeWidth=0.75, fillOpacity=0.6).encode(
        alt.Y("n:Q", title=counted).scale(zero=True).axis(format=",d", **_whole_ticks(max(row["n"] for row in rows))),
        color=fill,
    )
    bars = bars.encode(y2=alt.datum(0))
    hover = base.mark_rect(opacity=0).encode(y=alt.value(0), y2=alt.value(alt.ExprRef("height")))
    return alt.layer(bars, hover, _lines(values) if threshold is None else _threshold(threshold))


def are_whole(values: Distribution) -> bool:
    """Whether the values are whole numbers: their mode then is the middle of the numbers in the fullest bin."""
    fullest = values.counts.index(max(values.counts))
    low, high = values.edges[fullest], values.edges[fullest + 1]
    return low == int(low) and high == int(high) and values.mode == (low + high - 1) / 2


def fullest_bin(values: Distribution) -> str:
    """The fullest bin in words, of several the first: `200 to 299` of whole numbers, else `2.5 to 3`."""
    return str(bins(values)[values.counts.index(max(values.counts))]["range"]).replace("below ", "")


def bins(values: Distribution) -> list[dict[str, Any]]:
    """One row a bin: low, high, n, and range and share in words."""
    total, integers = sum(values.counts), are_whole(values)
    return [
        {
            "low": low,
            "high": high,
            "n": n,
            "range": _range(low, high, integers, last=i == len(values.counts) - 1),
            "share": percent(n, total),
        }
        for i, ((low, high), n) in enumerate(zip(pairwise(values.edges), values.counts, strict=True))
    ]


def _range(low: float, high: float, integers: bool, last: bool) -> str:
    if integers:
        return whole(int(low)) if high - low <= 1 else f"{int(low):,} to {int(high) - 1:,}"
    return f"{edge(low, high - low)} to {'' if last else 'below '}{edge(high, high - low)}"


def _ticks(rows: list[dict[str, Any]], integers: bool) -> dict[str, Any]:
    """Of the x axis: whole numbers get no mark in between."""
    import altair as alt

    if not integers:
        return {"format": ",~r", "tickCount": alt.ExprRef("width / 70")}
    first, last = int(rows[0]["low"]), int(rows[-1]["high"]) - 1
    if last - first < 10:
        return {"format": ",d", "values": list(range(first, last + 1))}
    return {"format": ",d", "tickCount": alt.ExprRef("width / 70")}


def _whole_ticks(most: int) -> dict[str, Any]:
    """Of the y axis: counts are whole."""
    return {"values": list(range(most + 1))} if most <= 5 else {"tickCount": 5}


def threshold_keys(threshold: float) -> tuple[Key, Key]:
    """The legend of the scores: below the threshold, and from it on."""
    said = short(threshold)
    return Key(f"review band, below {said}", "few"), Key(f"blurred, from {said}", "accent")


def _part(low: float, threshold: float) -> str:
    below, above = threshold_keys(threshold)
    return (above if low >= threshold - 1e-9 else below).label


def _lines(values: Distribution) -> alt.Chart:
    """Median and the middle of the fullest bin as lines, named in the legend: there they cannot overlap."""
    import altair as alt

    names = [f"median {short(values.median)}", f"fullest bin {fullest_bin(values)}"]
    rows = [{"x": x, "line": name} for x, name in zip((values.median, values.mode), names, strict=True)]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rule(strokeWidth=2)
        .encode(
            alt.X("x:Q"),
            alt.Color("line:N").scale(domain=names, range=[colour("ink"), colour("few")]),
            alt.StrokeDash("line:N").scale(domain=names, range=[[1, 0], [5, 3]]),
            tooltip=alt.Tooltip("line:N", title="Line"),
        )
    )


def _threshold(threshold: float) -> alt.Chart:
    import altair as alt

    rows = [{"x": threshold, "line": f"threshold {short(threshold)}"}]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rule(strokeWidth=1.5, strokeDash=[5, 3], stroke=colour("ink"))
        .encode(alt.X("x:Q"), tooltip=alt.Tooltip("line:N", title="Line"))
    )
