"""`cgtool split`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cityguessr_data.core.words import n_of

from ..console import command, print_json, stdout
from ..tables import fact, figures, leaks, safe, share

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.splits.config import SplitConfig
    from cityguessr_data.splits.results import SplitResult

_LISTED = 8
_FACT = 10  # columns of the name of a fact


class By(StrEnum):
    """What a split never divides."""

    clip = "clip"
    video = "video"
    channel = "channel"


@command
def split(
    out: Annotated[Path, typer.Argument(help="Output directory.")],
    by: Annotated[By, typer.Option(help="clip: as the paper; video, channel: no source on both sides.")],
    name: Annotated[str | None, typer.Option(help="Of the split; default: by-clip, by-video, by-channel.")] = None,
    test: Annotated[float | None, typer.Option(help="Share of the test part; default 0.2, with --folds 1/K.")] = None,
    val: Annotated[float, typer.Option(help="Share of a validation part.")] = 0.0,
    folds: Annotated[int | None, typer.Option(help="Make K splits; every source is tested in one of them.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a split of this name; see below.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Divide a data set into train and test, stratified by city, and report what the split leaks.

    Writes OUT/splits/NAME.parquet. When the data set has grown, --replace with the same settings adds the new sources
    and leaves every other in its part.
    """
    from cityguessr_data.splits.config import SplitConfig
    from cityguessr_data.splits.make import split as make

    config = SplitConfig(by=by.value, name=name, test=test, val=val, folds=folds, seed=seed, replace=replace)
    result = make(out, config)
    if json_:
        print_json(_as_json(out, config, result))
    else:
        _show(out, config, result)
    return 0


def _as_json(out: Path, config: SplitConfig, result: SplitResult) -> dict[str, Any]:
    from dataclasses import asdict

    value = asdict(result)
    for one in value["splits"]:
        one["path"] = str(one["path"])
    return {"out": str(out), "test": config.test_share, "val": config.val, "folds": config.folds, **value}


def _show(out: Path, config: SplitConfig, result: SplitResult) -> None:
    console = stdout()
    of = "" if config.by == "clip" else f" of {n_of(result.n_sources, result.noun)}"
    cities = n_of(result.n_cities, "city", "cities")
    clips = n_of(result.n_clips, "clip")
    console.print(f"[bold]{safe(config.base_name)}[/bold]: {clips}{of} in {cities}, seed {result.seed}")
    console.print()
    console.print(_parts(result) if config.folds is None else _folds(result))
    console.print()
    for label, value in _facts(out, config, result):
        console.print(fact(label, value, _FACT))


def _parts(result: SplitResult) -> Table:
    """The parts of the one split: a row each."""
    made = result.splits[0]
    by_source = result.noun == "channel"
    table = _table("part", "clips", "share", *(["channels"] if by_source else []), "source videos", "cities")
    for part, size in made.parts.items():
        sources = [f"{size.n_sources:,}"] if by_source else []
        videos = "–" if size.n_videos is None else f"{size.n_videos:,}"
        share = f"{size.n_clips / result.n_clips:.1%}"
        table.add_row(part, f"{size.n_clips:,}", share, *sources, videos, f"{size.n_cities:,}")
    return table


def _folds(result: SplitResult) -> Table:
    """A row a fold: its test part, and what train has of it."""
    table = _table("fold", "test clips", "share", f"{result.noun}s", "cities", "same video", "channel", "next clip")
    for fold, made in enumerate(result.splits):
        size, leak = made.parts["test"], made.leakage
        shares = [share(n, leak.n_test) for n in (leak.n_same_video, leak.n_same_channel, leak.n_adjacent)]
        whole = f"{size.n_clips / result.n_clips:.1%}"
        table.add_row(str(fold), f"{size.n_clips:,}", whole, f"{size.n_sources:,}", f"{size.n_cities:,}", *shares)
    return table


def _facts(out: Path, config: SplitConfig, result: SplitResult) -> Iterator[tuple[str, str]]:
    """The lines under the table: what a reader must know of the split, and where it is."""
    yield from _gaps(result)
    if config.folds is None:
        yield "leaks", leaks(result.splits[0].leakage)
    else:
        yield "leaks", "shares of a fold's test clips whose source video, channel or neighbouring clip is in train"
    yield "duplicates", f"not looked for here: `cgtool stats {out}` counts the near-duplicates in train"
    if config.by == "clip" and config.folds is None:
        yield "rounding", "per city to the nearest clip, halves up; how the paper rounds is not known"
    if result.n_videos_without_channel:
        lone = n_of(result.n_videos_without_channel, "video")
        yield "no channel", f"{lone} of unknown channel, each taken as a channel of its own"
    if result.n_kept and any(made.action == "replaced" for made in result.splits):
        new = result.n_sources - result.n_kept
        yield "kept", f"{n_of(result.n_kept, result.noun)} had a part and kept it, {new:,} are new"
    if result.n_merged:
        yield "merged", f"{n_of(result.n_merged, result.noun)} had clips in several parts and went to test or val"
    actions = sorted({made.action for made in result.splits})
    files = config.base_name if config.folds is None else f"{config.base_name}-fold0 to {config.folds - 1}"
    yield "file" if config.folds is None else "files", f"{out}/splits/{files}.parquet: {', '.join(actions)}"


def _gaps(result: SplitResult) -> Iterator[tuple[str, str]]:
    """One line a part and reason; with folds a city may lack in several."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for made in result.splits:
        for gap in made.gaps:
            found[gap.part, gap.reason][gap.city] += 1
    for (part, reason), cities in found.items():
        times = [f" in {n} folds" if n > 1 else "" for n in cities.values()]
        names = [f"{city}{n}" for city, n in zip(cities, times, strict=True)]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        yield f"no {part}", f"{', '.join(names[:_LISTED])}{more}: {reason}"


def _table(*columns: str) -> Table:
    table = figures()
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table
