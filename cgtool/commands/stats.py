"""`cgtool stats`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..console import command, plain, print_json, say

_KEPT = ("manifests", "parts", "splits", "clips", ".cgtool")
"""Folders of an output directory that hold the data set."""


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
        _check_page(html, inputs)
    if figures is not None:
        _check_folder(figures, inputs)
    measured = measure(data, taxonomy, splits, few)
    others = tuple(measure(other, taxonomy, (), few) for other in compare or ())
    comparison = side_by_side(measured, others) if others else None
    if html is not None:
        from cityguessr_data.stats.page.page import write_page

        with _writing("--html", html):
            write_page(measured, comparison, others, html)
        say(f"page: {plain(str(html))}")
    if figures is not None:
        from cityguessr_data.stats.page.figures import write_figures

        with _writing("--figures", figures):
            written = write_figures(measured, others, figures)
        say(f"figures: {len(written)} files in {plain(str(figures))}")
    if json_:  # last: one object, whether the above fails or not
        from cityguessr_data.stats.as_json import to_json

        print_json(to_json(measured, comparison, others))
    else:
        show_stats(measured, comparison)
    return 0


def _check_page(html: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before anything is measured, a page that cannot be written or would replace something else."""
    from cityguessr_data.core.errors import InputError

    hint = "Name another file for the page"
    with _writing("--html", html):
        if html.is_dir():
            raise InputError(f"--html {html} is a folder", "Name a file, such as page.html")
        for path in inputs:
            if html.resolve() == path.resolve() or (html.exists() and path.exists() and html.samefile(path)):
                raise InputError(f"--html {html} is {path}, which is to be read", hint)
        _check_place("--html", html, inputs)
        if html.exists():
            if not html.is_file():
                raise InputError(f"--html {html} is no regular file", hint)
            with html.open("rb") as f:
                begins = f.read(15)
            if begins.lower() != b"<!doctype html>"[: len(begins)] or not begins:
                raise InputError(f"--html {html} is there and is no page", f"It is left as it is. {hint}")


def _check_folder(figures: Path, inputs: Sequence[Path]) -> None:
    from cityguessr_data.core.errors import InputError

    with _writing("--figures", figures):
        if figures.exists() and not figures.is_dir():
            raise InputError(f"--figures {figures} is a file", "Name a folder")
        _check_place("--figures", figures, inputs)


def _check_place(option: str, target: Path, inputs: Sequence[Path]) -> None:
    """Refuse a place inside a data set, below a file, or in a folder that may not be written."""
    import os

    from cityguessr_data.core.errors import InputError, MachineError

    for path in inputs:
        whole = path.resolve()
        out = whole if whole.is_dir() else whole.parent.parent
        if not whole.is_dir() and whole.parent.name not in _KEPT:
            continue
        if target.resolve() == out / "dataset.json" or any(
            (out / name) in (target.resolve(), *target.resolve().parents) for name in _KEPT
        ):
            raise InputError(f"{option} {target} lies where {out} keeps its data", "Name a place outside of it")
    above = target if target.is_dir() else next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{option} {target}: {above} is a file, not a folder", "Name a place in a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise MachineError(f"{option} {target}: {above} may not be written", "Name a place that you may write to")


@contextmanager
def _writing(option: str, path: Path) -> Iterator[None]:
    """What the operating system refuses is no fault of cgtool."""
    from cityguessr_data.core.errors import MachineError

    try:
        yield
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise MachineError(f"{option} {path}: {why}", "Name a place that you may write to") from exc
