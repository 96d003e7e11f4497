"""`cgtool build-dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import command, ignore_interrupts

PAPER, SPEED, NET = "The data set", "How it runs", "The network"


def build_dataset(
    sources: Annotated[
        Path, typer.Argument(help="Table of links and cities, CSV or Parquet (columns: url, city, ...).")
    ],
    out: Annotated[Path, typer.Option("--out", help="Output directory.")],
    conf: Annotated[
        float | None, typer.Option(help="Blur faces of this score and over. [0.5; strict: 0.2]", rich_help_panel=PAPER)
    ] = None,
    nms: Annotated[float | None, typer.Option(help="NMS overlap of the detector. [0.3]", rich_help_panel=PAPER)] = None,
    blur: Annotated[
        str | None,
        typer.Option(
            metavar="paper|strict", help="paper: as published; strict: for release. \\[paper]", rich_help_panel=PAPER
        ),
    ] = None,
    blur_kernel: Annotated[
        int | None, typer.Option(metavar="PX", help="Kernel of the paper's blur. [63]", rich_help_panel=PAPER)
    ] = None,
    blur_sigma: Annotated[
        float | None, typer.Option(metavar="PX", help="Sigma of the paper's blur. [21]", rich_help_panel=PAPER)
    ] = None,
    clip_frames: Annotated[
        str | None, typer.Option(metavar="LOW-HIGH", help="Frames of a clip. [800-900]", rich_help_panel=PAPER)
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Frames kept of a clip. [100]", rich_help_panel=PAPER)] = None,
    detector: Annotated[
        str | None,
        typer.Option(metavar="resnet50|mobilenet0.25", help="RetinaFace network. \\[resnet50]", rich_help_panel=PAPER),
    ] = None,
    detector_size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Longer side of the detector's input; larger frames are scaled down. [1280]",
            rich_help_panel=PAPER,
        ),
    ] = None,
    detector_scale: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR",
            help="Times that size; 1.5 finds smaller faces at 2.25 times the cost. [1]",
            rich_help_panel=PAPER,
        ),
    ] = None,
    scene_model: Annotated[
        str | None,
        typer.Option(
            metavar="resnet18|resnet50|FILE.onnx|off", help="Places365 model. \\[resnet18]", rich_help_panel=PAPER
        ),
    ] = None,
    scene_parents: Annotated[
        str | None,
        typer.Option(
            metavar="split|first", help="How a category of several classes counts. \\[split]", rich_help_panel=PAPER
        ),
    ] = None,
    taxonomy: Annotated[
        Path | None,
        typer.Option(help="Table of cities, states, countries, continents. \\[cityguessr166]", rich_help_panel=PAPER),
    ] = None,
    min_duration: Annotated[
        float | None, typer.Option(metavar="S", help="Drop shorter videos.", rich_help_panel=PAPER)
    ] = None,
    max_duration: Annotated[
        float | None, typer.Option(metavar="S", help="Drop longer videos.", rich_help_panel=PAPER)
    ] = None,
    min_height: Annotated[
        int | None, typer.Option(metavar="PX", help="Drop videos less high.", rich_help_panel=PAPER)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of downloads, outside OUT. [OUT.cache]", rich_help_panel=SPEED)
    ] = None,
    keep_clips: Annotated[
        bool | None,
        typer.Option(
            "--keep-clips", help="Also write each clip as mp4 into the cache (unblurred).", rich_help_panel=SPEED
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="folder|tar",
            help="Frames in a folder a clip, or in one tar a video: for large sets. \\[folder, or as OUT has it]",
            rich_help_panel=SPEED,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that decode and detect. \\[one a core]", rich_help_panel=SPEED)
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="local|ray",
            help="This machine's processes, or those of a Ray cluster. \\[local]",
            rich_help_panel=SPEED,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT|auto",
            help="Head of the Ray cluster. \\[$RAY_ADDRESS, else one started here]",
            rich_help_panel=SPEED,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda", help="Where models run. \\[auto]", rich_help_panel=SPEED)
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="auto|fp32|bf16|fp16",
            help="What models compute in; half precision is faster and finds fewer faces. \\[auto: fp32]",
            rich_help_panel=SPEED,
        ),
    ] = None,
    detector_backend: Annotated[
        str | None,
        typer.Option(
            metavar="auto|openvino|onnx|torch|pypi",
            help="Runs the detector. \\[auto: torch on a GPU; on a CPU openvino where installed, else onnx]",
            rich_help_panel=SPEED,
        ),
    ] = None,
    retry_failed: Annotated[
        bool | None,
        typer.Option("--retry-failed", help="Try failed videos again that may come back.", rich_help_panel=SPEED),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Videos an hour asked of one site. [300]", rich_help_panel=NET)
    ] = None,
    cookies: Annotated[Path | None, typer.Option(help="Cookie file (Netscape format).", rich_help_panel=NET)] = None,
    proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="Proxy for all requests.", rich_help_panel=NET)
    ] = None,
    allow_private_hosts: Annotated[
        bool | None,
        typer.Option(
            "--allow-private-hosts", help="Allow links to this machine and private networks.", rich_help_panel=NET
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Options from a file; flags win.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the table and estimate the cost; start nothing.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Build an anonymised, labelled clip data set from a table of video links and cities.

    Run the same command again to go on after an interruption; what is done is not done again.
    """
    flags = {
        name: value for name, value in locals().items() if name not in ("sources", "out", "config", "dry_run", "json_")
    }
    _build_dataset(sources, out, flags, config, dry_run, json_)


@command
def _build_dataset(
    sources: Path, out: Path, flags: dict[str, Any], config_file: Path | None, dry_run: bool, as_json: bool
) -> int:
    from ..options import build_config

    config = build_config(sources, out, flags, config_file)
    if dry_run:
        from cityguessr_data.estimate import estimate

        from ..summary import show_estimate

        show_estimate(estimate(config), config, as_json=as_json)
        return 0
    from cityguessr_data.pipeline import build

    from ..progress import BuildProgress
    from ..summary import show_build

    with BuildProgress() as progress:
        result = build(config, progress)
    ignore_interrupts()
    show_build(result, config, as_json=as_json)
    return result.exit_code
