"""Clips per class: all classes by rank with their names, and their histograms at the four levels."""

from __future__ import annotations

from ....core.types import LEVELS, Level
from ...results import LevelStats, Stats
from ..blocks import Chart, Part, Plot, Row, Section, Select, Table, Words, num, text
from ..charts import ranked
from ..charts.histogram import bins, fullest_bin, histogram
from ..drawing import page_spec
from ..words import LEVEL_NAMES, ONE_OF, listing, many, percent, place, search_key, short


def classes(stats: Stats) -> Section:
    """The section; `ranked.rows` of the same levels are the data of its first plot."""
    levels = known_levels(stats)
    parts: list[Part] = []
    if levels:
        parts = [_ranks(levels, stats.few_below), *_few(levels, stats.few_below), *map(_histogram, levels)]
    return Section(
        "classes",
        "Classes",
        "How many clips each city, state, country and continent has.",
        tuple(parts),
        () if levels else ("No level is known.",),
    )


def known_levels(stats: Stats) -> list[LevelStats]:
    """The levels that the data has, from the city up."""
    return [level for name in LEVELS if (level := stats.levels.get(name)) is not None]


def level_select(levels: list[LevelStats]) -> Select:
    """A choice of level."""
    return Select("level", "Level", tuple((s.level, f"{LEVEL_NAMES[s.level]} ({s.n_classes:,})") for s in levels))


def _ranks(levels: list[LevelStats], few_below: int) -> Plot:
    first: Level = levels[0].level
    most = levels[0].classes[0]
    description = f"Clips per class, most first. {place(most.name)} has most: {many(most.n_clips, 'clip', 'clips')}."
    return Plot(
        "Clips per class",
        "The most frequent classes come first. Drag over the upper plot to pick a range of ranks; the lower one names "
        f"its classes. Orange: fewer than {many(few_below, 'clip', 'clips')}.",
        (
            Chart("skyline", page_spec(ranked.skyline(first, interactive=True), description, 110)),
            Chart("names", page_spec(ranked.names(first, most.n_clips), f"{description} With names.", 20), "scrolls"),
        ),
        _table(levels),
        selects=(level_select(levels),),
        searches=True,
        wide=True,
    )


def _table(levels: list[LevelStats]) -> Table:
    rows = []
    for stats in levels:
        few, total = set(stats.few), stats.n_clips
        for i, one in enumerate(stats.classes):
            cells = (
                num(i + 1, f"{i + 1:,}"),
                text(place(one.name)),
                text(", ".join(place(p, 40) for p in one.parents) or "–", "quiet"),
                num(one.n_clips, f"{one.n_clips:,}"),
                num(one.n_clips, percent(one.n_clips, total, 2)),
                num(one.n_videos, f"{one.n_videos:,}" if one.n_videos is not None else "–"),
                text("few" if one.name in few else "", "warn"),
            )
            rows.append(Row(cells, level=stats.level, key=search_key(one.name)))
    columns = (
        ("Rank", True),
        ("Class", False),
        ("In", False),
        ("Clips", True),
        ("Share", True),
        ("Videos", True),
        ("Few", False),
    )
    return Table("Clips per class", columns, tuple(rows))


def _few(levels: list[LevelStats], few_below: int) -> list[Words]:
    paragraphs = []
    for stats in levels:
        if stats.few:
            clips = {c.name: c.n_clips for c in stats.classes}
            named = listing([f"{place(name)} ({clips[name]:,})" for name in stats.few])
            paragraphs.append(f"{LEVEL_NAMES[stats.level]}, {len(stats.few):,} of {stats.n_classes:,}: {named}.")
    if not paragraphs:
        return []
    return [Words(f"Classes with fewer than {many(few_below, 'clip', 'clips')}", tuple(paragraphs))]


def _histogram(stats: LevelStats) -> Plot:
    values, one = stats.per_class, ONE_OF[stats.level]
    facts = (
        f"{many(values.n, 'class', 'classes')}, from {short(values.low)} to {many(int(values.high), 'clip', 'clips')}; "
        f"mean {short(values.mean)}, median {short(values.median)}, "
        f"fullest bin {fullest_bin(values)}."
    )
    table = Table(
        f"Clips per {one}",
        (("Clips", True), (LEVEL_NAMES[stats.level], True), ("Share", True)),
        tuple(
            Row((num(b["low"], b["range"]), num(b["n"], f"{b['n']:,}"), num(b["n"], b["share"]))) for b in bins(values)
        ),
    )
    chart = histogram(values, f"Clips per {one}", LEVEL_NAMES[stats.level])
    return Plot(
        f"Histogram: clips per {one}",
        f"How many {LEVEL_NAMES[stats.level].lower()} have how many clips; a tail to the right is a few large ones.",
        (Chart(f"histogram-{stats.level}", page_spec(chart, f"Histogram of clips per {one}. {facts}", 220)),),
        table,
        facts=facts,
    )
