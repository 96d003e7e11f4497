"""`cgtool bench audit`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import command, plain, print_json, printing, say
from ..sheet import show_sheets
from .bench_evaluate import Part, Weights

if TYPE_CHECKING:
    from cityguessr_bench.audit.results import SplitAudit
    from cityguessr_bench.audit.text import FindText
    from cityguessr_bench.run_dir import RunDir

_LINE_EVERY_S = 10.0


@command
def audit(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Annotated[Path | None, typer.Option(help="Pack or data set; default: the run's own.")] = None,
    part: Annotated[Part, typer.Option(help="Of the run's split.")] = Part.test,
    weights: Annotated[Weights | None, typer.Option(help="Default: what the run's settings report.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    splits: Annotated[
        str | None, typer.Option(help="Also train by these splits: clip,video,channel, or their names.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Of --splits: folder of the runs, shared with bench table.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Of --splits: threads that read clips.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="md, csv, latex or html; default: for the terminal.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object with every number.")] = False,
) -> int:
    """Ask how much of a run's accuracy is the place: score it with one cue taken away after the other.

    A single frame, frames in another order, mirrored, and borders, static overlays and readable text masked, each
    beside a control that hides as many pixels elsewhere. With --splits the same settings are trained by clip, by source
    video and by channel. Nothing is written but the runs of --splits, and the pack of a data set that has none.
    """
    from cityguessr_bench.audit.audit import AuditRequest, run_audit
    from cityguessr_bench.audit.sheet import long_sheet, sheets, to_json
    from cityguessr_bench.run_dir import RunDir
    from cityguessr_bench.tables.forms import FORMS, write
    from cityguessr_data.core.errors import InputError

    if format_ is not None and format_ not in FORMS:
        raise InputError(f"there is no format {format_!r}", f"Give one of: {', '.join(FORMS)}")
    if format_ is not None and json_:
        raise InputError("--format and --json exclude each other", "Give one of the two")
    if (splits is None) != (runs is None):
        raise InputError("--splits and --runs belong together", "Give both, such as --splits clip,video --runs RUNS")
    opened = RunDir.open(run)
    request = AuditRequest(
        run=opened,
        data=data,
        part=part.value,
        which=weights.value if weights else None,
        device=device,
        find_text=_text_detector(device),
    )
    by_split = None
    if splits is not None and runs is not None:  # first: it is what can be refused, and what takes hours
        by_split = _by_split(opened, data, splits, runs, device, workers)
    done = run_audit(request, lambda message: say(plain(message)), _progress())
    if json_:
        print_json(to_json(done, by_split))
    elif format_ is not None:
        made = (long_sheet(done, by_split),) if format_ == "csv" else sheets(done, by_split)
        with printing():
            typer.echo(write(made, format_), nl=False)
    else:
        show_sheets(sheets(done, by_split))
    return 1 if by_split is not None and by_split.not_done else 0


def _by_split(run: RunDir, data: Path | None, splits: str, runs: Path, device: str, workers: int | None) -> SplitAudit:
    from cityguessr_bench.audit.splits import SplitsRequest, run_splits
    from cityguessr_data.core.errors import InputError

    from ..bench_progress import TrainProgress

    names = list(dict.fromkeys(name.strip() for name in splits.split(",") if name.strip()))
    if not names:
        raise InputError("--splits names no split", "Give names with commas between, such as clip,video,channel")
    request = SplitsRequest(run.config, data or run.data_folder, runs, names, device, workers)
    with TrainProgress() as progress:
        try:
            return run_splits(request, lambda message: say(plain(message)), progress)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("The same command goes on") from None


def _text_detector(device: str) -> FindText | None:
    """None where its weights are not here: the row then says so. Other weights than it should have are an error."""
    from cityguessr_data.vision.text_detector import NAME, TextDetector
    from cityguessr_data.vision.weights import verify

    if verify(NAME).state == "missing":
        return None
    return TextDetector(device="cpu" if device == "cpu" else "auto")  # the model may have a GPU that this cannot use


def _progress() -> Callable[[int, int], None]:
    """A line every ten seconds of each change, with the time that is left of it."""
    began = said_at = time.monotonic()

    def on_batch(done: int, total: int) -> None:
        nonlocal began, said_at
        now = time.monotonic()
        if now - said_at > _LINE_EVERY_S:
            say(f"[{done}/{total}] clips, {(now - began) / done * (total - done):.0f} s left")
            said_at = now
        if done == total:  # the next change begins
            began = said_at = now

    return on_batch
