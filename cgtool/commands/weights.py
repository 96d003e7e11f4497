"""`cgtool weights`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console import command, print_json, say, stdout

app = typer.Typer(help="Model weights: what is here, what is missing, and where it comes from.", no_args_is_help=True)


@app.command("list")
@command
def list_(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> int:
    """Every weights file the project names, and whether it is here."""
    from cityguessr_data.vision.weights import list_weights

    found = list_weights()
    if json_:
        print_json([{**vars(w), "path": str(w.path) if w.path else None} for w in found])
        return 0
    for w in found:
        # A path gets a line of its own, unbroken, so that it can be copied
        stdout().print(f"{w.name}: {w.state}", markup=False, soft_wrap=True)
        stdout().print(f"  {w.path or f'cgtool weights pull {w.name}'}", markup=False, soft_wrap=True)
    return 0


@app.command("pull")
@command
def pull(name: Annotated[list[str], typer.Argument(help="Names as `cgtool weights list` shows them.")]) -> int:
    """Download weights into the cache and check their digests."""
    from cityguessr_data.vision import weights

    for one in name:
        say(f"pulling {one}")
        stdout().print(str(weights.pull(one)), soft_wrap=True)
    return 0


@app.command("verify")
@command
def verify(
    name: Annotated[list[str] | None, typer.Argument(help="Names; all that are here when left out.")] = None,
) -> int:
    """Check the digests of weights that are here."""
    from cityguessr_data.vision.weights import list_weights, verify

    chosen = name or [w.name for w in list_weights() if w.state != "missing"]
    wrong = []
    for one in chosen:
        checked = verify(one)
        stdout().print(f"{one}: {checked.state}", soft_wrap=True)
        if checked.state == "wrong digest":
            wrong.append(f"delete {checked.path} and run `cgtool weights pull {one}`")
    for mend in wrong:
        say(f"error: {mend}")
    return 2 if wrong else 0
