"""Where a model is right: a bubble a city, its area by clips, its colour by the share right (supplementary Fig. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import Key
from cityguessr_data.stats.page.charts.world import areas, over_land
from cityguessr_data.stats.page.theme import colour
from cityguessr_data.stats.page.words import place

from ...classes import Classes
from ...results import SHOWN_FIRST, Results

if TYPE_CHECKING:
    import altair as alt

DATA = "cities"
"""Name of the rows that the maps of all levels share."""
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
KEYS = tuple(
    Key(f"{100 * step:.0f}\u00a0%{' right' if step == 1 else ''}", f"ramp{i}") for i, step in enumerate(_STEPS)
)
"""The legend of the colours."""


def drawable(results: Results, classes: Classes) -> list[int]:
    """Cities with clips and coordinates, most clips first: small bubbles then lie on large ones."""
    known = classes.coordinates[:, 0] == classes.coordinates[:, 0]
    cities = [label for label, n in enumerate(results.clips_by_city) if n and known[label]]
    return sorted(cities, key=lambda label: (-results.clips_by_city[label], label))


def rows(results: Results, classes: Classes) -> list[dict[str, Any]]:
    """One row a city: its place, its clips `n`, and how many of them are right as `<level>_<mode>`."""
    made = []
    for label in drawable(results, classes):
        lat, lon = classes.coordinates[label].tolist()
        right = {
            f"{level}_{mode}": scores.levels[level].right_by_city[label]
            for mode, scores in results.modes.items()
            for level in LEVELS
        }
        country = place(classes.names["country"][classes.paths[label, 2]], 40)
        named = {"city": place(results.names["city"][label]), "where": country}
        made.append({**named, "n": results.clips_by_city[label], "lat": lat, "lon": lon, **right})
    return made


def right_map(level: Level) -> alt.LayerChart:
    """The map of one level. Parameters: `mode`, and `lon`, `lat` and `zoom` of `over_land`."""
    import altair as alt

    fill: Any = alt.Color("share:Q", legend=None).scale(
        type="linear", domain=list(_STEPS), range=[colour(key.colour) for key in KEYS]
    )
    bubbles = (
        alt.Chart(alt.NamedData(name=DATA))
        .transform_calculate(right=f"datum['{level}_' + mode]")
        .transform_calculate(
            share="datum.right / datum.n",
            said="format(datum.right, ',') + ' of ' + format(datum.n, ',') + ' (' + format(datum.share, '.0%') + ')'",
        )
        .mark_circle(clip=True, fillOpacity=0.85, stroke=colour("card"), strokeWidth=0.6, opacity=1)
        .encode(
            longitude="lon:Q",
            latitude="lat:Q",
            size=areas("n", "Clips", None),
            fill=fill,
            tooltip=[
                alt.Tooltip("city:N", title="City"),
                alt.Tooltip("where:N", title="Country"),
                alt.Tooltip("said:N", title="Right"),
            ],
        )
    )
    return over_land(bubbles).add_params(alt.param(name="mode", value=SHOWN_FIRST))
