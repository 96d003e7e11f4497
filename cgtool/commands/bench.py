"""`cgtool bench`: pack, train, evaluate, predict."""

from __future__ import annotations

import typer

from . import bench_evaluate, bench_predict, bench_train

app = typer.Typer(help="Train, evaluate and use models that say where a video was filmed.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Train, evaluate and use models that say where a video was filmed."""


app.command("pack")(bench_train.pack)
app.command("train")(bench_train.train)
app.command("evaluate")(bench_evaluate.evaluate)
app.command("predict")(bench_predict.predict)
