"""`cgtool anonymise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import command, ignore_interrupts

STAGES = ("read", "decode", "anonymise", "write")


def anonymise(
    out: Annotated[Path, typer.Argument(help="Output directory of an import.")],
    conf: Annotated[float | None, typer.Option(help="Blur faces of this score and over. [0.5; strict: 0.2]")] = None,
    nms: Annotated[float | None, typer.Option(help="NMS overlap of the detector. [0.3]")] = None,
    blur: Annotated[
        str | None, typer.Option(metavar="paper|strict", help="paper: as published; strict: for release. \\[paper]")
    ] = None,
    blur_kernel: Annotated[int | None, typer.Option(metavar="PX", help="Kernel of the paper's blur. [63]")] = None,
    blur_sigma: Annotated[float | None, typer.Option(metavar="PX", help="Sigma of the paper's blur. [21]")] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="resnet50|mobilenet0.25", help="RetinaFace network. \\[resnet50]")
    ] = None,
    detector_size: Annotated[
        int | None, typer.Option(metavar="PX", help="Longer side of the detector's input. [1280]")
    ] = None,
    detector_scale: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR",
            help="Times that size; 1.5 finds smaller faces at 2.25 times the cost. [1]",
        ),
    ] = None,
    detector_backend: Annotated[
        str | None,
        typer.Option(
            metavar="auto|openvino|onnx|torch|pypi",
            help="Runs the detector. \\[auto: torch on a GPU; on a CPU openvino where installed, else onnx]",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="auto|fp32|bf16|fp16",
            help="What it computes in; half precision is faster and finds fewer faces. \\[auto: fp32]",
        ),
    ] = None,
    jpeg_quality: Annotated[int | None, typer.Option(help="Of the copies, 1 to 100. [95]")] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="folder|tar", help="Copies in a folder a clip, or in one tar a video. \\[folder, or as OUT has it]"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read and detect. \\[one a core]")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda", help="Where the detector runs. \\[auto]")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Find and blur the faces in imported frames: blurred copies under OUT, the originals are never touched.

    Run the same command again to go on after an interruption. With other settings it starts from the originals anew.
    """
    flags = {name: value for name, value in locals().items() if name not in ("out", "json_")}
    _anonymise(out, flags, json_)


@command
def _anonymise(out: Path, flags: dict[str, Any], as_json: bool) -> int:
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.over_frames.anonymise import AnonymiseRun
    from cityguessr_data.over_frames.anonymise import anonymise as run

    from ..options import anonymise_config, given_options
    from ..over_frames_summary import show_stage
    from ..progress import BuildProgress

    options = given_options(flags, {})
    told = {name: options[name] for name in ("jpeg_quality", "layout", "workers") if name in options}
    try:
        config = AnonymiseRun(out, anonymise_config(options), **told)
    except ValueError as exc:
        raise InputError(str(exc), "See `cgtool anonymise --help`") from exc
    with BuildProgress(STAGES) as progress:
        result = run(config, progress)
    ignore_interrupts()
    show_stage(out, result, "anonymised", as_json=as_json)
    return result.exit_code
