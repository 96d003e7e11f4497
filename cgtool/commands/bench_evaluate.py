"""`cgtool bench evaluate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import command, plain, print_json, say
from ..outputs import check_page

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cityguessr_bench.classes import Classes
    from cityguessr_bench.evaluate_run import RunScores
    from cityguessr_bench.pack.read import Pack
    from cityguessr_bench.predictions import Predictions
    from cityguessr_bench.results import FoldResults, Results
    from cityguessr_bench.run_dir import RunDir

    Frames = Callable[[str], npt.NDArray[np.uint8]]
    """Blurred frames of a clip by its id, (T, 3, H, W)."""

_LINE_EVERY_S = 10.0
_PAGE_EXTRA = ("altair", "jinja2", "vl_convert")
"""Packages of the page, which a machine for training need not have."""
_OF_A_RUN = ("part", "weights", "device")


class Part(StrEnum):
    """Of a split."""

    train = "train"
    val = "val"
    test = "test"


class Weights(StrEnum):
    """Of a run."""

    last = "last"
    best = "best"


@command
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run, or of the runs of folds.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Score this file instead of a run's model.")] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="Of --predictions; default: taxonomy.parquet beside.")] = None,
    out: Annotated[Path | None, typer.Option(help="Of --predictions: folder for results.json and the page.")] = None,
    part: Annotated[Part | None, typer.Option(help="Of the run's split; default: test.")] = None,
    weights: Annotated[Weights | None, typer.Option(help="Default: what the run's settings report.")] = None,
    data: Annotated[Path | None, typer.Option(help="Pack or data set; default: the run's own.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no page.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object with every number.")] = False,
) -> int:
    """Score a run on a part of its split: accuracies under four modes, intervals, calibration, kilometres.

    Writes RUN/predictions.parquet, RUN/results.json and RUN/report.html. Of the runs of folds each is scored on its own
    test part, and RUN gets the whole. With --predictions anyone's predictions are scored, without a GPU and without
    frames; nothing is written but what --out and --html ask for.
    """
    from cityguessr_data.core.errors import InputError

    if (run is None) == (predictions is None):
        raise InputError("expected the folder of a run, or --predictions FILE", "Give one of the two")
    given = {"part": part, "weights": weights, "device": device, "taxonomy": taxonomy, "out": out}
    for name, value in given.items():
        if value is not None and (name in _OF_A_RUN) == (run is None):
            of = "a run" if run is None else "--predictions"
            raise InputError(f"--{name} belongs to {'--predictions' if of != 'a run' else of}", f"Leave out --{name}")
    if html is not None and no_html:
        raise InputError("--html and --no-html exclude each other", "Give one of the two")
    if html is not None:
        check_page(html, [path for path in (run, predictions, taxonomy, data) if path is not None])
    if predictions is not None:
        _score_file(predictions, taxonomy, data, out, html, no_html, json_)
    elif run is not None:
        options = {
            "part": part.value if part else "test",
            "data": data,
            "which": weights.value if weights else None,
            "device": device or "auto",
        }
        _score_run(run, options, html, no_html, json_)
    return 0


def _score_file(
    path: Path,
    taxonomy: Path | None,
    data: Path | None,
    out: Path | None,
    html: Path | None,
    no_html: bool,
    json_: bool,
) -> None:
    from cityguessr_bench.classes import Classes
    from cityguessr_bench.evaluate import evaluate as score
    from cityguessr_bench.pack.read import Pack
    from cityguessr_bench.predictions import Predictions
    from cityguessr_bench.results import Origin
    from cityguessr_bench.results_json import to_json
    from cityguessr_data.core.atomic import write_json

    classes = Classes.read(taxonomy or path.parent / "taxonomy.parquet")
    found = Predictions.read(path, classes)
    pack = None if data is None else Pack.open(data)
    results = score(found, classes, Origin(f"{path.resolve().parent.name}/{path.name}"))
    written = []
    if out is not None:
        write_json(out / "results.json", to_json(results))
        written.append(out / "results.json")
    page = html or (out / "report.html" if out is not None else None)
    if page is not None and not no_html:
        written += _page(results, found, classes, _frames(pack) if pack else None, page, path)
    _show(results, None, None, written, json_)


def _score_run(run: Path, options: dict[str, Any], html: Path | None, no_html: bool, json_: bool) -> None:
    from cityguessr_bench.run_dir import RunDir, fold_folders

    folders = () if (run / "config.json").is_file() else fold_folders(run)
    if folders:
        _score_folds(run, options, html, no_html, json_)
        return
    opened = RunDir.open(run)
    one = _score_one(opened, options)
    written = [opened.predictions_path, opened.results_path]
    if not no_html:
        page, kept = html or opened.report_path, opened.predictions_path
        written += _page(one.results, one.predictions, opened.classes, _frames(one.pack), page, kept, other=one.other)
    _show(one.results, one.other, None, written, json_)


def _score_one(run: RunDir, options: dict[str, Any]) -> RunScores:
    """Score one run and write its predictions and results."""
    from cityguessr_bench.evaluate_run import score_run
    from cityguessr_bench.results_json import to_json
    from cityguessr_data.core.atomic import write_json

    scored = score_run(run, on_batch=_progress(), **options)
    scored.predictions.write(run.predictions_path, run.classes)
    write_json(run.results_path, to_json(scored.results, scored.other))
    return scored


def _score_folds(run: Path, options: dict[str, Any], html: Path | None, no_html: bool, json_: bool) -> None:
    from cityguessr_bench.folds import evaluate_folds, open_folds
    from cityguessr_bench.results_json import to_json
    from cityguessr_data.core.atomic import write_json

    folds = open_folds(run)
    classes = folds[0].classes
    scored = []
    for fold in folds:
        say(f"{plain(str(fold.folder))}: scored on its own part {options['part']}")
        scored.append(_score_one(fold, options))
    whole = evaluate_folds(run.name, folds, scored)
    pooled, kept = whole.results.pooled, run / "predictions.parquet"
    classes.write(run / "taxonomy.parquet")
    whole.predictions.write(kept, classes)
    write_json(run / "results.json", to_json(pooled, folds=whole.results))
    written = [kept, run / "results.json"]
    if not no_html:
        for fold, one in zip(folds, scored, strict=True):
            shown, kept_of = fold.report_path, fold.predictions_path
            _page(one.results, one.predictions, classes, _frames(one.pack), shown, kept_of, other=one.other)
        frames = _frames(*(one.pack for one in scored))
        page = html or run / "report.html"
        written += _page(pooled, whole.predictions, classes, frames, page, kept, folds=whole.results)
    _show(pooled, None, whole.results, written, json_)


def _page(
    results: Results,
    predictions: Predictions,
    classes: Classes,
    frames: Frames | None,
    page: Path,
    of: Path,
    *,
    other: Results | None = None,
    folds: FoldResults | None = None,
) -> list[Path]:
    """Write the page, or say how it is written elsewhere. The files written."""
    try:
        from cityguessr_bench.page.report import write_report

        # it imports what it draws with when it draws
        write_report(results, predictions, classes, frames, page, other=other, folds=folds)
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _PAGE_EXTRA:
            raise
        stale = f"; {plain(str(page))} is of an earlier evaluation" if page.exists() else ""
        say(
            f"no page was written: {exc.name} is not installed here{stale}. Where it is: "
            f"cgtool bench evaluate --predictions {plain(str(of))} --html {plain(str(page))}"
        )
        return []
    return [page]


def _frames(*packs: Pack) -> Frames | None:
    """The pictures of a clip out of the first pack that has it; None where the packs hold features."""
    packs = tuple(pack for pack in packs if not pack.config.encoder)
    if not packs:
        return None
    place_of = {clip_id: (pack, place) for pack in reversed(packs) for place, clip_id in enumerate(pack.clip_ids)}

    def frames(clip_id: str) -> npt.NDArray[np.uint8]:
        from cityguessr_data.core.errors import InputError

        if clip_id not in place_of:
            raise InputError(f"--data {packs[0].folder} has no clip {clip_id}", "Name the pack of these predictions")
        pack, place = place_of[clip_id]
        pixels: npt.NDArray[np.uint8] = pack.clip(place)
        return pixels

    return frames


def _progress() -> Callable[[int, int], None]:
    said_at = time.monotonic()

    def on_batch(done: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at > _LINE_EVERY_S:
            say(f"[{done}/{total}] clips")
            said_at = time.monotonic()

    return on_batch


def _show(
    results: Results, other: Results | None, folds: FoldResults | None, written: Sequence[Path], json_: bool
) -> None:
    from cityguessr_bench.results_json import to_json

    from ..bench_summary import show_results

    if json_:
        print_json(to_json(results, other, folds))
    else:
        show_results(results, other, folds, [str(path) for path in written])
