"""What the clips show: the scene mix over all clips and by continent."""

from __future__ import annotations

from ....core.places365 import SCENE_CLASSES
from ...results import Scenes, Stats
from ..blocks import Chart, Plot, Row, Section, Table, num, text
from ..charts.mix import FAMILIES, FAMILY_KEYS, SCENE_KEYS, by_continent, families, overall, scene_name
from ..drawing import page_spec
from ..words import percent, place

ALL = "All clips"


def scenes(stats: Stats) -> Section:
    """The section."""
    title, intro = "Scenes", "What the clips show: 16 classes of Places365, by the share of a clip's frames."
    found = stats.scenes
    if found is None:
        return Section("scenes", title, intro, (), (stats.blank.get("scenes", "the data does not say."),))
    return Section("scenes", title, intro, (_overall(found), _by_continent(found)))


def continent_rows(found: Scenes) -> dict[str, tuple[float, ...]]:
    """The rows of the stacked bars: all clips, then the continents by name."""
    return {ALL: found.overall} | {place(name, 30): mix for name, mix in sorted(found.by_continent.items())}


def _overall(found: Scenes) -> Plot:
    family_of, n_majority = families(), sum(found.majority)
    shares = {
        name: sum(s for s, f in zip(found.overall, family_of, strict=True) if f == name) for name in FAMILIES.values()
    }
    facts = "; ".join(f"{name.lower()} {percent(share)}" for name, share in shares.items())
    facts = f"{found.n_labelled:,} clips with scenes: {facts}."
    if found.n_unlabelled:
        facts += f" {found.n_unlabelled:,} clips have none and are in no share."
    rows = tuple(
        Row(
            (
                text(scene_name(i)),
                text(family_of[i], "quiet"),
                num(found.overall[i], percent(found.overall[i])),
                num(found.majority[i], f"{found.majority[i]:,}"),
                num(found.majority[i], percent(found.majority[i], n_majority)),
            )
        )
        for i in range(len(SCENE_CLASSES))
    )
    columns = (
        ("Scene", False),
        ("Family", False),
        ("Share of frames", True),
        ("Clips mostly of it", True),
        ("Of clips", True),
    )
    return Plot(
        "Scene mix",
        "Mean share of each class; the three colours are the families.",
        (Chart("scenes", page_spec(overall(found.overall), f"Scene mix. {facts}", 20 * len(SCENE_CLASSES))),),
        Table("Scene mix", columns, rows),
        facts=facts,
        legend=FAMILY_KEYS,
    )


def _by_continent(found: Scenes) -> Plot:
    mixes = continent_rows(found)
    rows = tuple(
        Row((text(scene_name(i)), *(num(mix[i], percent(mix[i])) for mix in mixes.values())))
        for i in range(len(SCENE_CLASSES))
    )
    columns = (("Scene", False), *((name, True) for name in mixes))
    return Plot(
        "Scene mix by continent",
        "Every bar is 100 %: indoor in browns, natural in greens, man-made in blues.",
        (
            Chart(
                "scenes-by-continent",
                page_spec(by_continent(mixes), f"Scene mix of {', '.join(mixes)}.", 32 * len(mixes)),
            ),
        ),
        Table("Scene mix by continent", columns, rows),
        legend=SCENE_KEYS,
    )
