"""`cgtool bench table` and `cgtool bench leaderboard`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import command, plain, print_json, printing, say
from ..sheet import show_sheets

if TYPE_CHECKING:
    from cityguessr_bench.tables.build import TableRequest
    from cityguessr_bench.tables.sheet import Sheet

Format = Annotated[str | None, typer.Option("--format", help="md, csv, latex or html; default: for the terminal.")]
ToFile = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object with every number.")]


@command
def table(
    number: Annotated[str, typer.Argument(metavar="N", help="1 to 6, or s1 to s3 of the supplement.")],
    data: Annotated[Path, typer.Option(help="A pack, or the output directory of a build.")],
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs; default: beside the data, OUT.runs.")] = None,
    split: Annotated[str, typer.Option(help="Name of a split.")] = "video",
    preset: Annotated[str, typer.Option(help="paper, authors, improved or tiny.")] = "paper",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row; they differ in their seed.")] = 1,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; repeatable. docs/tables.md lists them.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.NAME=VALUE", help="One setting of every run. Repeatable."),
    ] = None,
    compare: Annotated[list[Path] | None, typer.Option(help="Of table 1: another data set; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Threads that read clips; default 4 for a GPU.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and what they would cost.")] = False,
    format_: Format = None,
    out: ToFile = None,
    json_: Json = False,
) -> int:
    """Print a table of the paper: its numbers, ours under every evaluation mode, and intervals.

    Trains and scores the runs that are missing, and reuses those that are there, of other tables too. Stopped by Ctrl-C
    it goes on with the same command. Rows that cannot be run are listed with the reason; the exit code is then 1.
    """
    _check_output(format_, out, json_)
    if number == "1":
        return _table1(data, compare or [], format_, out, json_)
    from cityguessr_data.core.errors import InputError

    if compare:
        raise InputError("--compare belongs to table 1", "Leave it out")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "a table is made by one process",
            "Train its runs by torchrun -m cgtool -- bench train, into the folders that --dry-run --json names",
        )
    request = _request(number, data, runs, split, preset, seeds, row or [], set_ or [], device, workers)
    if dry_run:
        from cityguessr_bench.tables.plan import make_plan, plan_json, plan_sheet

        plan = make_plan(request)
        _give(plan_json(plan), (plan_sheet(plan),), format_, out, json_)
        return 0
    from cityguessr_bench.tables.build import make_table
    from cityguessr_bench.tables.show import long_rows, long_sheet, sheets

    from ..bench_progress import TrainProgress

    with TrainProgress() as progress:
        try:
            result = make_table(request, progress, lambda message: say(plain(message)))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("The same command goes on") from None
    made = (long_sheet(result),) if format_ == "csv" else sheets(result)
    remarks = list(dict.fromkeys(remark for row in result.rows for remark in row.remarks))
    value = {"table": number, "complete": result.complete, "remarks": remarks, "numbers": long_rows(result)}
    _give(value, made, format_, out, json_)
    return 0 if result.complete else 1


@command
def leaderboard(
    folder: Annotated[Path, typer.Argument(help="Folder with runs, at any depth.")],
    mode: Annotated[str, typer.Option(help="none, independent, codependent or trace.")] = "codependent",
    format_: Format = None,
    out: ToFile = None,
    json_: Json = False,
) -> int:
    """Rank all scored runs below a folder by city top-1: one table for each data set, split and part."""
    from cityguessr_bench.tables.leaderboard import board_json, board_long_sheet, board_sheets, make_boards

    _check_output(format_, out, json_)
    boards = make_boards(folder, mode)
    made = (board_long_sheet(boards),) if format_ == "csv" else board_sheets(boards)
    _give(board_json(boards), made, format_, out, json_)
    return 0


def _request(
    number: str,
    data: Path,
    runs: Path | None,
    split: str,
    preset: str,
    seeds: int,
    rows: Sequence[str],
    assignments: Sequence[str],
    device: str,
    workers: int | None,
) -> TableRequest:
    from cityguessr_bench.config_text import read_assignments
    from cityguessr_bench.presets import preset as find
    from cityguessr_bench.tables.build import TableRequest
    from cityguessr_bench.tables.rows import find_table

    given = read_assignments(assignments)
    whole = data.resolve()
    return TableRequest(
        table=find_table(number),
        data=data,
        runs=runs or whole.with_name(f"{whole.name}.runs"),
        split=split,
        base=find(preset).changed(given, "--set"),
        n_seeds=seeds,
        rows=tuple(rows),
        given=given,
        device=device,
        workers=workers,
    )


def _table1(data: Path, others: Sequence[Path], format_: str | None, out: Path | None, json_: bool) -> int:
    from cityguessr_bench.tables.table1 import table1, table1_json

    sheet = table1(data, others)
    _give(table1_json(sheet), (sheet,), format_, out, json_)
    return 0


def _check_output(format_: str | None, out: Path | None, json_: bool) -> None:
    """Refuse, before hours of training, what cannot be written."""
    from cityguessr_bench.tables.forms import FORMS
    from cityguessr_data.core.errors import InputError

    if format_ is not None and format_ not in FORMS:
        raise InputError(f"there is no format {format_!r}", f"Give one of: {', '.join(FORMS)}")
    if format_ is not None and json_:
        raise InputError("--format and --json exclude each other", "Give one of the two")
    if out is not None and format_ is None:
        raise InputError("--out takes a --format", f"Give one of: {', '.join(FORMS)}")
    if out is not None and out.is_dir():
        raise InputError(f"--out {out} is a folder", "Name a file")


def _give(value: Any, sheets: Sequence[Sheet], format_: str | None, out: Path | None, json_: bool) -> None:
    import sys

    from cityguessr_bench.tables.forms import write
    from cityguessr_data.core.atomic import write_bytes

    from ..outputs import writing

    if json_:
        print_json(value)
    elif format_ is None:
        show_sheets(sheets)
    elif out is None:
        with printing():
            sys.stdout.write(write(sheets, format_))
    else:
        with writing("--out", out):
            write_bytes(out, write(sheets, format_).encode())
        say(f"written: {plain(str(out))}")
