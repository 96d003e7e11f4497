"""`cgtool doctor`."""

from __future__ import annotations

import re
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
    from rich.text import Text

    styles = {"ok": "green", "warn": "yellow", "missing": "red"}
    wide = max(len(f.name) for f in findings)
    for f in findings:
        found = re.sub(r"^ffmpeg version \D{0,2}(\d+(?:\.\d+)*).*", r"\1", f.found)  # builds add their date and commit
        line = Text.assemble((f"{f.state:<7}", styles[f.state]), f"  {f.name:<{wide}}  {found}")
        # Commands get a line of their own, unbroken, so that they can be copied
        stdout().print(line.append(f"\n{'':9}{f.mend}" if f.mend else ""), soft_wrap=True)
    if unfit:
        say(f"not fit: {', '.join(f.name for f in unfit)}; run the commands under their names")
    return 2 if unfit else 0
