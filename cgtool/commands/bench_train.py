"""`cgtool bench pack` and `cgtool bench train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from ..console import command, print_json, say, stdout
from ..tables import fact

if TYPE_CHECKING:
    from cityguessr_bench.models.image_encoders import ImageEncoder
    from cityguessr_bench.run_config import RunConfig
    from cityguessr_bench.train.run import Trained

_FACT = 10

Preset = Annotated[str, typer.Option("--preset", help="paper, authors, improved or tiny.")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; wins over the preset.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="One setting; wins over the file. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@command
def pack(
    out: Annotated[Path, typer.Argument(help="Output directory of a build.")],
    to: Annotated[Path, typer.Option(help="Folder of the pack.")],
    preset: Preset = "paper",
    config: Config = None,
    set_: Set = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="clip|dinov2|ID|FOLDER", help="Keep a frozen encoder's vector of each frame, no pixels."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read frames.")] = 4,
    device: Annotated[str, typer.Option(help="Of --features: auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="Of --features: auto (fp32 on a CPU, fp16 on a GPU), fp32, bf16 or fp16.")
    ] = "auto",
    json_: Json = False,
) -> int:
    """Make the training cache of a data set: the frames that a preset needs, resized, or encoded, once.

    Says how many bytes that takes before it starts. The same command goes on where it stopped, and copies the splits
    that were made since.
    """
    from cityguessr_bench.data import make_pack

    from ..bench_progress import PackProgress
    from ..outputs import check_pack

    settings = run_settings(None, preset, config, set_)
    check_pack(to, out)
    if features is not None:
        settings = settings.changed({"data": {"features": features}}, "--features")
    encoder = _encoder(settings.data.features, device, precision)
    with PackProgress() as progress:
        done = make_pack(out, to, settings.data.pack, workers, say, progress.shard, encoder)
    splits = sorted(path.stem for path in (to / "splits").glob("*.parquet"))
    if json_:
        names = ("n_clips", "n_shards", "n_shards_made", "n_bytes")
        print_json({"pack": str(to), **{name: getattr(done, name) for name in names}, "splits": splits})
        return 0
    console = stdout()
    made = f"{n_of(done.n_shards_made, 'shard')} made" if done.n_shards_made else "nothing to do"
    console.print(fact("pack", f"{to}: {n_of(done.n_clips, 'clip')}, {size(done.n_bytes)}; {made}", _FACT))
    missing = "none yet; make one with `cgtool split`, then run this again"
    console.print(fact("splits", ", ".join(splits) or missing, _FACT))
    return 0


@command
def train(
    data: Annotated[Path | None, typer.Argument(help="A pack, or the output directory of a build.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    split: Annotated[str | None, typer.Option(help="Name of a split, or its Parquet file.")] = None,
    model: Annotated[str | None, typer.Option(help="Network; default: cityguessr.")] = None,
    preset: Preset = "paper",
    ablation: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A named change, e.g. scenes-none; repeatable.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Print the settings as TOML and stop.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Threads that read clips; default 4 for a GPU.")] = None,
    json_: Json = False,
) -> int:
    """Train a network on a data set.

    A split of folds (NAME-fold0, NAME-fold1, ...) trains one run each, in RUN/fold0, RUN/fold1, ... On several GPUs:
    torchrun --nproc_per_node N -m cgtool -- bench train ...
    """
    from cityguessr_data.core.errors import DiskFullError, InputError

    settings = run_settings(model, preset, config, set_, ablation or ())
    if show_config:
        from cityguessr_bench.config_text import to_toml

        typer.echo(to_toml(settings), nl=False)
        return 0
    if data is None or run is None or split is None:
        name = "DATA" if data is None else "--run" if run is None else "--split"
        raise InputError(f"{name} is missing", "cgtool bench train DATA --run RUN --preset P --split NAME")

    from cityguessr_bench.train.run import TrainRequest
    from cityguessr_bench.train.run import train as run_all

    from ..bench_progress import TrainProgress

    with TrainProgress() as progress:
        try:
            done = run_all(TrainRequest(data, run, split, settings, resume, device, workers), progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("The same command goes on" + ("" if resume else " with --resume")) from None
        except DiskFullError as exc:
            if resume or not run.is_dir() or not any(run.iterdir()):
                raise
            raise DiskFullError(exc.message, "Free some space and run the same command again, with --resume") from exc
    if progress.is_main:
        _show(run, settings, done, progress.notes, as_json=json_)
    return 0


def _encoder(features: str, device: str, precision: str) -> ImageEncoder | None:
    from cityguessr_data.core.errors import InputError

    if not features:
        if (device, precision) != ("auto", "auto"):
            raise InputError("--device and --precision belong to --features", "Leave them out: frames need neither")
        return None
    from cityguessr_bench.inference import find_device
    from cityguessr_bench.models.image_encoders import load_image_encoder

    return load_image_encoder(features, str(find_device(device)), precision)


def run_settings(
    model: str | None, preset: str, config: Path | None, set_: list[str] | None, ablations: Sequence[str] = ()
) -> RunConfig:
    """Preset and model, then ablations, then file, then --set. Where file and --model name a model, --model wins."""
    from cityguessr_bench.ablations import apply
    from cityguessr_bench.config_text import read_assignments, read_toml
    from cityguessr_bench.presets import settings as find

    from_file = {} if config is None else read_toml(config)
    assigned = read_assignments(set_ or [])
    named = model or str(assigned.get("model", from_file.get("model", "cityguessr")))
    settings = apply(find(preset, named), ablations)
    for source, changes in ((str(config), from_file), ("--set", assigned)):
        settings = settings.changed({name: value for name, value in changes.items() if name != "model"}, source)
    return settings


def _show(run: Path, settings: RunConfig, done: tuple[Trained, ...], notes: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"run": str(run), "notes": notes, "runs": [_as_json(one) for one in done]})
        return
    console = stdout()
    for one in done:
        state = "was finished" if one.was_finished else "trained"
        steps = f"{n_of(one.n_epochs, 'epoch')}, {n_of(one.n_steps, 'step')}"
        console.print(fact("run", f"{one.folder}: {state}, {steps}, split {one.split}", _FACT))
        if one.best_top1 is not None:
            best = f"city top-1 {one.best_top1:.1%} on {settings.train.watch} after epoch {one.best_epoch}"
            console.print(fact("best", best, _FACT))
    console.print(fact("next", f"cgtool bench evaluate {run}", _FACT))


def _as_json(one: Trained) -> dict[str, Any]:
    return {
        "folder": str(one.folder),
        "split": one.split,
        "steps": one.n_steps,
        "epochs": one.n_epochs,
        "best": None if one.best_top1 is None else {"city_top1": one.best_top1, "epoch": one.best_epoch},
        "was_finished": one.was_finished,
    }
