"""`cgtool doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console import command, print_json, say, stdout


@command
def doctor(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> int:
    """What is installed, missing or too old on this machine, and the command that mends it."""
    from cityguessr_data.doctor import examine

    findings = examine()
    unfit = [f for f in findings if f.state == "missing" and f.needed]
    if json_:
        print_json({"fit": not unfit, "findings": [vars(f) for f in findings]})
        return 2 if unfit else 0
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    styles = {"ok": "green", "warn": "yellow", "missing": "red"}
    for f in findings:
        row = (
            Text(f.state, style=styles[f.state]),
            Text(f.name),
            Text(f.found, overflow="fold"),
            Text(f.mend, overflow="fold"),
        )
        table.add_row(*row)
    stdout().print(table)
    if unfit:
        say(f"not fit: {', '.join(f.name for f in unfit)}; run the commands on the right")
    return 2 if unfit else 0
