"""How often a model is right: the mode of the paper beside the prior, then every mode and level with its intervals."""

from __future__ import annotations

from collections.abc import Mapping

from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.stats.page.blocks import Cell, Chart, Plot, Row, Section, Table, num, text
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.words import LEVEL_NAMES, ONE_OF, many, number, percent

from ...metrics import Prior
from ...results import ROUGH_BELOW, SHOWN_FIRST, FoldResults, Results, Spread
from ..charts.accuracy import KEYS, accuracy
from ..charts.accuracy import Row as Dot
from ..show import MODE_WORDS, bounds, drawn, honest, modes_first, name, over_clips, over_videos, share, share_cells


def accuracy_section(results: Results, other: Results | None, folds: FoldResults | None) -> Section:
    """The section.

    Args:
        other: with the other of the run's weights; None: there is none to compare.
        folds: whose pooled results these are; None: these are of one run.
    """
    beside = ([_weights(results, other)] if other else []) + ([_spread(folds)] if folds else [])
    return Section(
        "accuracy",
        "Accuracy",
        f"How many of {many(results.n_clips, 'clip', 'clips')} the model placed right. In brackets: 95\u00a0% "
        f"bootstrap intervals over {drawn(results)}.",
        (_headline(results), _conflicts(results), _table(results), *beside),
    )


def shown_prior(results: Results) -> Mapping[Level, Prior]:
    """By level the prior of the training clips, of the evaluated ones where those are not known."""
    return results.train_priors or results.priors


def _headline(results: Results) -> Plot:
    scores, priors = results.modes[SHOWN_FIRST].levels, shown_prior(results)
    dots = [Dot(LEVEL_NAMES[level], honest(scores[level].top1), priors[level].accuracy) for level in LEVELS]
    said = "; ".join(
        f"{ONE_OF[level]} {share(honest(scores[level].top1))}, prior {percent(priors[level].accuracy)}"
        for level in LEVELS
    )
    guesses = "; ".join(f"{ONE_OF[level]} {name(results, level, priors[level].label, 40)}" for level in LEVELS)
    rows = tuple(
        Row(
            (
                text(LEVEL_NAMES[level]),
                num(scores[level].top1.value, percent(scores[level].top1.value)),
                num(honest(scores[level].top1).low, bounds(honest(scores[level].top1))),
                num(priors[level].accuracy, percent(priors[level].accuracy)),
                text(name(results, level, priors[level].label, 40)),
            )
        )
        for level in LEVELS
    )
    columns = (("Level", False), ("Right", True), ("95\u00a0% interval", True), ("Prior", True), ("Of guessing", False))
    counted = "training" if results.train_priors else "evaluated"
    return Plot(
        f"Accuracy by level, {SHOWN_FIRST}",
        "The dot is the share of clips placed right, the line its 95\u00a0% interval; the orange mark is what always "
        "guessing the most frequent class would score.",
        (Chart("accuracy", page_spec(accuracy(dots), f"Accuracy by level. {said}.", 64 * len(LEVELS))),),
        Table("Accuracy by level", columns, rows),
        facts=f"Most frequent of the {counted} clips: {guesses}.",
        legend=KEYS,
    )


def _table(results: Results) -> Table:
    rows = []
    for mode in modes_first():
        for level in LEVELS:
            scores = results.modes[mode].levels[level]
            style = "strong" if mode == SHOWN_FIRST else ""
            rows.append(
                Row(
                    (
                        text(mode, "strong" if style else ""),
                        text(LEVEL_NAMES[level]),
                        *share_cells(scores.top1),
                        *share_cells(scores.top5),
                        num(scores.macro, percent(scores.macro)),
                        num(results.priors[level].accuracy, percent(results.priors[level].accuracy), "quiet"),
                    )
                )
            )
    columns = (
        ("Mode", False),
        ("Level", False),
        ("Top-1", True),
        ("over videos", True),
        ("over clips", True),
        ("Top-5", True),
        ("over videos", True),
        ("over clips", True),
        ("Macro", True),
        ("Prior", True),
    )
    note = (
        "Intervals in per cent. Over videos is the honest one: clips of one video show the same streets, and are right "
        "or wrong together. Macro: the mean over classes of the share found. Prior: the most frequent class of the "
        "evaluated clips."
    )
    if results.n_video_unknown:
        note += f" The source video of {many(results.n_video_unknown, 'clip', 'clips')} is not known."
    if results.rough:
        note += (
            f" With {many(results.n_videos or 0, 'source video', 'source videos')}, fewer than {ROUGH_BELOW}, the "
            "intervals over videos are rough."
        )
    small = [LEVEL_NAMES[level].lower() for level in LEVELS if results.n_classes[level] <= 5]
    if small:
        note += f" Of five classes or fewer ({', '.join(small)}) the top 5 are all there are."
    return Table("Every mode and level", columns, tuple(rows), note)


def _conflicts(results: Results) -> Table:
    rows = []
    for mode in modes_first():
        conflicts = results.modes[mode].conflicts
        found = over_videos(conflicts) if conflicts.low_videos is not None else over_clips(conflicts)
        cells = (
            text(mode, "strong" if mode == SHOWN_FIRST else ""),
            num(conflicts.value, share(found) if conflicts.value else percent(0)),
            text(MODE_WORDS[mode], "quiet"),
        )
        rows.append(Row(cells))
    columns = (("Mode", False), ("Conflicts", True), ("How the four levels are decided", False))
    return Table(
        "Modes, and how often their levels contradict each other",
        columns,
        tuple(rows),
        "A conflict: four predictions that cannot all be true, such as Paris in Japan.",
        wide=False,
    )


def _weights(results: Results, other: Results) -> Table:
    """The weights of the last epoch and the best ones beside each other."""
    both = [one.modes[SHOWN_FIRST].levels for one in (results, other)]
    rows = [
        Row(
            (
                text(LEVEL_NAMES[level]),
                *(num(scores[level].top1.value, share(honest(scores[level].top1))) for scores in both),
            )
        )
        for level in LEVELS
    ]
    columns = (("Level", False), *((one.origin.weights or "other", True) for one in (results, other)))
    return Table(f"With the other weights of the run, {SHOWN_FIRST}", columns, tuple(rows), wide=False)


def _spread(folds: FoldResults) -> Table:
    """Mean and standard deviation over folds; the rest of the page is of all folds together."""
    rows = []
    for mode in modes_first():
        for level in LEVELS:
            found = folds.spread[mode][level]
            cells = (text(mode), text(LEVEL_NAMES[level]), *map(_spread_cell, (found.top1, found.top5, found.macro)))
            rows.append(Row(cells))
    columns = (("Mode", False), ("Level", False), ("Top-1", True), ("Top-5", True), ("Macro", True))
    note = (
        "Mean and standard deviation. The rest of this page is of all folds together, every clip scored by the model "
        "that had not seen it. The folds share training clips: the deviation is no standard error."
    )
    return Table(f"Spread over {many(len(folds.folds), 'fold', 'folds')}", columns, tuple(rows), note, wide=False)


def _spread_cell(spread: Spread) -> Cell:
    return num(spread.mean, f"{percent(spread.mean)} ± {number(100 * spread.sd, 1)}")
