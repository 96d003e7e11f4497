"""`cgtool label-scenes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import command, ignore_interrupts

STAGES = ("read", "decode", "label", "write")


def label_scenes(
    out: Annotated[Path, typer.Argument(help="Output directory of a build or an import.")],
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Take the labels from a Parquet or CSV file; see above."),
    ] = None,
    scene_model: Annotated[
        str | None, typer.Option(metavar="resnet18|resnet50|FILE.onnx", help="Places365 model. \\[resnet18]")
    ] = None,
    scene_parents: Annotated[
        str | None, typer.Option(metavar="split|first", help="How a category of several classes counts. \\[split]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read and label. \\[one a core]")] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs. \\[auto]")] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="auto|fp32|bf16|fp16", help="What the model computes in. \\[auto: fp32]")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Label the scenes of the saved frames, which are only read; fills the scene columns of frames and clips.

    FILE has a row a frame (clip_id, position, scene_top1, and scene_top1_prob where known) or a row a span of source
    frames (video_id, start_frame, end_frame, scene). A clip is labelled whole or left as it was.
    """
    flags = {
        "scene_model": scene_model, "scene_parents": scene_parents, "workers": workers, "device": device,
        "precision": precision,
    }  # fmt: skip
    _label_scenes(out, from_, flags, json_)


@command
def _label_scenes(out: Path, file: Path | None, flags: dict[str, Any], as_json: bool) -> int:
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.over_frames.label import LabelRun, label_by_file, label_by_model

    from ..options import given_options, scene_config
    from ..over_frames_summary import show_file, show_stage
    from ..progress import BuildProgress

    options = given_options(flags, {})
    scenes = scene_config(options)
    if file is not None:
        needless = [name for name in ("scene_model", "workers", "device", "precision") if name in options]
        if needless:
            raise InputError(
                f"--from takes the labels from {file}, and --{needless[0].replace('_', '-')} is about a model",
                "Give one or the other",
            )
        found = label_by_file(out, file, scenes.parents)
        ignore_interrupts()
        show_file(out, found, as_json=as_json)
        return found.exit_code
    config = LabelRun(out, scenes, **({"workers": options["workers"]} if "workers" in options else {}))
    with BuildProgress(STAGES) as progress:
        result = label_by_model(config, progress)
    ignore_interrupts()
    show_stage(out, result, "labelled", as_json=as_json)
    return result.exit_code
