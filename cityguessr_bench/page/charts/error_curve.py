"""How far off: the share of clips within a distance, for every distance, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cityguessr_data.stats.page.blocks import Key
from cityguessr_data.stats.page.theme import colour

if TYPE_CHECKING:
    import altair as alt

_LOW_KM, _HIGH_KM = 1.0, 20_100.0  # half the way around the earth is 20,015 km
_N_POINTS = 160
_DASHES = ((1, 0), (6, 3), (2, 2))
_COLOURS = ("curve0", "curve2", "curve1")


@dataclass(frozen=True)
class Curve:
    """The errors of one way to guess."""

    label: str
    """Unique."""
    km: npt.NDArray[np.float64]
    """(N,) of clips with coordinates on both sides."""
    within: Mapping[int, float]
    """Shares at the usual limits, by km; drawn as dots. Empty: none."""


def keys(curves: Sequence[Curve]) -> tuple[Key, ...]:
    """The legend."""
    return tuple(Key(curve.label, _COLOURS[i], _DASHES[i]) for i, curve in enumerate(curves))


def error_curve(curves: Sequence[Curve], limits_km: Sequence[int]) -> alt.LayerChart:
    """At most three curves. Parameter `picked` holds labels of curves to bring out; empty: all."""
    import altair as alt

    entries = keys(curves)
    labels = [key.label for key in entries]
    x: Any = (
        alt.X("km:Q", title="Distance from the true city (km)")
        .scale(type="log", domain=[_LOW_KM, _HIGH_KM], nice=False)
        .axis(values=[1, 10, 100, 1_000, 10_000], format=",d", grid=False)
    )
    y: Any = alt.Y("share:Q", title="Share of clips within it").scale(domain=[0, 1]).axis(format="%", tickCount=5)
    hue: Any = alt.Color("curve:N", legend=None).scale(domain=labels, range=[colour(key.colour) for key in entries])
    shown: Any = alt.condition("length(picked) == 0 || indexof(picked, datum.curve) >= 0", alt.value(1), alt.value(0.2))
    tooltip = [
        alt.Tooltip("curve:N", title="Guess"),
        alt.Tooltip("km:Q", title="Within km", format=",.0f"),
        alt.Tooltip("share:Q", title="Share of clips", format=".1%"),
    ]
    rules = alt.Chart(alt.Data(values=[{"km": km} for km in limits_km])).mark_rule(
        stroke=colour("soft"), strokeDash=[2, 3], strokeWidth=1
    )
    base = alt.Chart(alt.Data(values=[row for curve in curves for row in _points(curve)])).encode(x, y, hue)
    lines = base.mark_line(strokeWidth=2, interpolate="step-after").encode(
        strokeDash=alt.StrokeDash("curve:N", legend=None).scale(
            domain=labels, range=[list(key.dash or ()) for key in entries]
        ),
        opacity=shown,
    )
    hover = base.mark_point(filled=True, size=60, opacity=0).encode(tooltip=tooltip)
    at_limits = [
        {"curve": curve.label, "km": km, "share": value} for curve in curves for km, value in curve.within.items()
    ]
    dots = (
        alt.Chart(alt.Data(values=at_limits))
        .mark_circle(size=70, opacity=1)
        .encode(alt.X("km:Q"), alt.Y("share:Q"), hue, opacity=shown, tooltip=tooltip)
    )
    layers = alt.layer(rules.encode(alt.X("km:Q")), lines, hover, dots)
    return layers.add_params(alt.param(name="picked", value=[]))


def _points(curve: Curve) -> list[dict[str, Any]]:
    """The curve at even steps of the logarithm; errors below 1 km count from the left end on."""
    at = np.geomspace(_LOW_KM, _HIGH_KM, _N_POINTS)
    shares = np.searchsorted(np.sort(curve.km), at, side="right") / len(curve.km)
    return [
        {"curve": curve.label, "km": round(km, 3), "share": round(value, 5)}
        for km, value in zip(at.tolist(), shares.tolist(), strict=True)
    ]
