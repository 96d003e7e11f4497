"""A small world map of letters for the terminal: land in braille dots, or in full stops where only ASCII is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Dots = npt.NDArray[np.bool_]
    """(rows, columns), north first."""

NORTH, SOUTH = 80.0, -56.0
"""Degrees of latitude shown: all cities lie between."""
_DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Of a braille letter of 4 x 2 dots, as Unicode numbers them."""
_BRAILLE = 0x2800


def world_map(
    marks: Sequence[tuple[str, float, float]], columns: int = 72, *, braille: bool = True
) -> list[list[tuple[str, bool]]]:
    """The world in plate carrée with marks on it.

    Args:
        marks: (letter, latitude, longitude in degrees), the most important first: where two fall on one place of the
            map, the later goes to the nearest free one.
        columns: width in letters; a letter is taken to be twice as high as wide.
    Returns:
        rows of (letter, whether it is a mark), north first.
    """
    rows = round(columns * (NORTH - SOUTH) / 360 / 2)
    dots = land(4 * rows, 2 * columns)
    cells = [[(_letter(dots, row, column, braille), False) for column in range(columns)] for row in range(rows)]
    for mark, lat, lon in marks:
        row, column = (NORTH - lat) / (NORTH - SOUTH) * rows, (lon + 180) / 360 * columns
        free = [(r, c) for r in range(rows) for c in range(columns) if not cells[r][c][1]]
        # A row is as high as two columns are wide
        r, c = min(free, key=lambda at: (2 * (at[0] + 0.5 - row)) ** 2 + (at[1] + 0.5 - column) ** 2)
        cells[r][c] = (mark, True)
    return cells


def land(rows: int, columns: int) -> Dots:
    """Which dots of a plate carrée map have their middle on land: even-odd rule, row by row."""
    import numpy as np

    x0, y0, x1, y1 = _edges()
    dots = np.zeros((rows, columns), bool)
    middles = -180 + (np.arange(columns) + 0.5) * 360 / columns
    for row in range(rows):
        lat = NORTH - (row + 0.5) * (NORTH - SOUTH) / rows
        crossed = (y0 <= lat) != (y1 <= lat)
        at = x0[crossed] + (lat - y0[crossed]) / (y1[crossed] - y0[crossed]) * (x1[crossed] - x0[crossed])
        dots[row] = np.searchsorted(np.sort(at), middles) % 2 == 1
    return dots


@lru_cache(maxsize=1)
def _edges() -> tuple[Any, Any, Any, Any]:
    """The coast as segments: x0, y0, x1, y1 in degrees, each (n,) float64."""
    import numpy as np

    from cityguessr_data.core.manifests import manifest_path

    topology = json.loads(manifest_path("maps/land-110m.json").read_text(encoding="utf-8"))
    scale, move = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = [np.cumsum(np.asarray(arc), axis=0) * scale + move for arc in topology["arcs"]]  # stored as differences
    used = [
        arc if arc >= 0 else ~arc  # ~arc: the same coast the other way round, which the rule does not mind
        for geometry in topology["objects"]["land"]["geometries"]
        for polygon in (geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]])
        for ring in polygon
        for arc in ring
    ]
    for arc in arcs:
        arc[:, 0] = np.unwrap(arc[:, 0], period=360)  # some coasts cross the 180th meridian
    once = np.concatenate([np.hstack([arcs[i][:-1], arcs[i][1:]]) for i in used])
    around = np.concatenate([once + np.array((turn, 0, turn, 0)) for turn in (-360, 0, 360)])
    x0, y0, x1, y1 = around.T
    return x0, y0, x1, y1


def _letter(dots: Dots, row: int, column: int, braille: bool) -> str:
    block = dots[4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
    if not braille:
        return "." if 2 * block.sum() >= block.size else " "
    bits = sum(_DOT_BITS[y][x] for y in range(4) for x in range(2) if block[y, x])
    return chr(_BRAILLE + bits) if bits else " "
