"""A plot of one quantity with its table: what footage, faces and sources have in common."""

from __future__ import annotations

from collections.abc import Mapping

from ...results import Distribution
from ..blocks import Chart, Plot, Row, Table, counts_table, num
from ..charts.bars import bars, n_bars
from ..charts.histogram import bins, fullest_bin, histogram, threshold_keys
from ..drawing import page_spec
from ..words import plain, short


def spread(
    name: str,
    heading: str,
    sentence: str,
    values: Distribution,
    axis: str,
    counted: str,
    threshold: float | None = None,
) -> Plot:
    """A histogram with its summary in words and its bins as a table.

    Args:
        name: of the element on the page.
        axis, counted, threshold: as `charts.histogram.histogram`.
    """
    facts = (
        f"n = {values.n:,}; from {short(values.low)} to {short(values.high)}, mean {short(values.mean)}, "
        f"median {short(values.median)}, fullest bin {fullest_bin(values)}."
    )
    if values.n_unknown:
        facts += f" Not known for {values.n_unknown:,}."
    rows = tuple(
        Row((num(b["low"], b["range"]), num(b["n"], f"{b['n']:,}"), num(b["n"], b["share"]))) for b in bins(values)
    )
    chart = histogram(values, axis, counted, threshold)
    return Plot(
        heading,
        sentence,
        (Chart(name, page_spec(chart, f"Histogram of {heading.lower()}. {facts}", 200)),),
        Table(heading, ((axis, True), (counted, True), ("Share", True)), rows),
        facts=facts,
        legend=() if threshold is None else threshold_keys(threshold),
    )


def kinds(name: str, heading: str, sentence: str, counts: Mapping[str, int], kind: str, counted: str) -> Plot:
    """Bars of a few named kinds."""
    named = {plain(key, 40): n for key, n in counts.items()}
    most = ", ".join(f"{key}: {n:,}" for key, n in list(named.items())[:3])
    chart = page_spec(bars(named, kind, counted), f"{heading}. {most}.", 24 * n_bars(named))
    return Plot(heading, sentence, (Chart(name, chart),), counts_table(heading, kind, named, counted))
