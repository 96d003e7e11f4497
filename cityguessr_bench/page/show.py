"""Estimates, modes and classes in words: what the sections of the page have in common."""

from __future__ import annotations

from itertools import pairwise

from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import Cell, Select, num
from cityguessr_data.stats.page.words import DASH, LEVEL_NAMES, interval, number, percent, place
from cityguessr_data.stats.results import Interval

from ..classes import Classes
from ..hierarchy import MODES, Mode
from ..results import SHOWN_FIRST, Estimate, Results

MODE_WORDS: dict[Mode, str] = {
    "none": "Every level by its own head.",
    "independent": "Every level by itself; a class counts its own probability times those of the places it lies in "
    "(Eq. 5 of the paper).",
    "codependent": "The city by that product; state, country and continent are those that this city lies in.",
    "trace": "The city by its own head; the rest are what it lies in. The released code calls this codependent.",
}


def over_clips(estimate: Estimate) -> Interval:
    """With the interval by drawing clips."""
    return Interval(estimate.value, estimate.low_clips, estimate.high_clips)


def over_videos(estimate: Estimate) -> Interval:
    """With the interval by drawing source videos."""
    return Interval(estimate.value, estimate.low_videos, estimate.high_videos)


def honest(estimate: Estimate) -> Interval:
    """With the interval over videos; over clips where the videos are not known."""
    return over_clips(estimate) if estimate.low_videos is None else over_videos(estimate)


def bounds(found: Interval, decimals: int = 1, unit: float = 100) -> str:
    """`60.1 to 75.3` of shares (unit 100); an en dash where the interval is not known."""
    if found.low is None or found.high is None:
        return DASH
    return f"{number(unit * found.low, decimals)} to {number(unit * found.high, decimals)}"


def share(found: Interval) -> str:
    """`68.0 % (60.1 to 75.3)`."""
    return interval(found, 1, in_percent=True)


def share_cells(estimate: Estimate) -> tuple[Cell, Cell, Cell]:
    """A share, its interval over videos, its interval over clips."""
    videos, clips = over_videos(estimate), over_clips(estimate)
    return (
        num(estimate.value, percent(estimate.value)),
        num(videos.low, bounds(videos), "quiet"),
        num(clips.low, bounds(clips), "quiet"),
    )


def drawn(results: Results) -> str:
    """What the intervals of plots and headlines are over."""
    return "source videos" if results.n_video_unknown == 0 else "clips, for the source videos are not known"


def name(results: Results, level: Level, label: int, limit: int = 60) -> str:
    """A class as people write it."""
    return place(results.names[level][label], limit)


def where(classes: Classes, level: Level, label: int) -> str:
    """What a class lies in, the nearest first; an en dash for a continent."""
    names = []
    for lower, upper in pairwise(LEVELS):
        if LEVELS.index(lower) >= LEVELS.index(level):
            label = int(classes.parents[lower][label])
            names.append(place(classes.names[upper][label], 40))
    return ", ".join(names) or DASH


def with_country(classes: Classes, city: int) -> str:
    """`Paris, France`."""
    return f"{place(classes.names['city'][city], 40)}, {place(classes.names['country'][classes.paths[city, 2]], 40)}"


def modes_first() -> list[Mode]:
    """All modes, that of the paper first."""
    return [SHOWN_FIRST, *(mode for mode in MODES if mode != SHOWN_FIRST)]


def mode_select() -> Select:
    """A choice of mode; the paper's comes first."""
    return Select("mode", "Mode", tuple((mode, mode) for mode in modes_first()))


def level_select(results: Results) -> Select:
    """A choice of level, cities first."""
    options = tuple((level, f"{LEVEL_NAMES[level]} ({results.n_classes[level]:,})") for level in LEVELS)
    return Select("level", "Level", options)
