"""`cgtool bench speed train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, print_json, say
from .bench_train import Config, Json, Preset, Set, run_settings


@command
def train(
    data: Annotated[
        Path | None, typer.Argument(help="A pack, or the output directory of a build; without, random clips are made.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Network; default: cityguessr.")] = None,
    preset: Preset = "paper",
    config: Config = None,
    set_: Set = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of training that is measured, at least.")] = 60.0,
    warm_up: Annotated[int, typer.Option(min=1, help="Steps before, which are not.")] = 10,
    plain: Annotated[
        bool, typer.Option("--plain", help="Measure a loop like the released code's too, in turns: JPEGs, no workers.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Threads that read clips; default 4 for a GPU.")] = None,
    json_: Json = False,
) -> int:
    """Measure how fast a network trains here, and how much of what the device can do that is.

    The real loop trains, from random weights, and leaves no run behind. Give the batch that you would train with: a
    large GPU is not filled by 12 clips (--set train.batch=64).
    """
    from cityguessr_bench.speed.measure import SpeedRequest, measure

    from ..speed_train_summary import as_json, show

    settings = run_settings(model, preset, config, set_)
    try:
        found = measure(SpeedRequest(settings, data, seconds, warm_up, device, workers, plain), say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was kept: run it again") from None
    if json_:
        print_json(as_json(found))
    else:
        show(found)
    return 0
