"""`cgtool export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..console import command, ignore_interrupts


class To(StrEnum):
    """What an export is made for."""

    webdataset = "webdataset"
    huggingface = "huggingface"
    croissant = "croissant"
    links = "links"


class Mark(StrEnum):
    """What a reviewer can mark a clip as."""

    indoor = "indoor"
    montage = "montage"
    title_card = "title-card"


@command
def export(
    out: Annotated[Path, typer.Argument(help="Output directory of a build or an import.")],
    dest: Annotated[Path, typer.Argument(help="Folder that is not there yet; of links also FILE.csv.")],
    to: Annotated[To, typer.Option(help="links: spans, labels and digests, no pictures.")],
    shard_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of a file's frames, such as 500MB or 2GB. [500MB]")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Files by the parts of this split (webdataset, huggingface).")
    ] = None,
    without: Annotated[list[Mark] | None, typer.Option(help="Leave out clips so marked; repeatable.")] = None,
    contact: Annotated[str | None, typer.Option(help="Who to ask for a removal; the README says it.")] = None,
    allow_unreviewed: Annotated[
        bool, typer.Option("--allow-unreviewed", help="Clips may wait for a reviewer; the export says so.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Publish a reviewed data set: as WebDataset, for Hugging Face, as Croissant, or as links without pictures.

    Only boxes that are blurred go out. What reviewers decided must be carried out (`cgtool review OUT --apply`).
    Run the same command again to go on after an interruption; once it is done, that checks every file.
    """
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.publish.export import ExportConfig
    from cityguessr_data.publish.export import export as run
    from cityguessr_data.publish.frames import FramesError

    from ..export_summary import ExportProgress, bytes_of, list_faults, show_export

    config = ExportConfig(
        out=out,
        dest=dest,
        to=to.value,
        allow_unreviewed=allow_unreviewed,
        shard_bytes=None if shard_size is None else bytes_of(shard_size),
        split=split,
        without=tuple(dict.fromkeys(mark.value for mark in without or ())),
        contact=contact,
    )
    try:
        with ExportProgress() as progress:
            result = run(config, progress)
    except FramesError as exc:
        if json_:
            raise  # its message names the first
        list_faults(exc)
        raise InputError(exc.brief, exc.hint) from exc
    ignore_interrupts()
    show_export(result, as_json=json_)
    return 0
