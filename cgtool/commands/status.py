"""`cgtool status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command


@command
def status(
    out: Annotated[Path, typer.Argument(help="Output directory.")],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """What a data set holds, what failed and why, and what is still missing."""
    from cityguessr_data.status import read_status

    from ..summary import show_status

    show_status(read_status(out), as_json=json_)
    return 0
