"""What `cgtool bench evaluate` prints: accuracies by mode and level with intervals, distances, notes; 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cityguessr_data.core.words import n_of

from .console import plain, printing, stdout
from .tables import cut, cut_words, fact, figures, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cityguessr_bench.results import Estimate, FoldResults, LevelScores, LevelSpread, Results

_WITH_INTERVALS = 76  # columns: narrower, the tables leave the intervals out
_WITH_SHARES = 79  # columns: narrower, the table of distances leaves the shares out
_MODE = 11  # columns of the longest name of a mode
_FACT = 9  # columns of the name of a fact
_CELL = 14  # columns of an accuracy with its interval
_WITHIN_KM = (25, 200, 750, 2500)  # 1 km is city accuracy, for all places are city centres
_MANY = {"city": "cities", "state": "states", "country": "countries", "continent": "continents"}


def show_results(
    results: Results, other: Results | None = None, folds: FoldResults | None = None, written: Sequence[str] = ()
) -> None:
    """Print an evaluation.

    Args:
        other: of the same clips with other weights of the run.
        folds: whose pooled predictions `results` is of.
        written: names of the files that hold all of it.
    """
    out = stdout()
    with printing():
        if out.is_terminal:
            _print(out, results, other, folds, written)
            return
        with out.capture() as printed:
            _print(out, results, other, folds, written)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _print(
    out: Console, results: Results, other: Results | None, folds: FoldResults | None, written: Sequence[str]
) -> None:
    from rich.text import Text

    wide = out.width >= _WITH_INTERVALS
    out.print(Text.assemble((cut(results.origin.name), "bold"), f": {_size(results)}"), soft_wrap=False)
    out.print()
    out.print(_accuracies(results, wide, "top-1 %", lambda scores: scores.top1, with_priors=True))
    out.print()
    out.print(_accuracies(results, wide, "top-5 %", lambda scores: scores.top5))
    out.print()
    out.print(_single(results, wide))
    out.print()
    out.print(_of_modes(results, out.width >= _WITH_SHARES))
    if other is not None:
        out.print()
        out.print(_weights(results, other, wide))
    if folds is not None:
        out.print()
        out.print(_spread(folds, wide))
    out.print()
    for name, value in _facts(results):
        out.print(fact(name, value, _FACT))
    for note in results.notes:
        out.print(fact("note", cut_words(note), _FACT))
    if written:
        out.print(fact("written", ", ".join(plain(name) for name in written), _FACT))


def _size(results: Results) -> str:
    from cityguessr_data.core.types import LEVELS

    origin = results.origin
    parts = [n_of(results.n_clips, "clip")]
    if results.n_videos is not None:
        parts[0] += f" of {n_of(results.n_videos, 'source video')}"
    parts += [n_of(results.n_classes[level], level, _MANY[level]) for level in LEVELS]
    if origin.part is not None:
        by = f" of the split {cut(origin.split)}" if origin.split else ""
        parts.append(f"the part {origin.part}{by}")
    if origin.weights is not None:
        last = "its last weights"
        parts.append(last if origin.weights == "last" else f"the weights best on the part {origin.watched}")
    return ", ".join(parts)


def _accuracies(
    results: Results,
    wide: bool,
    title: str,
    figure: Callable[[LevelScores], Estimate],
    *,
    with_priors: bool = False,
) -> Table:
    from cityguessr_data.core.types import LEVELS

    table = _by_level(title, wide)
    for mode, scores in results.modes.items():
        table.add_row(mode, *(_estimate(figure(scores.levels[level]), wide) for level in LEVELS))
    if with_priors:
        table.add_row("prior", *(_percent(results.priors[level].accuracy) for level in LEVELS))
        if results.train_priors is not None:
            table.add_row("train prior", *(_percent(results.train_priors[level].accuracy) for level in LEVELS))
    return table


def _single(results: Results, wide: bool) -> Table:
    """Macro accuracy and calibration: one figure a cell."""
    from cityguessr_bench.results import SHOWN_FIRST
    from cityguessr_data.core.types import LEVELS

    table = _by_level(SHOWN_FIRST, wide)
    levels = results.modes[SHOWN_FIRST].levels
    table.add_row("macro %", *(_percent(levels[level].macro) for level in LEVELS))
    sure = [levels[level].calibration for level in LEVELS]
    table.add_row("confident %", *(_percent(one.confidence) for one in sure))
    table.add_row("ECE %", *(_percent(one.ece) for one in sure))
    return table


def _of_modes(results: Results, with_shares: bool) -> Table:
    """Distances and conflicts: a row a mode."""
    table = figures()
    table.add_column("km off, %", no_wrap=True, min_width=_MODE)
    limits = _WITHIN_KM if with_shares else ()
    for name in ("mean", "median", *(f"{km} km" for km in limits), "GeoScore", "conflict"):
        table.add_column(name, justify="right", no_wrap=True)
    for mode, scores in results.modes.items():
        far, conflict = scores.distances, _percent(scores.conflicts.value)
        if far is None:
            table.add_row(mode, *["–"] * (3 + len(limits)), conflict)
            continue
        within = [_percent(far.within[km].value) for km in limits]
        km = [f"{far.mean_km.value:,.0f}", f"{far.median_km:,.0f}"]
        table.add_row(mode, *km, *within, f"{far.geoscore.value:,.0f}", conflict)
    return table


def _weights(results: Results, other: Results, wide: bool) -> Table:
    """Both weights of a run whose best was chosen on what is evaluated."""
    from cityguessr_bench.results import SHOWN_FIRST
    from cityguessr_data.core.types import LEVELS

    table = _by_level("weights", wide)
    both = sorted((results, other), key=lambda r: str(r.origin.weights), reverse=True)  # last, best
    for one in both:
        levels = one.modes[SHOWN_FIRST].levels
        table.add_row(str(one.origin.weights), *(_estimate(levels[level].top1, wide) for level in LEVELS))
    return table


def _spread(folds: FoldResults, wide: bool) -> Table:
    from cityguessr_bench.results import SHOWN_FIRST
    from cityguessr_data.core.types import LEVELS

    table = _by_level(f"{len(folds.folds)} folds", wide)
    rows: dict[str, Callable[[LevelSpread], tuple[float, float]]] = {
        "top-1 %": lambda one: (one.top1.mean, one.top1.sd),
        "top-5 %": lambda one: (one.top5.mean, one.top5.sd),
        "macro %": lambda one: (one.macro.mean, one.macro.sd),
    }
    for name, of in rows.items():
        pairs = [of(folds.spread[SHOWN_FIRST][level]) for level in LEVELS]
        table.add_row(name, *(f"{_percent(mean)} ± {_percent(sd)}" for mean, sd in pairs))
    return table


def _facts(results: Results) -> Iterator[tuple[str, str]]:
    from cityguessr_bench.results import SHOWN_FIRST

    honest = "over source videos" if results.n_videos is not None else "over clips"
    yield "intervals", f"95 %, {honest}; of the luck of the tested clips alone, not of another seed of training"
    far = results.modes[SHOWN_FIRST].distances
    if far is not None and far.n < results.n_clips:
        yield "km off", f"of {n_of(far.n, 'clip')} whose true and predicted city have coordinates"


def _by_level(title: str, wide: bool) -> Table:
    from cityguessr_data.core.types import LEVELS

    table = figures()
    table.add_column(safe(title), no_wrap=True, min_width=_MODE)
    for level in LEVELS:
        table.add_column(level, no_wrap=True, min_width=_CELL if wide else None)
    return table


def _estimate(estimate: Estimate, wide: bool) -> Text:
    """In per cent, with the interval over videos; over clips where the videos are not known."""
    from rich.text import Text

    low, high = estimate.low_videos, estimate.high_videos
    if low is None or high is None:
        low, high = estimate.low_clips, estimate.high_clips
    if low is None or high is None or not wide:
        return Text(_percent(estimate.value))
    return Text.assemble(f"{_percent(estimate.value):<4} ", (f"{_percent(low)}–{_percent(high)}", "dim"))


def _percent(share: float) -> str:
    return "100" if share > 0.9995 else f"{100 * share:.1f}"
