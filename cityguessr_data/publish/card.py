"""The data card of an export, as README.md with the front matter that `datasets` and model hubs read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.types import LEVELS
from ..stats.page.words import LEVEL_NAMES, listing, many, number, percent, place
from ..stats.results import Leakage, Stats
from .job import ExportJob
from .markup import render
from .measured import FIGURES, draw, measure_export
from .readme import values_of

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Rows below -> the hub's word."""


@dataclass(frozen=True)
class _Level:
    name: str
    n_classes: int
    most: str
    fewest: str
    gini: str


@dataclass(frozen=True)
class _Split:
    name: str
    parts: str
    leaks: str


@dataclass(frozen=True)
class _Figure:
    name: str
    alt: str


def write_card(job: ExportJob, parts: Mapping[str, int], tables: Sequence[str]) -> None:
    """README.md and its figures, last of all files.

    Args:
        parts: part -> clips, as data/ has them.
        tables: names of those in tables/.
    Raises:
        InputError: it would hold a path of this machine.
        DiskFullError: no space left.
    """
    if job.dest.has("README.md"):
        return
    work = job.dest.work("tables")
    shutil.rmtree(work, ignore_errors=True)
    stats = measure_export(job.contents, work)
    drawn = dict(draw(stats))
    for name, png in drawn.items():
        path = f"figures/{name}.png"
        if not job.dest.has(path):
            job.dest.write_bytes(path, png)
    text = render_card(job, stats, parts, tables, tuple(drawn))
    job.guard.check_text("README.md", text)
    job.dest.write_text("README.md", text)


def render_card(
    job: ExportJob, stats: Stats, parts: Mapping[str, int], tables: Sequence[str], drawn: tuple[str, ...]
) -> str:
    """The text.

    Args:
        drawn: names of the figures that are there.
    """
    contents = job.contents
    hours = stats.size.hours
    divided = " The files of `data/` follow one of them." if any(clip.part for clip in contents.clips) else ""
    own = {
        "hours": "" if hours is None else f"; {_length(hours)} of footage",
        "size_category": next((word for below, word in _SIZES if len(contents.clips) < below), "n>1M"),
        "parts": parts,
        "tables": tables,
        "levels": list(_levels(stats)),
        "blank": {level: stats.blank[level] for level in LEVELS if level in stats.blank},
        "figures": [_Figure(name, FIGURES[name]) for name in drawn],
        "splits": [_split(split.name, split.part_of, stats) for split in contents.splits],
        "divided": divided,
    }
    return render("card.md.j2", {**values_of(job.facts), **own})


def _length(hours: float) -> str:
    minutes = 60 * hours
    if minutes < 1:
        return many(round(60 * minutes), "second", "seconds")
    return many(round(minutes), "minute", "minutes") if hours < 2 else f"{number(hours, 1)} hours"


def _levels(stats: Stats) -> Iterator[_Level]:
    for level in LEVELS:
        found: Any = stats.levels[level]
        if found is not None:
            most, fewest = found.classes[0], found.classes[-1]
            yield _Level(
                LEVEL_NAMES[level],
                found.n_classes,
                f"{place(most.name)} ({most.n_clips:,})",
                f"{place(fewest.name)} ({fewest.n_clips:,})",
                number(found.gini.value),
            )


def _split(name: str, part_of: Mapping[str, str], stats: Stats) -> _Split:
    parts = ", ".join(f"{part} {n:,}" for part, n in sorted(Counter(part_of.values()).items()))
    leak = next((one for one in stats.leakage if one.split == name), None)
    return _Split(name, parts, "not measured" if leak is None else _leaks(leak))


def _leaks(leak: Leakage) -> str:
    counts = {
        "their source video": leak.n_same_video,
        "their channel": leak.n_same_channel,
        "the clip next to them": leak.n_adjacent,
        "a near-duplicate": leak.n_duplicate,
    }
    shares = [f"{percent(n, leak.n_test)} have {what}" for what, n in counts.items() if n is not None]
    return f"of {many(leak.n_test, 'test clip', 'test clips')}, {listing(shares)}" if shares else "no source is known"
