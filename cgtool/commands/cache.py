"""`cgtool cache drop`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, print_json, stdout

app = typer.Typer(help="The source videos kept beside a data set.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The source videos kept beside a data set."""


@app.command("drop")
@command
def drop(
    out: Annotated[Path, typer.Argument(help="Output directory whose sources are to go.")],
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Delete the downloaded videos and kept clips of a data set. Your own local source files are never touched."""
    from cityguessr_data.status import drop_cache

    from ..summary import size

    dropped = drop_cache(out)
    if json_:
        print_json({"cache": str(dropped.cache), "files": dropped.files, "bytes": dropped.bytes})
    else:
        stdout().print(f"dropped {dropped.files} files, {size(dropped.bytes)}, from {dropped.cache}")
    return 0
