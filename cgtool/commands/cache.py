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
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="The only cache folder to clear; needed once OUT was copied or moved."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Delete the downloaded videos and kept clips of a data set, of all its runs, in every cache folder they used.

    Your own local source files are never touched. Where two data sets share a cache folder, the videos that both ask
    for go too: the other one downloads them again if it needs them.
    """
    from cityguessr_data.core.units import size
    from cityguessr_data.core.words import n_of
    from cityguessr_data.status import drop_cache

    dropped = drop_cache(out, cache)
    if json_:
        print_json({"caches": [str(c) for c in dropped.caches], "files": dropped.files, "bytes": dropped.bytes})
    else:
        places = ", ".join(map(str, dropped.caches)) or "no cache: nothing was kept since the last drop"
        stdout().print(f"dropped {n_of(dropped.files, 'file')}, {size(dropped.bytes)}, from {places}", markup=False)
    return 0
