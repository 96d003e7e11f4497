"""`cgtool stats`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, plain, print_json, say
from ..outputs import check_folder, check_page, writing


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

    splits = tuple(split or ())
    inputs = [data, *(compare or ()), *splits, *([taxonomy] if taxonomy else [])]
    if html is not None:
        check_page(html, inputs)
    if figures is not None:
        check_folder(figures, inputs)
    measured = measure(data, taxonomy, splits, few)
    others = tuple(measure(other, taxonomy, (), few) for other in compare or ())
    comparison = side_by_side(measured, others) if others else None
    if html is not None:
        from cityguessr_data.stats.page.page import write_page

        with writing("--html", html):
            write_page(measured, comparison, others, html)
        say(f"page: {plain(str(html))}")
    if figures is not None:
        from cityguessr_data.stats.page.figures import write_figures

        with writing("--figures", figures):
            written = write_figures(measured, others, figures)
        say(f"figures: {len(written)} files in {plain(str(figures))}")
    if json_:  # last: one object, whether the above fails or not
        from cityguessr_data.stats.as_json import to_json

        print_json(to_json(measured, comparison, others))
    else:
        show_stats(measured, comparison)
    return 0
