"""Clips to look at: the first five guesses of some (supplementary Fig. 1), and some of each level of correctness
(supplementary Fig. 6 to 10)."""

from __future__ import annotations

from cityguessr_data.stats.page.blocks import Bar, Card, Gallery, Section
from cityguessr_data.stats.page.words import many, number, percent, plain

from ...classes import Classes
from ...results import FOUND, RANKS, SHOWN_FIRST, Found, Rank, Results, Sample
from ..pictures import Pictures
from ..show import name, with_country

_RANKS: dict[Rank, tuple[str, str]] = {
    "first": ("The true city comes first", "The most probable city is the right one."),
    "top5": (
        "The true city is among the next four",
        "The first guess is wrong; the second to the fifth has the true city.",
    ),
    "missed": ("The true city is not among the first five", "All five guesses are wrong."),
}
_FOUND: dict[Found, tuple[str, str]] = {
    "city": ("City right", "With it state, country and continent are right."),
    "state": ("State right, city wrong", "Taken for another city of the same state."),
    "country": ("Country right, state wrong", "Taken for a city in another state of the same country."),
    "continent": ("Continent right, country wrong", "Taken for a city in another country of the same continent."),
    "nothing": ("Nothing right", "Taken for a city on another continent."),
}
_NONE = "There is no such clip."


def guesses(results: Results, classes: Classes, pictures: Pictures) -> Section:
    """The section of the first five guesses."""
    galleries = tuple(
        Gallery(
            f"{_RANKS[rank][0]}: {_of_all(results, results.by_rank[rank].n)}",
            _RANKS[rank][1] if results.by_rank[rank].n else _NONE,
            tuple(_ranked(results, classes, sample, pictures) for sample in results.by_rank[rank].samples),
        )
        for rank in RANKS
    )
    intro = (
        f"The five most probable cities of some clips, {SHOWN_FIRST}, picked by rule and not by eye. {pictures.note}"
    )
    return Section("guesses", "First five guesses", intro, galleries)


def gallery(results: Results, classes: Classes, pictures: Pictures) -> Section:
    """The section of examples by the finest level that is right."""
    galleries = tuple(
        Gallery(
            f"{_FOUND[found][0]}: {_of_all(results, results.by_found[found].n)}",
            _FOUND[found][1] if results.by_found[found].n else _NONE,
            tuple(_example(results, classes, sample, pictures) for sample in results.by_found[found].samples),
        )
        for found in FOUND
    )
    intro = f"Clips by the finest level that is right, {SHOWN_FIRST}, picked by rule and not by eye. {pictures.note}"
    return Section("examples", "Examples", intro, galleries)


def _of_all(results: Results, n: int) -> str:
    return f"{many(n, 'clip', 'clips')} ({percent(n, results.n_clips)})"


def _ranked(results: Results, classes: Classes, sample: Sample, pictures: Pictures) -> Card:
    true = sample.truth["city"]
    bars = tuple(
        Bar(
            name(results, "city", guess.label, 40),
            min(1.0, max(0.0, guess.probability)),
            percent(guess.probability)
            + ("" if guess.km is None or guess.label == true else f", {number(guess.km, 0)} km"),
            "true" if guess.label == true else "",
        )
        for guess in sample.guesses
    )
    lines = [plain(sample.clip_id, 60)]
    if sample.rank > len(sample.guesses):
        lines.insert(0, f"The true city is guess {sample.rank:,} of {results.n_classes['city']:,}.")
    heading = with_country(classes, true)
    return Card(heading, tuple(lines), pictures.of(sample.clip_id, _words(heading)), bars)


def _example(results: Results, classes: Classes, sample: Sample, pictures: Pictures) -> Card:
    heading, first = with_country(classes, sample.truth["city"]), sample.guesses[0]
    if sample.found == "city":
        said = f"Right, {percent(first.probability)} sure."
    else:
        away = "" if first.km is None else f", {number(first.km, 0)} km away"
        said = f"Taken for {with_country(classes, sample.predicted['city'])}{away}; {percent(first.probability)} sure."
    return Card(heading, (said, plain(sample.clip_id, 60)), pictures.of(sample.clip_id, _words(heading)))


def _words(heading: str) -> str:
    return f"Frames of a clip from {heading}"
