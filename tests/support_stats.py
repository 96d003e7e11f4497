"""Example `Stats` values for tests of what shows them: realistic, minimal, huge, and with hostile names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.comparison import Comparison, Difference
from cityguessr_data.stats.distribution import describe
from cityguessr_data.stats.inequality import MEASURES, lorenz
from cityguessr_data.stats.results import (
    ClassCount,
    Distribution,
    DuplicatePair,
    Duplicates,
    Faces,
    Footage,
    Interval,
    Leakage,
    LevelStats,
    Provenance,
    Scenes,
    Size,
    Stats,
    VideoRow,
)

_ALPHA = np.array([5, 1, 1, 1, 0.5, 2, 1.5, 1, 1, 2, 30, 6, 3, 2, 4, 24]) / 2  # of the scene mix: streets
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    '"><svg onload="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "<!-- <script>",
    "{{ 7 * 7 }} {% raw %} & &lt;b&gt;",
    "right\u202eto left\u200f and \u0007bell\x00nul\u2028line",
    "constructor",
    "__proto__",
    "datum['n'] + warn('x')",
    "long " * 60,
    " ",
)
"""Names and titles that try to become markup, script, expressions or layout."""


def some(values: Sequence[float]) -> Distribution:
    """A distribution that must exist."""
    made = describe(values)
    assert made is not None
    return made


def level(name: Level, classes: Sequence[ClassCount], few_below: int = 100) -> LevelStats:
    """A level with measures of the right size; the intervals are made up: a tenth to each side."""
    classes = tuple(sorted(classes, key=lambda c: (-c.n_clips, c.name)))
    counts = [c.n_clips for c in classes]
    measured = {}
    for measure, function in MEASURES.items():
        value = float(function(counts))
        one = len(counts) < 2
        measured[measure] = Interval(value, None if one else value * 0.9, None if one else value * 1.1)
    return LevelStats(
        level=name,
        classes=classes,
        lorenz=tuple((float(x), float(y)) for x, y in lorenz(counts)),
        per_class=some(counts),
        few=tuple(c.name for c in reversed(classes) if c.n_clips < few_below),
        **measured,
    )


def levels(
    cities: Sequence[tuple[str, str, str, str, int, float | None, float | None]],
) -> dict[Level, LevelStats | None]:
    """All four levels of rows (city, state, country, continent, clips, latitude, longitude)."""
    made: dict[Level, LevelStats | None] = {}
    for depth, name in enumerate(LEVELS):
        groups: dict[tuple[str, ...], int] = {}
        for row in cities:
            path = tuple(row[depth:4])
            groups[path] = groups.get(path, 0) + row[4]
        where = {row[0]: (row[5], row[6]) for row in cities}
        made[name] = level(
            name,
            [
                ClassCount(path[0], path[1:], n, max(1, n // 14), *(where[path[0]] if depth == 0 else (None, None)))
                for path, n in groups.items()
            ],
        )
    return made


def full(seed: int = 0, name: str = "example") -> Stats:
    """A data set of 166 cities with every section."""
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.named("cityguessr166")
    counts = np.maximum(1, rng.lognormal(5.8, 0.65, len(taxonomy.cities)).astype(int))
    found = levels(
        [
            (p.city, p.state, p.country, p.continent, int(n), p.lat, p.lon)
            for p, n in zip(taxonomy.cities, counts, strict=True)
        ]
    )
    n_clips = int(counts.sum())
    scores = np.concatenate([rng.beta(0.7, 6, 30_000), rng.beta(12, 1.2, 40_000)])
    scores, n_band = scores[scores >= 0.05], int(((scores >= 0.05) & (scores < 0.5)).sum())
    binned, edges = np.histogram(scores, bins=np.arange(101) / 100)
    mixes = {
        c: tuple(rng.dirichlet(_ALPHA).tolist())
        for c in ("Africa", "Asia", "Europe", "North_America", "Oceania", "South_America")
    }
    per_video = rng.geometric(0.07, 4_712)
    return Stats(
        name=name,
        kind="dataset",
        size=Size(n_clips, 4_712, n_clips * 100, 537.5, {"done": 4_712, "dropped": 31, "failed": 12}, 166, 166),
        few_below=100,
        levels=found,
        footage=Footage(
            clip_s=some((rng.integers(800, 901, 5_000) / rng.choice([25, 29.97, 30, 60], 5_000)).tolist()),
            clip_frames=some(rng.integers(800, 901, 5_000).tolist()),
            saved_frames=some([100] * 5_000),
            video_s=some([*rng.lognormal(6.2, 0.8, 4_700).tolist(), *[float("nan")] * 12]),
            fps={"30.0": 41_204, "29.97": 15_377, "25.0": 9_120, "23.98": 1_730, "60.0": 820, "unknown": 18},
            resolution={"1280x720": 66_101, "1920x1080": 1_300, "854x480": 840, "unknown": 28},
            n_from_15_frames=n_clips,
            one_length=True,
            from_video=True,
            own_folders=True,
        ),
        faces=Faces(
            conf=0.5,
            per_clip=some(rng.negative_binomial(1, 0.006, 5_000).tolist()),
            per_frame=some(rng.negative_binomial(1, 0.4, 20_000).tolist()),
            n_detections=len(scores),
            n_blurred=len(scores) - n_band + 1_310,
            n_in_band=n_band,
            n_visible=0,
            n_reviewed=212,
            scores=replace(some(scores.tolist()), edges=tuple(edges.tolist()), counts=tuple(binned.tolist())),
            heights_px=some(rng.lognormal(3.2, 0.6, 20_000).astype(int).tolist()),
            by_origin={"detected": len(scores) - n_band, "manual": 12, "propagated": 1_298},
            n_strangers=0,
        ),
        scenes=Scenes(
            n_labelled=n_clips - 40,
            n_unlabelled=40,
            overall=tuple(np.mean(list(mixes.values()), axis=0).tolist()),
            by_continent=mixes,
            majority=tuple((np.mean(list(mixes.values()), axis=0) * n_clips).astype(int).tolist()),
        ),
        provenance=Provenance(
            clips_per_video=some(per_video.tolist()),
            videos_per_city=some(rng.geometric(0.04, 166).tolist()),
            one_video_cities=("Malm", "Talinn", "Tijuana"),
            videos=tuple(
                VideoRow(
                    f"vid{i:05d}",
                    f"Walking tour {i} in 4K",
                    f"channel {i % 40}",
                    ("Tokyo",) if i % 9 else ("Tokyo", "Osaka"),
                    n,
                )
                for i, n in enumerate(sorted(per_video.tolist(), reverse=True)[:400])
            ),
            n_videos=4_712,
            channels={f"channel {i}": 9_000 // (i + 1) for i in range(60)},
            n_channel_unknown=120,
        ),
        duplicates=Duplicates(
            n_frames=n_clips * 100,
            n_flat=1_204,
            n_common=88,
            n_unchecked=5,
            n_clips=61,
            n_pairs=43,
            pairs=tuple(
                DuplicatePair(f"vid{i:05d}_00000", f"vid{i + 700:05d}_00003", 100 - i, (100 - i) / 100)
                for i in range(43)
            ),
        ),
        leakage=(
            Leakage("by_clip", {"train": 54_000, "test": 13_500}, 13_500, 12_436, 13_014, 240, 11_902, 17),
            Leakage(
                "by_video", {"train": 54_100, "test": 13_400, "not in the split": 12}, 13_400, 0, 9_811, 240, 0, None
            ),
        ),
        blank={},
        notes=(
            "12 videos failed, so that 4,700 of 4,712 are in the data",
            "2 rows of the frames table are of clips that the clips table does not have",
        ),
    )


SECTIONS = ("footage", "faces", "scenes", "provenance", "duplicates", "leakage")


def counts_only(cities: Sequence[tuple[str, int]], name: str = "counts", above: bool = True) -> Stats:
    """What a table of counts gives: no section but the levels.

    Args:
        above: False: the levels above the city are blank.
    """
    rows = [
        (city, f"{city} state", f"country {i % 7}", f"continent {i % 3}", n, None, None)
        for i, (city, n) in enumerate(cities)
    ]
    found = levels(rows)
    blank = dict.fromkeys(SECTIONS, "a table of counts says nothing of single clips")
    if not above:
        found = {lvl: found[lvl] if lvl == "city" else None for lvl in LEVELS}
        blank |= {lvl: f"{len(cities)} of {len(cities)} cities have no {lvl}" for lvl in LEVELS[1:]}
    n_clips = sum(n for _, n in cities)
    return Stats(
        name,
        "counts",
        Size(n_clips, None, None, None, {}, None, 166),
        100,
        found,
        None,
        None,
        None,
        None,
        None,
        (),
        blank,
        (),
    )


def nothing(name: str = "nothing") -> Stats:
    """Not a single section."""
    blank = dict.fromkeys((*LEVELS, *SECTIONS), "there is nothing")
    none: dict[Level, LevelStats | None] = dict.fromkeys(LEVELS)
    return Stats(
        name,
        "clips",
        Size(0, None, None, None, {}, None, 166),
        100,
        none,
        None,
        None,
        None,
        None,
        None,
        (),
        blank,
        ("empty",),
    )


def hostile() -> Stats:
    """Every text from outside is one of HOSTILE."""
    base = full()
    city = base.levels["city"]
    assert city is not None
    classes = [
        replace(c, name=name, parents=(name, name, name)) for c, name in zip(city.classes, HOSTILE, strict=False)
    ]
    assert base.provenance and base.duplicates and base.footage
    return replace(
        base,
        name=HOSTILE[0],
        levels={name: level(name, classes, few_below=500) for name in LEVELS},
        footage=replace(base.footage, fps=dict.fromkeys(HOSTILE, 3), resolution={HOSTILE[1]: 5}),
        faces=replace(base.faces, by_origin={HOSTILE[1]: 5}) if base.faces else None,
        scenes=replace(base.scenes, by_continent=dict.fromkeys(HOSTILE, base.scenes.overall)) if base.scenes else None,
        provenance=replace(
            base.provenance,
            one_video_cities=HOSTILE,
            videos=tuple(VideoRow(h, h, h, (h, h), 3) for h in HOSTILE),
            n_videos=len(HOSTILE),
            channels=dict.fromkeys(HOSTILE, 4),
        ),
        duplicates=replace(base.duplicates, pairs=tuple(DuplicatePair(h, h, 1, 0.5) for h in HOSTILE)),
        leakage=tuple(replace(base.leakage[0], split=h, n_by_part={h: 3}) for h in HOSTILE),
        notes=HOSTILE,
    )


def compared(first: Stats, others: Sequence[Stats]) -> Comparison:
    """A comparison with made-up intervals: every second difference is clear."""
    names = (first.name, *(other.name for other in others))
    return Comparison(
        names=names,
        rows=(
            ("Number of samples", tuple(f"{s.size.n_clips:,}" for s in (first, *others))),
            ("Video sequence", tuple("not known" if s.footage is None else "Yes" for s in (first, *others))),
        ),
        differences=tuple(
            Difference(lvl, measure, other.name, Interval(change, change - 0.04, change + 0.04), lvl == "continent")
            for other in others
            for lvl in LEVELS
            for measure, change in (("gini", -0.12), ("top10_share", 0.01), ("effective_classes", 20.0))
        ),
    )
