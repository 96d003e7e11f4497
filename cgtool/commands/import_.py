"""`cgtool import`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import command, plain, print_json, say

if TYPE_CHECKING:
    from cityguessr_data.importers.found import Survey
    from cityguessr_data.importers.split_files import PublishedTest

app = typer.Typer(help="Take in a data set that others released; its frames stay where they are.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Output directory, outside of the source folder.")]
Workers = Annotated[int | None, typer.Option(help="Threads that read and decode; default: the cores, 8 at most.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


class Subset(StrEnum):
    """Which of Mapillary SLS."""

    full = "full"
    paper21 = "paper21"


@app.command("cityguessr68k")
@command
def cityguessr68k(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder that holds train, and test or val.")],
    out: Out,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", metavar="FILE", help="Labels to compare with; repeatable. Default: the lists in SRC."),
    ] = None,
    test_list: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The published test clips: makes the split `published`.")
    ] = None,
    workers: Workers = None,
    json_: Json = False,
) -> int:
    """Import the released CityGuessr68k: <split>/<City>/<clip id>/<n>.jpg.

    Frames are decoded once and not copied. The same command goes on after an interruption.
    """

    def survey(folder: Path) -> tuple[Survey, PublishedTest | None]:
        from cityguessr_data.importers import cityguessr68k as importer
        from cityguessr_data.importers.split_files import read_published

        found = importer.survey(folder, tuple(labels or ()))
        return found, None if test_list is None else read_published(test_list, found.part_of)

    return _import("cityguessr68k", source, out, survey, workers, json_)


@app.command("msls")
@command
def msls(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder that holds train_val and test.")],
    out: Out,
    subset: Annotated[
        Subset, typer.Option(help="full: every city; paper21: the paper's cities, its labels, and an 80:20 split.")
    ] = Subset.full,
    min_frames: Annotated[
        int | None, typer.Option(help="Leave out shorter sequences. [1; paper21: 15]", show_default=False)
    ] = None,
    workers: Workers = None,
    json_: Json = False,
) -> int:
    """Import Mapillary Street-Level Sequences as downloaded; a sequence is a source video.

    Frames are decoded once and not copied. The same command goes on after an interruption.
    """

    def survey(folder: Path) -> tuple[Survey, PublishedTest | None]:
        from cityguessr_data.importers import msls as importer

        return importer.survey(folder, subset.value, min_frames), None

    return _import("msls", source, out, survey, workers, json_)


def _import(
    kind: str,
    source: Path,
    out: Path,
    survey: Callable[[Path], tuple[Survey, PublishedTest | None]],
    workers: int | None,
    as_json: bool,
) -> int:
    import os

    from cityguessr_data.core.errors import InputError
    from cityguessr_data.importers.folders import source_folder
    from cityguessr_data.importers.found import SourceError
    from cityguessr_data.importers.importing import check_target, import_survey

    from ..import_summary import ImportProgress, fault_json, list_faults, show_import

    if workers is not None and workers < 1:
        raise InputError(f"{workers} threads cannot read", "Choose --workers 1 or more")
    folder = source_folder(source, out)
    check_target(out, kind, folder)
    say(f"looking at {plain(str(folder))}")
    try:
        found, test = survey(folder)
    except SourceError as exc:
        say(f"error: {plain(str(exc))}")
        list_faults(exc.faults)
        if as_json:
            faults = [fault_json(fault) for fault in exc.faults]
            print_json({"exit_code": exc.exit_code, "error": exc.message, "hint": exc.hint, "faults": faults})
        return exc.exit_code
    threads = workers or min(8, os.cpu_count() or 1)
    with ImportProgress() as progress:
        result = import_survey(found, out, progress, workers=threads, test=test)
    show_import(result, as_json=as_json)
    return result.exit_code
