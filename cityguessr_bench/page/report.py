"""The page of an evaluation: which sections it has, what its head says, and its file."""

from __future__ import annotations

from pathlib import Path

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.page.blocks import Section, Words
from cityguessr_data.stats.page.charts.world import LAND, land
from cityguessr_data.stats.page.shell import Page, render
from cityguessr_data.stats.page.words import ONE_OF, UNKNOWN, number, percent, plain, whole

from ..classes import Classes
from ..predictions import Predictions
from ..results import SHOWN_FIRST, FoldResults, Origin, Results
from .charts import reliability, right_map
from .pictures import BUDGET_BYTES, Frames, Pictures
from .sections.accuracy import accuracy_section, shown_prior
from .sections.classes import classes_section, confusion_section
from .sections.confidence import confidence
from .sections.distance import distance
from .sections.examples import gallery, guesses
from .sections.places import places


def write_report(
    results: Results,
    predictions: Predictions,
    classes: Classes,
    frames: Frames | None,
    path: Path,
    *,
    other: Results | None = None,
    folds: FoldResults | None = None,
) -> None:
    """Write the page to `path`, whole or not at all; its folder is made where it is missing.

    Args:
        results: of exactly these predictions and classes.
        frames: blurred frames of a clip by its id, uint8 (T, 3, H, W); None: the page has no pictures, and says so.
        other: with the other of the run's weights (last, best), to stand beside.
        folds: whose pooled results these are; their spread is shown.
    Raises:
        InputError: the frames of a clip are damaged.
        DiskFullError: no space left.
    """
    write_bytes(path, report(results, predictions, classes, frames, other=other, folds=folds).encode())


def report(
    results: Results,
    predictions: Predictions,
    classes: Classes,
    frames: Frames | None,
    budget_bytes: int = BUDGET_BYTES,
    *,
    other: Results | None = None,
    folds: FoldResults | None = None,
) -> str:
    """The whole page as text; the same for the same values.

    Args:
        results, predictions, classes, frames, other, folds: as for `write_report`.
        budget_bytes: of all pictures together, as they stand in the page.
    """
    pictures = Pictures(frames, budget_bytes)
    sections = [
        accuracy_section(results, other, folds),
        places(results, classes),
        distance(results, predictions, classes),
        confidence(results),
        classes_section(results, classes),
        confusion_section(results, classes),
        guesses(results, classes, pictures),
        gallery(results, classes, pictures),
        _reading(results),
    ]
    name = plain(results.origin.name, 100)
    return render(
        Page(
            title=f"{name}: evaluation",
            heading=name,
            kind=_kind(results.origin),
            figures=_figures(results),
            notes=[plain(note, 500) for note in results.notes],
            sections=sections,
            datasets={
                LAND: land(),
                right_map.DATA: right_map.rows(results, classes),
                reliability.DATA: reliability.rows(results),
            },
        )
    )


def _kind(origin: Origin) -> str:
    """What was evaluated, in one line."""
    said = ["Evaluation of predictions"]
    if origin.model:
        said.append(f"of model {plain(origin.model)}")
    if origin.weights:
        said.append(f"with its {origin.weights} weights")
    if origin.part:
        said.append(f"on part {plain(origin.part)}")
    if origin.split:
        said.append(f"of split {plain(origin.split)}")
    return " ".join(said) + "."


def _figures(results: Results) -> list[tuple[str, str, str]]:
    """(what, how many, remark) of the head."""
    scores, priors = results.modes[SHOWN_FIRST], shown_prior(results)
    figures = [
        (f"{ONE_OF[level]} right", percent(scores.levels[level].top1.value), f"prior {percent(priors[level].accuracy)}")
        for level in LEVELS
    ]
    if scores.distances is not None:
        figures.append(("median error", f"{number(scores.distances.median_km, 0)} km", ""))
        figures.append(("GeoScore", number(scores.distances.geoscore.value, 0), "of 5,000"))
    figures.append(("clips", whole(results.n_clips), ""))
    figures.append(("source videos", UNKNOWN if results.n_videos is None else whole(results.n_videos), ""))
    return figures


def _reading(results: Results) -> Section:
    return Section(
        "reading",
        "How to read this",
        "What the words on this page mean.",
        (
            Words(
                "Intervals",
                (
                    "95\u00a0% bootstrap intervals: how far the luck of which clips were tested could have moved a "
                    "figure. Over clips, every clip is drawn by itself; over videos, whole source videos are drawn "
                    "with all their clips. Clips of one video look alike, so the intervals over clips are too narrow.",
                ),
                wide=False,
            ),
            Words(
                "Top 5",
                (
                    "The true class is among the five first guesses. Under none and independent each level ranks by "
                    "its own scores; under codependent and trace a state, country or continent ranks by its best city.",
                ),
                wide=False,
            ),
            Words("Which clips are shown", (results.sample_rule,), wide=False),
            Words(
                "Confidence",
                (
                    "The probability of the predicted class, scaled so that those of a level sum to 1. Under "
                    "codependent and trace a state, country or continent has the sum of its cities.",
                ),
                wide=False,
            ),
        ),
    )
