"""The world map: one bubble a city, its area by the number of clips, over the land of Natural Earth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....core.manifests import manifest_path
from ...results import ClassCount
from ..theme import colour
from ..words import place

if TYPE_CHECKING:
    import altair as alt

LAND = "land"
"""Name of the data with the shapes under the bubbles."""

_WIDTH_AT_1 = 5.41326  # of the world in the Equal Earth projection at scale 1

REGIONS: dict[str, tuple[float, float, float]] = {
    "World": (10, 12, 1.0),
    "Africa": (18, 1, 2.6),
    "Asia": (90, 26, 2.2),
    "Europe": (14, 51, 5.0),
    "North America": (-95, 36, 2.7),
    "Oceania": (148, -26, 3.4),
    "South America": (-62, -20, 2.9),
}
"""Longitude and latitude of the middle, and how much larger than the world; Antarctica lies below the edge."""


def land() -> Any:
    """The shapes of the data set `LAND`, as TopoJSON."""
    return json.loads(manifest_path("maps/land-110m.json").read_text(encoding="utf-8"))


def has_bubble(city: ClassCount) -> bool:
    """Whether a city can be drawn: it has coordinates and a clip."""
    return city.lat is not None and city.lon is not None and city.n_clips > 0


def world(cities: Sequence[ClassCount]) -> alt.LayerChart:
    """Bubbles over land, Equal Earth projection, as `over_land`.

    Args:
        cities: those that `has_bubble`, most clips first: small bubbles then lie on large ones.
    """
    import altair as alt

    wide_enough = alt.ExprRef("width < 450 ? 0 : 0.8")  # on a phone the legend would lie on the land
    sizes = alt.Legend(
        orient="bottom-left",
        direction="vertical",
        values=_sizes(cities[0].n_clips),
        format=",d",
        symbolType="circle",
        symbolFillColor=colour("accent"),
        symbolStrokeColor=colour("accent"),
        symbolOpacity=wide_enough,
        labelOpacity=wide_enough,
        titleOpacity=wide_enough,
        symbolStrokeWidth=0.8,
    )
    rows: list[dict[str, Any]] = [
        {
            "city": place(c.name),
            "where": ", ".join(place(p, 40) for p in c.parents[1:2]) or "–",
            "n": c.n_clips,
            "videos": "–" if c.n_videos is None else f"{c.n_videos:,}",
            "lat": c.lat,
            "lon": c.lon,
        }
        for c in cities
    ]
    marks = bubbles(rows).encode(
        longitude="lon:Q",
        latitude="lat:Q",
        size=areas("n", "Clips", sizes),
        tooltip=[
            alt.Tooltip("city:N", title="City"),
            alt.Tooltip("where:N", title="Country"),
            alt.Tooltip("n:Q", title="Clips", format=","),
            alt.Tooltip("videos:N", title="Source videos"),
        ],
    )
    return over_land(marks)


def bubbles(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """One see-through circle a row, its place and size still to be encoded."""
    import altair as alt

    return alt.Chart(alt.Data(values=list(rows))).mark_circle(
        clip=True, fill=colour("accent"), fillOpacity=0.55, stroke=colour("accent"), strokeWidth=0.8, opacity=1
    )


def areas(field: str, title: str, legend: Any) -> Any:
    """Bubbles whose area goes by a field; they grow with the map and, less, with its zoom."""
    import altair as alt

    most = alt.ExprRef("clamp(width / 3.5, 60, 330) * sqrt(zoom)")
    return alt.Size(f"{field}:Q", title=title, legend=legend).scale(
        type="linear", zero=True, nice=False, range=[0, most]
    )


def over_land(marks: alt.Chart) -> alt.LayerChart:
    """Marks with longitude and latitude over the land. Parameters `lon`, `lat` and `zoom` move the map.

    The shapes are the data set `LAND`, which the chart only names.
    """
    import altair as alt

    shapes = alt.NamedData(name=LAND, format=alt.TopoDataFormat(type="topojson", feature="land"))
    ground = alt.Chart(shapes).mark_geoshape(fill=colour("land"), stroke=colour("card"), strokeWidth=0.5, clip=True)
    lon, lat, zoom = REGIONS["World"]
    return (
        alt.layer(ground, marks)
        .project(
            type="equalEarth",
            rotate=alt.ExprRef("[-lon, 0, 0]"),
            center=alt.ExprRef("[0, lat]"),
            scale=alt.ExprRef(f"zoom * width / {_WIDTH_AT_1}"),
            translate=alt.ExprRef("[width / 2, height / 2]"),
        )
        .add_params(
            *(alt.param(name=name, value=value) for name, value in (("lon", lon), ("lat", lat), ("zoom", zoom)))
        )
    )


def _sizes(most: int) -> list[int]:
    """Round numbers for the legend: the largest of 1, 2, 5, 10, ... that the data reaches, and a fifth of it."""
    power = 10 ** (len(str(most)) - 1)
    top = max(n * power for n in (1, 2, 5) if n * power <= most)
    return [n for n in (top // 5, top) if n]
