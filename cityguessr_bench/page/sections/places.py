"""Where a model is right: one map a level (supplementary Fig. 5)."""

from __future__ import annotations

from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.page.blocks import Chart, Part, Plot, Row, Section, Select, Table, Words, num, text
from cityguessr_data.stats.page.charts.world import REGIONS
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.words import LEVEL_NAMES, ONE_OF, listing, many, percent

from ...classes import Classes
from ...results import SHOWN_FIRST, Results
from ..charts.right_map import KEYS, drawable, right_map
from ..show import mode_select, name, where


def places(results: Results, classes: Classes) -> Section:
    """The section."""
    shown = drawable(results, classes)
    hidden = [label for label, n in enumerate(results.clips_by_city) if n and label not in set(shown)]
    parts: list[Part] = [_maps(results, classes, shown)] if shown else []
    if hidden:
        said = listing([f"{name(results, 'city', label)} ({results.clips_by_city[label]:,})" for label in hidden], 200)
        why = f"{many(len(hidden), 'city has', 'cities have')} clips but no coordinates"
        parts.append(Words("Not on the maps", (f"{why}: {said}.",)))
    blank = () if shown else ("No city has coordinates.",)
    return Section("map", "Map", "Where the model is right, and where it is not.", tuple(parts), blank)


def _maps(results: Results, classes: Classes, shown: list[int]) -> Plot:
    regions = Select(
        "view", "Show", tuple((",".join(f"{x:g}" for x in view), label) for label, view in REGIONS.items())
    )
    scores = results.modes[SHOWN_FIRST].levels
    charts = tuple(
        Chart(
            f"map-{level}",
            page_spec(
                right_map(level),
                f"World map of {many(len(shown), 'city', 'cities')} coloured by the share of clips whose "
                f"{ONE_OF[level]} is right; over all {percent(scores[level].top1.value)} under {SHOWN_FIRST}.",
                "container",
            ),
            "map half",
            title=f"{ONE_OF[level].capitalize()} right",
        )
        for level in LEVELS
    )
    rows = []
    for label in shown:
        n = results.clips_by_city[label]
        right = [scores[level].right_by_city[label] for level in LEVELS]
        shares = (num(one / n, f"{percent(one, n, 0)} ({one:,})") for one in right)
        rows.append(
            Row((text(name(results, "city", label)), text(where(classes, "city", label)), num(n, f"{n:,}"), *shares))
        )
    columns = (("City", False), ("In", False), ("Clips", True), *((LEVEL_NAMES[level], True) for level in LEVELS))
    return Plot(
        "Where each level is right",
        "One bubble a city: its area is its number of clips, its colour the share of them that is right.",
        charts,
        Table(f"Share of each city's clips that is right, {SHOWN_FIRST}", columns, tuple(rows)),
        selects=(mode_select(), regions),
        legend=KEYS,
        wide=True,
    )
