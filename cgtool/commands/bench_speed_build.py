"""`cgtool bench speed build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import command, print_json, say


def build(
    video: Annotated[
        Path | None, typer.Argument(help="Footage like what you will build from; without, the demo's is made.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="resnet50|mobilenet0.25", help="RetinaFace network. \\[resnet50]")
    ] = None,
    detector_size: Annotated[
        int | None, typer.Option(metavar="PX", help="Longer side of the detector's input. [1280]")
    ] = None,
    detector_scale: Annotated[float | None, typer.Option(metavar="FACTOR", help="Times that size. [1]")] = None,
    detector_backend: Annotated[
        str | None, typer.Option(metavar="auto|openvino|onnx|torch", help="Runs the detector. \\[auto]")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="auto|fp32|bf16|fp16", help="What models compute in. \\[auto: fp32]")
    ] = None,
    scene_model: Annotated[
        str | None, typer.Option(metavar="resnet18|resnet50|FILE.onnx|off", help="Places365 model. \\[resnet18]")
    ] = None,
    blur: Annotated[str | None, typer.Option(metavar="paper|strict", help="As for a build. \\[paper]")] = None,
    clip_frames: Annotated[str | None, typer.Option(metavar="LOW-HIGH", help="Frames of a clip. [800-900]")] = None,
    samples: Annotated[int | None, typer.Option(help="Frames kept of a clip. [100]")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes, as for a build. \\[one a core]")] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda", help="Where models run. \\[auto]")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips that every worker does in the measured stretch.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each thing is measured; the median is told.")] = 5,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Measure how fast a build is here, and how close that is to what the machine can do.

    First what each stage costs bare (decoding, the networks' forward passes in every library, JPEGs), then real builds
    of the footage. Nothing is kept, and nothing else should run meanwhile.
    """
    named = ("detector", "detector_size", "detector_scale", "detector_backend", "precision", "scene_model")
    given = locals()
    flags = {name: given[name] for name in (*named, "blur", "clip_frames", "samples", "workers", "device")}
    _build(video, flags, clips, rounds, json_)


@command
def _build(video: Path | None, flags: dict[str, Any], clips: int, rounds: int, as_json: bool) -> int:
    import tempfile

    from cityguessr_data.speed.build import SpeedConfig, measure_build

    from ..options import build_config
    from ..speed_build_summary import as_object, show

    with tempfile.TemporaryDirectory(prefix="cgtool-speed-") as scratch:
        footage = video
        if footage is None:
            from cityguessr_data.synthetic.demo_videos import compose_demo_videos

            say("note: composing the demo's footage")
            footage = Path(scratch) / compose_demo_videos(Path(scratch), streets=0)[0][0]
        config = build_config(footage, Path(scratch) / "out", flags, None)
        try:
            (found,) = measure_build(
                SpeedConfig(config, footage, clips, rounds), lambda line: say(f"note: {line}")
            ).values()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Nothing was kept: run it again") from None
    if as_json:
        print_json(as_object(found, "the demo's footage" if video is None else footage.name))
    else:
        show(found, "the demo's footage" if video is None else footage.name)
    return 0
