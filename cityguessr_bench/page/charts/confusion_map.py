"""What is taken for what: true classes down, predicted ones across, so ordered that neighbours on earth stand together.

Names stand at the sides while there are few classes; of many, the continents (or countries) do, with lines between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import Key, Spec
from cityguessr_data.stats.page.theme import colour
from cityguessr_data.stats.page.words import place

from ...classes import Classes

if TYPE_CHECKING:
    import altair as alt

KEYS = (Key("Right", "accent"), Key("Wrong", "few"))
MAX_CELLS = 4_000
"""Of a level; the fullest are drawn."""
_CELLS = "cells"
_NAMED = 24
_LETTER_PX = 6.9
_LINE_PX = 11
_LONGEST = 18


@dataclass(frozen=True)
class Cell:
    """One pair of classes."""

    truth: int
    predicted: int
    n: int
    share: float
    """Of the clips of the true class."""


def cells(confusion: npt.NDArray[np.int64]) -> list[Cell]:
    """Pairs with clips, most clips first."""
    totals = confusion.sum(axis=1)
    found = [
        Cell(int(t), int(p), int(confusion[t, p]), float(confusion[t, p] / totals[t]))
        for t, p in zip(*np.nonzero(confusion), strict=True)
    ]
    return sorted(found, key=lambda cell: (-cell.n, cell.truth, cell.predicted))


def order(classes: Classes, level: Level) -> list[int]:
    """The labels of a level by continent, country, state and name."""
    paths = [_path(classes, level, label) for label in range(classes.sizes[level])]
    return sorted(range(len(paths)), key=lambda label: ([place(part) for part in reversed(paths[label])], label))


def rows(found: Sequence[Cell], classes: Classes, level: Level) -> list[dict[str, Any]]:
    """What the map draws: one row a cell, the fullest `MAX_CELLS`."""
    at = {label: i for i, label in enumerate(order(classes, level))}
    names = [place(name, 40) for name in classes.names[level]]
    return [
        {
            "t": at[cell.truth],
            "p": at[cell.predicted],
            "true": names[cell.truth],
            "predicted": names[cell.predicted],
            "n": cell.n,
            "s": round(cell.share, 4),
            "kind": KEYS[cell.truth != cell.predicted].label,
        }
        for cell in found[:MAX_CELLS]
    ]


def filled(spec: Spec, drawn: Sequence[dict[str, Any]]) -> Spec:
    """The specification of a map with its rows inside. Altair would look at each of thousands, several times."""
    layers = [
        {**one, "data": {"values": drawn}} if one.get("data") == {"name": _CELLS} else one for one in spec["layer"]
    ]
    return {**spec, "layer": layers}


def confusion_map(classes: Classes, level: Level) -> alt.LayerChart:
    """Cells by share of the true class: right ones teal, wrong ones orange. Their rows come by `filled`."""
    import altair as alt

    ordered = order(classes, level)
    n_classes = len(ordered)
    groups = _groups(classes, level, ordered)
    room_px = 14 + _LETTER_PX * max(len(label) for label, _, _ in groups)
    blank = {"labels": False, "ticks": False, "domain": False, "grid": False, "titlePadding": room_px}
    domain = [0, n_classes]
    x: Any = alt.X("p:Q", title="Predicted").scale(domain=domain, nice=False).axis(**blank)
    y: Any = alt.Y("t:Q", title="True").scale(domain=domain, nice=False, reverse=True).axis(**blank)
    base = (
        alt.Chart(alt.NamedData(name=_CELLS))
        .transform_calculate(p1="datum.p + 1", t1="datum.t + 1")
        .encode(
            x,
            y,
            tooltip=[
                alt.Tooltip("true:N", title="True"),
                alt.Tooltip("predicted:N", title="Predicted"),
                alt.Tooltip("n:Q", title="Clips", format=","),
                alt.Tooltip("s:Q", title="Of the true class", format=".1%"),
            ],
        )
    )
    rects = base.mark_rect().encode(
        alt.X2("p1:Q"),
        alt.Y2("t1:Q"),
        alt.Color("kind:N", legend=None).scale(
            domain=[key.label for key in KEYS], range=[colour(key.colour) for key in KEYS]
        ),
        opacity=alt.Opacity("s:Q", legend=None).scale(type="sqrt", domain=[0, 1], range=[0.15, 1]),
    )
    edges = [{"e": start} for _, start, _ in groups] + [{"e": n_classes}]
    lines = alt.Chart(alt.Data(values=edges))
    grid: dict[str, Any] = {"stroke": colour("line"), "strokeWidth": 1}
    layers = [lines.mark_rule(**grid).encode(alt.X("e:Q")), lines.mark_rule(**grid).encode(alt.Y("e:Q")), rects]
    if n_classes <= _NAMED // 2:
        middle = base.transform_calculate(px="datum.p + 0.5", ty="datum.t + 0.5")
        enough = alt.ExprRef(f"width > {28 * n_classes} ? 1 : 0")
        ink = alt.condition("datum.s > 0.35", alt.value(colour("card")), alt.value(colour("ink")))
        layers.append(
            middle.mark_text(opacity=enough).encode(
                alt.X("px:Q"), alt.Y("ty:Q"), alt.Text("n:Q", format=","), color=ink
            )
        )
    sides = alt.Chart(alt.Data(values=[{"name": name, "m": (a + b) / 2, "size": b - a} for name, a, b in groups]))
    texts: dict[str, Any] = {"align": "right", "baseline": "middle", "fill": colour("soft"), "limit": room_px}
    fits = alt.ExprRef(f"datum.size * width >= {_LINE_PX * n_classes} ? 1 : 0")  # or names would lie on each other
    left = sides.mark_text(dx=-6, opacity=fits, **texts).encode(alt.Y("m:Q"), x=alt.value(0), text="name:N")
    below = sides.mark_text(angle=270, dx=-6, opacity=fits, **texts).encode(
        alt.X("m:Q"), y=alt.value(alt.ExprRef("height")), text="name:N"
    )
    return alt.layer(*layers, left, below)


def _groups(classes: Classes, level: Level, ordered: Sequence[int]) -> list[tuple[str, int, int]]:
    """(name, from, to) of what the sides say: classes while they are few, else their continents or countries."""
    paths = [[place(part, _LONGEST) for part in _path(classes, level, label)] for label in ordered]
    if len(paths) <= _NAMED:
        return [(path[0], i, i + 1) for i, path in enumerate(paths)]
    depth = -1 if len({path[-1] for path in paths}) > 1 or len(paths[0]) == 1 else -2
    made: list[tuple[str, int, int]] = []
    for name, members in groupby(paths, key=lambda path: path[depth]):
        start = made[-1][2] if made else 0
        made.append((name, start, start + len(list(members))))
    return made


def _path(classes: Classes, level: Level, label: int) -> list[str]:
    """Names of a class and of what it lies in, the nearest first."""
    names = [classes.names[level][label]]
    for lower, upper in pairwise(LEVELS[LEVELS.index(level) :]):
        label = int(classes.parents[lower][label])
        names.append(classes.names[upper][label])
    return names
