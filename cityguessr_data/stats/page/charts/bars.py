"""Counts of a few named kinds (frame rates, resolutions, origins) as bars with names and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..theme import colour, room_for_counts
from ..words import plain

if TYPE_CHECKING:
    import altair as alt

_MAX_BARS = 12


def n_bars(counts: Mapping[str, int]) -> int:
    """How many bars there will be."""
    return min(len(counts), _MAX_BARS)


def bars(counts: Mapping[str, int], kind: str, counted: str) -> alt.LayerChart:
    """One bar a kind, in the order given; past twelve the rest is one bar.

    Args:
        kind: what the names are, e.g. `Resolution`.
        counted: what is counted, e.g. `Clips`.
    """
    import altair as alt

    total = sum(counts.values())
    shown = dict(list(counts.items())[: _MAX_BARS - (len(counts) > _MAX_BARS)])
    rows = [{"kind": plain(name, 40), "n": n, "share": n / total if total else 0} for name, n in shown.items()]
    rest = total - sum(shown.values())
    if len(shown) < len(counts):
        rows.append({"kind": f"{len(counts) - len(shown):,} others", "n": rest, "share": rest / total if total else 0})
    base = alt.Chart(alt.Data(values=rows)).encode(
        alt.X("n:Q", title=None, stack=None).scale(zero=True, nice=False, range=room_for_counts()).axis(None),
        alt.Y("kind:N", title=None, sort=None).axis(domain=False, ticks=False, labelLimit=180),
        tooltip=[
            alt.Tooltip("kind:N", title=kind),
            alt.Tooltip("n:Q", title=counted, format=","),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    return alt.layer(
        base.mark_bar(fill=colour("accent"), height=alt.RelativeBandSize(band=0.72)),
        base.mark_text(align="left", dx=5).encode(alt.Text("n:Q", format=",")),
    )
