"""The answer as a page: a map and bars a video, in the shell of the other pages. It holds no frame of any video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import (
    Bar,
    Card,
    Chart,
    Gallery,
    Part,
    Plot,
    Row,
    Section,
    Select,
    Table,
    Words,
    num,
    text,
)
from cityguessr_data.stats.page.charts.world import LAND, REGIONS, areas, bubbles, land, over_land
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.shell import Page, render
from cityguessr_data.stats.page.words import DASH, LEVEL_NAMES, many, number, percent, place, plain, whole

from ..hierarchy import Mode
from .guesses import AVERAGED, meaning
from .results import Failure, Guess, VideoPrediction

if TYPE_CHECKING:
    import altair as alt

_LONG = 300


def write_page(
    run: Path,
    model: str,
    weights: str,
    mode: Mode,
    videos: Sequence[VideoPrediction],
    failures: Sequence[Failure],
    path: Path,
) -> None:
    """Write the page to `path`, whole or not at all; its folder is made where it is missing.

    Raises:
        DiskFullError: no space left.
    """
    write_bytes(path, page(run, model, weights, mode, videos, failures).encode())


def page(
    run: Path, model: str, weights: str, mode: Mode, videos: Sequence[VideoPrediction], failures: Sequence[Failure]
) -> str:
    """The whole page as text; the same for the same values."""
    name = plain(run.resolve().name, 100)
    sections = [_video(at, video) for at, video in enumerate(videos, 1)]
    if failures:
        sections.append(_failed(failures))
    sections.append(_reading(mode))
    figures = [("videos", whole(len(videos)), ""), ("clips", whole(sum(len(video.clips) for video in videos)), "")]
    if failures:
        figures.append(("not looked at", whole(len(failures)), ""))
    return render(
        Page(
            title=f"{name}: where videos were filmed",
            heading="Where were these filmed?" if len(videos) > 1 else "Where was this filmed?",
            kind=f"Asked of model {plain(model)}, run {name}, its {weights} weights, mode {mode}.",
            figures=figures,
            notes=[
                "The model knows only the cities that it was trained on: a video from elsewhere gets one of them too."
            ],
            sections=sections,
            datasets={LAND: land()},
        )
    )


def _video(at: int, video: VideoPrediction) -> Section:
    cities = [guess for guess in video.levels["city"] if guess.lat is not None and guess.lon is not None]
    best = video.levels["city"][0]
    parts: list[Part] = [_map(at, cities)] if cities else []
    cards = tuple(_card(level, video.levels[level]) for level in LEVELS)
    parts.append(Gallery("The first five of each level", "The bar is the probability.", cards))
    parts.append(_table(video))
    intro = (
        f"{place(best.name)}, {place(best.within[1])}, {percent(best.probability)}. "
        f"{many(len(video.clips), 'clip', 'clips')} of a video of {many(video.n_frames, 'frame', 'frames')} "
        f"({number(video.duration_s, 1)} s at {number(video.fps, 1)} frames/s), "
        f"from {plain(video.source, _LONG)}."
    )
    if video.notes:
        parts.insert(0, Words("Note", tuple(plain(note, _LONG) for note in video.notes)))
    blank = () if cities else ("The map: the run's taxonomy knows no coordinates of these cities.",)
    return Section(f"video{at}", plain(video.title or video.video_id, 80), intro, tuple(parts), blank)


def _card(level: Level, guesses: Sequence[Guess]) -> Card:
    bars = tuple(Bar(place(g.name, 40), min(1.0, max(0.0, g.probability)), percent(g.probability)) for g in guesses)
    return Card(LEVEL_NAMES[level], (), None, bars)


def _map(at: int, cities: Sequence[Guess]) -> Plot:
    regions = tuple((",".join(f"{x:g}" for x in view), name) for name, view in REGIONS.items())
    said = f"World map of {many(len(cities), 'city', 'cities')}, the most probable of them {place(cities[0].name)}."
    rows = tuple(
        Row(
            (
                text(place(city.name)),
                text(place(city.within[1], 40)),
                num(city.probability, percent(city.probability)),
                num(city.lat, number(city.lat, 2)),
                num(city.lon, number(city.lon, 2)),
            )
        )
        for city in cities
    )
    columns = (
        ("City", False),
        ("Country", False),
        ("Probability", True),
        ("Latitude", True),
        ("Longitude", True),
    )
    return Plot(
        "The most probable cities",
        "One bubble a city; its area is its probability.",
        (Chart(f"map{at}", page_spec(_bubbles(cities), said, "container"), "map"),),
        Table("Cities on the map", columns, rows),
        selects=(Select("view", "Show", regions),),
        wide=True,
    )


def _bubbles(cities: Sequence[Guess]) -> alt.LayerChart:
    import altair as alt

    rows: list[dict[str, Any]] = [
        {
            "city": place(city.name),
            "where": place(city.within[1], 40),
            "p": city.probability,
            "lat": city.lat,
            "lon": city.lon,
        }
        for city in cities
    ]
    marks = bubbles(rows).encode(
        longitude="lon:Q",
        latitude="lat:Q",
        size=areas("p", "Probability", None),
        tooltip=[
            alt.Tooltip("city:N", title="City"),
            alt.Tooltip("where:N", title="Country"),
            alt.Tooltip("p:Q", title="Probability", format=".1%"),
        ],
    )
    return over_land(marks)


def _table(video: VideoPrediction) -> Table:
    rows = tuple(
        Row(
            (
                text(level),
                num(rank, str(rank)),
                text(place(guess.name)),
                text(", ".join(place(name, 40) for name in guess.within) or DASH),
                num(guess.probability, percent(guess.probability)),
            )
        )
        for level in LEVELS
        for rank, guess in enumerate(video.levels[level], 1)
    )
    columns = (("Level", False), ("Rank", True), ("Place", False), ("In", False), ("Probability", True))
    return Table("All of it in numbers", columns, rows)


def _failed(failures: Sequence[Failure]) -> Section:
    rows = tuple(
        Row((text(plain(f.source, _LONG)), text(f.error_class), text(plain(f"{f.message}. {f.hint}", _LONG))))
        for f in failures
    )
    table = Table("Not looked at", (("Video", False), ("Class", False), ("Why", False)), rows)
    return Section("failed", "Not looked at", "These gave no answer.", (table,))


def _reading(mode: Mode) -> Section:
    means = meaning(mode)
    levels = tuple(f"{level}: {means[level]}." for level in LEVELS)
    words = (
        Words("Probabilities", (f"Over clips: {AVERAGED}.", *levels)),
        Words(
            "Frames",
            (
                "A video is cut into clips as those of a data set are, and the run's own choice of frames is taken.",
                "No frame is on this page or was written anywhere.",
            ),
        ),
    )
    return Section("reading", "How to read this", "What the numbers on this page are of.", words)
