"""From a chart to the JSON that a browser or the figure writer draws: sizes, description, data by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Spec
from .theme import FIGURE_FONT, LIGHT, vega_config

COLUMN_PT = 252
"""Width of one column of a paper, 3.5 inches."""
PAGE_PT = 504
"""Width of both columns, 7 inches."""
_FIGURE_FONT_PT = 8


def page_spec(chart: Any, description: str, height_px: int | str) -> Spec:
    """A chart as wide as its box on the page.

    Args:
        description: what a screen reader says in place of the plot.
        height_px: inside the axes; `container`: of the chart's box.
    """
    spec: Spec = chart.properties(description=description, width="container", height=height_px).to_dict()
    for key in ("$schema", "config"):  # the version is that of the script on the page; the theme comes at drawing
        spec.pop(key, None)
    fit = "fit" if height_px == "container" else "fit-x"
    spec["autosize"] = {"type": fit, "contains": "padding"}
    return spec | {"padding": {"left": 2, "right": 10, "top": 4, "bottom": 4}}


def figure_spec(
    chart: Any,
    width_pt: int,
    height_pt: int,
    datasets: Mapping[str, Any] | None = None,
) -> Spec:
    """A chart for a paper: light theme, one unit is one point.

    Args:
        height_pt: inside the axes.
        datasets: data that the chart only names.
    """
    spec: Spec = chart.properties(width=width_pt, height=height_pt).to_dict()
    spec |= {"autosize": {"type": "fit-x", "contains": "padding"}, "padding": 3, "background": "white"}
    config = vega_config(LIGHT, FIGURE_FONT, _FIGURE_FONT_PT) | {"background": "white"}
    small = {"symbolSize": 45, "symbolStrokeWidth": 2, "columnPadding": 8, "rowPadding": 2, "offset": 5}
    config["legend"] = config["legend"] | small
    spec["config"] = config
    if datasets:
        spec["datasets"] = dict(datasets)
    return spec


def vega_lite_version() -> str | None:
    """The version of Vega-Lite that Altair writes, if the renderer has it, e.g. `6.4`; None: the renderer's newest."""
    import altair as alt
    import vl_convert

    wanted = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return wanted if wanted in vl_convert.get_vegalite_versions() else None
