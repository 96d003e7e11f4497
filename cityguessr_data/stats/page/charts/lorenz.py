"""Lorenz curves with the diagonal of an even spread (paper: supplementary section 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..blocks import Key
from ..theme import LIGHT, colour, share_ticks

if TYPE_CHECKING:
    import altair as alt

_MAX_POINTS = 300  # of a curve: more cannot be told apart
_DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))


@dataclass(frozen=True)
class Curve:
    """One Lorenz curve."""

    label: str
    """Unique among the curves of one `group`."""
    points: tuple[tuple[float, float], ...]
    """(share of classes, share of clips), from (0, 0) to (1, 1)."""
    group: str = ""
    """Drawn while this group is selected."""


def lorenz(curves: Sequence[Curve], group: str | None = None, legend: bool = False) -> alt.LayerChart:
    """Curves, told apart by colour and dash. Parameter `picked` holds labels of curves to bring out; empty: all.

    Args:
        group: shown first, parameter `level`; None: the curves have no groups.
        legend: whether the chart has its legend inside.
    """
    import altair as alt

    entries = keys(curves)
    labels = [key.label for key in entries]
    inside: Any = alt.Legend(symbolType="stroke", columns=2) if legend else None
    base = alt.Chart(alt.Data(values=[row for curve in curves for row in _rows(curve)])).encode(
        alt.X("x:Q", title="Share of classes, smallest first")
        .scale(domain=[0, 1])
        .axis(format="%", tickCount=share_ticks()),
        alt.Y("y:Q", title="Share of clips").scale(domain=[0, 1]).axis(format="%", tickCount=5),
        alt.Detail("group:N"),
    )
    if group is not None:
        base = base.transform_filter("datum.group == level")
    lines = base.mark_line(strokeWidth=2).encode(
        alt.Color("curve:N", legend=inside).scale(domain=labels, range=[colour(key.colour) for key in entries]),
        alt.StrokeDash("curve:N", legend=inside).scale(domain=labels, range=[list(key.dash or ()) for key in entries]),
        alt.Order("x:Q"),
        opacity=alt.condition("length(picked) == 0 || indexof(picked, datum.curve) >= 0", alt.value(1), alt.value(0.2)),
    )
    points = base.mark_point(filled=True, size=70, opacity=0).encode(
        tooltip=[
            alt.Tooltip("curve:N", title="Curve"),
            alt.Tooltip("x:Q", title="Smallest classes", format=".1%"),
            alt.Tooltip("y:Q", title="Hold of all clips", format=".1%"),
        ]
    )
    even = (
        alt.Chart(alt.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
        .mark_line(strokeWidth=1, stroke=colour("soft"))
        .encode(x="x:Q", y="y:Q")
    )
    parameters = [alt.param(name="picked", value=[])] + ([alt.param(name="level", value=group)] if group else [])
    return alt.layer(even, lines, points).add_params(*parameters)


def keys(curves: Sequence[Curve]) -> tuple[Key, ...]:
    """The legend: past six curves the colours come again with other dashes."""
    n = len(LIGHT.curves)
    labels = dict.fromkeys(curve.label for curve in curves)
    return tuple(Key(label, f"curve{i % n}", _DASHES[(i + i // n) % len(_DASHES)]) for i, label in enumerate(labels))


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about 300 of the points, first and last among them."""
    step = -(-len(points) // _MAX_POINTS)
    kept = list(points[::step])
    return kept if (len(points) - 1) % step == 0 else [*kept, points[-1]]


def height_at(points: Sequence[tuple[float, float]], share: float) -> float:
    """The curve at a share of classes; it is straight between classes."""
    import numpy as np

    x, y = zip(*points, strict=True)
    return float(np.interp(share, x, y))


def _rows(curve: Curve) -> list[dict[str, Any]]:
    return [
        {"curve": curve.label, "group": curve.group, "x": round(x, 5), "y": round(y, 5)}
        for x, y in thinned(curve.points)
    ]
