"""`cgtool stats`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, print_json, say


@command
def stats(
    data: Annotated[Path, typer.Argument(help="An output directory, a clips table, or a city,count CSV.")],
    compare: Annotated[list[Path] | None, typer.Option(help="Another data set to compare with; repeatable.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with interactive plots; it needs no network.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Write every figure as SVG and PNG into this folder.")] = None,
    split: Annotated[list[Path] | None, typer.Option(help="Report what this split leaks; repeatable.")] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="Places table; default: the shipped ones.")] = None,
    few: Annotated[int, typer.Option(min=0, help="List classes with fewer clips than this.")] = 100,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object with every number.")] = False,
) -> int:
    """How even, how big and how good a data set is: Gini, Hoover, Lorenz, classes, footage, faces, leaks."""
    from cityguessr_data.stats.comparison import compare as side_by_side
    from cityguessr_data.stats.report import measure

    from ..stats_summary import show_stats

    measured = measure(data, taxonomy, tuple(split or ()), few)
    others = tuple(measure(other, taxonomy, (), few) for other in compare or ())
    comparison = side_by_side(measured, others) if others else None
    if json_:
        from cityguessr_data.stats.as_json import to_json

        print_json(to_json(measured, comparison, others))
    else:
        show_stats(measured, comparison)
    if html is not None:
        from cityguessr_data.stats.page.page import write_page

        write_page(measured, comparison, others, html)
        say(f"page: {html}")
    if figures is not None:
        from cityguessr_data.stats.page.figures import write_figures

        written = write_figures(measured, others, figures)
        say(f"figures: {len(written)} files in {figures}")
    return 0
