"""`cgtool demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, ignore_interrupts, say


@command
def demo(
    out: Annotated[Path, typer.Option("--out", help="Output directory.")] = Path("demo"),
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> int:
    """Build a small data set from videos made on the spot: download, clips, faces blurred, manifests, preview."""
    from cityguessr_data.demo import SCENES, run_demo

    from ..progress import BuildProgress
    from ..summary import show_build

    with BuildProgress() as progress:
        result = run_demo(out, progress)
    ignore_interrupts()
    show_build(result.build, result.config, as_json=json_, say_scenes_off=result.without_scenes is None)
    if result.without_scenes:
        say(
            f"scene columns are null: {result.without_scenes}. "
            f"Run `cgtool weights pull places365-{SCENES}`, then the demo with another --out"
        )
    return result.build.exit_code
