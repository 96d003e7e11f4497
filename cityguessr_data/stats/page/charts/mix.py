"""What the clips show: the share of each scene class, over all clips and by continent."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ....core.manifests import manifest_path
from ....core.places365 import SCENE_CLASSES
from ..blocks import Key
from ..theme import colour, room_for_counts, share_ticks
from ..words import place

if TYPE_CHECKING:
    import altair as alt

FAMILIES = {"indoor": "Indoor", "outdoor_natural": "Outdoor, natural", "outdoor_manmade": "Outdoor, man-made"}
"""Level 1 of the scene hierarchy; of the 16 classes the first 6, the next 4, the last 6."""


FAMILY_KEYS = tuple(Key(name, f"family{i}") for i, name in enumerate(FAMILIES.values()))
SCENE_KEYS = tuple(Key(place(name), f"scene{i}") for i, name in enumerate(SCENE_CLASSES))
"""Legends of the two charts."""


@cache
def families() -> tuple[str, ...]:
    """(16,) the family of each scene class, in the order of SCENE_CLASSES."""
    with manifest_path("places365/classes.csv").open(newline="", encoding="utf-8") as f:
        return tuple(FAMILIES[row["group"]] for row in csv.DictReader(f))


def scene_name(index: int) -> str:
    """The class as people write it."""
    return place(SCENE_CLASSES[index])


def overall(shares: Sequence[float], legend: bool = False) -> alt.LayerChart:
    """One bar a class, coloured by family, largest first inside its family."""
    import altair as alt

    order = sorted(range(len(shares)), key=lambda i: (list(FAMILIES.values()).index(families()[i]), -shares[i]))
    rows = [{"scene": scene_name(i), "family": families()[i], "share": round(shares[i], 6)} for i in order]
    base = alt.Chart(alt.Data(values=rows)).encode(
        alt.X("share:Q", title=None, stack=None).scale(zero=True, nice=False, range=room_for_counts()).axis(None),
        alt.Y("scene:N", title=None, sort=None).axis(domain=False, ticks=False, labelLimit=180),
        tooltip=[
            alt.Tooltip("scene:N", title="Scene"),
            alt.Tooltip("family:N", title="Family"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    inside: Any = alt.Legend(symbolType="square", columns=1) if legend else None
    bars = base.mark_bar(height=alt.RelativeBandSize(band=0.72)).encode(
        alt.Color("family:N", legend=inside).scale(
            domain=[key.label for key in FAMILY_KEYS], range=[colour(key.colour) for key in FAMILY_KEYS]
        )
    )
    return alt.layer(bars, base.mark_text(align="left", dx=5).encode(alt.Text("share:Q", format=".1%")))


def by_continent(shares: Mapping[str, Sequence[float]], legend: bool = False) -> alt.Chart:
    """One stacked bar of 100 % a row, the families side by side.

    Args:
        shares: row, e.g. a continent -> (16,) shares that sum to 1; from the top.
    """
    import altair as alt

    rows: list[dict[str, Any]] = []
    for name, mix in shares.items():
        ends = [sum(mix[: i + 1]) / sum(mix) for i in range(len(mix))]
        rows += [
            {"row": name, "scene": scene_name(i), "family": families()[i], "share": mix[i], "from": low, "to": high}
            for i, (low, high) in enumerate(zip([0.0, *ends], ends, strict=False))
        ]
    inside: Any = alt.Legend(orient="bottom", columns=4, symbolType="square", labelLimit=150) if legend else None
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(stroke=colour("card"), strokeWidth=0.75, height=alt.RelativeBandSize(band=0.8))
        .encode(
            alt.X("from:Q", title=None).scale(domain=[0, 1]).axis(format="%", tickCount=share_ticks(), grid=False),
            alt.X2("to:Q"),
            alt.Y("row:N", title=None, sort=None).axis(domain=False, ticks=False, labelLimit=120),
            alt.Color("scene:N", legend=inside).scale(
                domain=[key.label for key in SCENE_KEYS], range=[colour(key.colour) for key in SCENE_KEYS]
            ),
            tooltip=[
                alt.Tooltip("row:N", title="Clips of"),
                alt.Tooltip("scene:N", title="Scene"),
                alt.Tooltip("family:N", title="Family"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
    )
