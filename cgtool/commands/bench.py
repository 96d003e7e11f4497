"""`cgtool bench`: pack, train, evaluate, predict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..console import tell, tell_in_full
from . import (
    bench_audit,
    bench_evaluate,
    bench_predict,
    bench_speed,
    bench_speed_build,
    bench_table,
    bench_train,
)

app = typer.Typer(help="Train, evaluate and use models that say where a video was filmed.", no_args_is_help=True)


@app.callback()
def _group(
    plugin: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.py", help="Run this file first: it adds models. Repeatable.")
    ] = None,
) -> None:
    """Train, evaluate and use models that say where a video was filmed."""
    if not plugin:
        return
    from cityguessr_bench.models import load_plugin
    from cityguessr_data.core.errors import CgtoolError

    try:
        for path in plugin:
            load_plugin(path)
    except CgtoolError as exc:
        tell_in_full(exc) if os.environ.get("CGTOOL_DEBUG") else tell(exc)
        raise typer.Exit(exc.exit_code) from exc


app.command("pack")(bench_train.pack)
app.command("train")(bench_train.train)
app.command("evaluate")(bench_evaluate.evaluate)
app.command("audit")(bench_audit.audit)
app.command("predict")(bench_predict.predict)
app.command("table")(bench_table.table)
app.command("leaderboard")(bench_table.leaderboard)

speed = typer.Typer(
    help="How fast building and training are here, beside what the machine can do.", no_args_is_help=True
)
speed.command("build")(bench_speed_build.build)
speed.command("train")(bench_speed.train)
app.add_typer(speed, name="speed")
