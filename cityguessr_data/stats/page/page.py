"""The page of the statistics: which sections it has, and what its head says; `shell` makes the HTML of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.atomic import write_bytes
from ..comparison import Comparison
from ..results import Stats
from .blocks import Section
from .charts import ranked, world
from .sections.classes import classes, known_levels
from .sections.comparison import comparison as compared_section
from .sections.evenness import evenness
from .sections.faces import faces
from .sections.footage import footage
from .sections.places import places
from .sections.scenes import scenes
from .sections.sources import sources
from .sections.trust import duplicates, leakage
from .shell import Page, render
from .words import LEVEL_NAMES, UNKNOWN, number, plain, whole

_KINDS = {
    "dataset": "Measured from an output directory.",
    "clips": "Measured from a clips table alone.",
    "counts": "Measured from a table of counts.",
}


_LEFT_OUT = (
    "A table of counts says nothing of single clips: footage, faces, scenes, sources, near-duplicates and leakage are "
    "blank."
)


def write_page(stats: Stats, comparison: Comparison | None, others: Sequence[Stats], path: Path) -> None:
    """Write the page to `path`, whole or not at all; its folder is made where it is missing.

    Args:
        others: the compared data sets, in the order of `comparison`.
    Raises:
        DiskFullError: no space left.
    """
    write_bytes(path, page(stats, comparison, others).encode())


def page(stats: Stats, comparison: Comparison | None, others: Sequence[Stats]) -> str:
    """The whole page as text."""
    statuses = ", ".join(f"{n:,} {status}" for status, n in stats.size.videos_by_status.items())
    name = plain(stats.name, 100)
    return render(
        Page(
            title=f"{name}: statistics",
            heading=name,
            kind=_KINDS[stats.kind] + (f" Videos: {statuses}." if statuses else ""),
            figures=_key_figures(stats),
            notes=[plain(note, 500) for note in stats.notes],
            sections=_sections(stats, comparison, others),
            datasets={ranked.DATA: ranked.rows(known_levels(stats)), world.LAND: world.land()},
            left_out=_LEFT_OUT if _only_counts(stats) else "",
        )
    )


def _sections(stats: Stats, comparison: Comparison | None, others: Sequence[Stats]) -> list[Section]:
    every = [
        evenness(stats),
        compared_section(stats, comparison, others),
        classes(stats),
        places(stats),
    ]
    if not _only_counts(stats):
        every += [
            footage(stats),
            faces(stats),
            scenes(stats),
            sources(stats),
            duplicates(stats),
            leakage(stats),
        ]
    return [section for section in every if section is not None]


def _only_counts(stats: Stats) -> bool:
    """Whether one sentence says all of the sections on single clips."""
    found = (stats.footage, stats.faces, stats.scenes, stats.provenance, stats.duplicates, *stats.leakage)
    return stats.kind == "counts" and all(section is None for section in found)


def _key_figures(stats: Stats) -> list[tuple[str, str, str]]:
    """(what, how many, remark) of the head."""
    size = stats.size
    figures = [
        ("clips", whole(size.n_clips), ""),
        ("source videos", UNKNOWN if size.n_videos is None else whole(size.n_videos), ""),
        ("saved frames", UNKNOWN if size.n_frames is None else whole(size.n_frames), ""),
        _footage(size.hours),
    ]
    if stats.kind == "counts":  # it cannot know them
        figures = [figure for figure in figures if figure[1] != UNKNOWN]
    for level, found in stats.levels.items():
        figures.append((LEVEL_NAMES[level].lower(), UNKNOWN if found is None else whole(found.n_classes), ""))
    if size.cities_of_taxonomy is not None:
        figures.append(("cities of the taxonomy", whole(size.cities_of_taxonomy), f"of {size.taxonomy_cities:,}"))
    return figures


def _footage(hours: float | None) -> tuple[str, str, str]:
    if hours is None:
        return "footage", UNKNOWN, ""
    if hours < 1:
        return "minutes", number(60 * hours, 1), ""
    return "hours", number(hours, 0 if hours >= 100 else 1), ""
