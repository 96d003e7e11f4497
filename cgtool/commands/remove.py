"""`cgtool remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..console import command

_Kind = Literal["video", "channel", "clip"]


@command
def remove(
    out: Annotated[Path, typer.Argument(help="Output directory of a build or an import.")],
    video: Annotated[
        str | None, typer.Option(metavar="ID", help="A video with all its clips, by its video_id.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Every video of a channel, by its name in the videos table.")
    ] = None,
    clip: Annotated[str | None, typer.Option(metavar="ID", help="One clip, by its clip_id.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept, and stands in the changelog.")] = "on request",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Take a video, a channel or a clip out for good: frames, tables, splits, preview, cached sources.

    No later build brings it back, under this or another id. The version of the data set rises, and CHANGELOG.md says
    why. Nothing is asked: --dry-run shows what would go. Your own local files, imported frames
    and frames behind links that lead out of OUT are never touched; where there are such links, it ends with code 1.
    """
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.removal.remove import remove as take_out

    from ..removal_summary import show_removal

    named: list[tuple[_Kind, str]] = []
    for kind, value in (("video", video), ("channel", channel), ("clip", clip)):
        named += [(kind, value)] if value is not None else []  # type: ignore[list-item]
    if len(named) != 1:
        raise InputError(f"{len(named)} things to remove are named", "Give one of --video, --channel, --clip")
    kind, wanted_id = named[0]
    removal = take_out(out, kind, wanted_id, reason, dry_run=dry_run)
    show_removal(out, wanted_id, removal, dry_run=dry_run, as_json=json_)
    return 1 if removal.outside and not dry_run else 0
