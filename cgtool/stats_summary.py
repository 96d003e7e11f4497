"""What `cgtool stats` prints: a short table, a Lorenz curve of block characters, and what to know, at 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cityguessr_data.core.words import n_of

from .console import printing, stdout
from .tables import cut, cut_words, fact, figures, leaks, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cityguessr_data.stats.comparison import Comparison, Difference
    from cityguessr_data.stats.results import Distribution, Interval, LevelStats, Stats

_BLOCKS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 40
_LISTED = 8
_WITH_INTERVALS = 70  # columns: narrower, the tables leave the intervals out
_WITH_ALL = 54  # columns: narrower, only the two measures of the paper are shown
_LABEL = 30  # columns of the longest label of Table 1
_FACT = 13  # columns of the name of a fact
_DATA_SET = 14  # columns of a data set in Table 1, at least


def show_stats(stats: Stats, comparison: Comparison | None = None) -> None:
    """Print the tables of one data set and, where others are compared, those of the comparison."""
    out = stdout()
    with printing():
        if out.is_terminal:
            _print(out, stats, comparison)
            return
        with out.capture() as printed:
            _print(out, stats, comparison)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _print(out: Console, stats: Stats, comparison: Comparison | None) -> None:
    from cityguessr_data.stats.results import ROUGH_BELOW

    out.print(f"[bold]{safe(stats.name)}[/bold]: {_size(stats)}")
    out.print()
    out.print(_levels(stats, out.width))
    city = stats.levels["city"]
    if city is not None and city.n_classes > 1:
        out.print()
        for line in lorenz_lines(city):
            out.print(line, highlight=False)
    out.print()
    for name, value in _facts(stats):
        out.print(fact(name, value, _FACT))
    if comparison is not None:
        out.print()
        step = max(1, (out.width - _LABEL - 2) // (_DATA_SET + 2))
        for start in range(0, len(comparison.names), step):
            out.print(_table1(comparison, start, start + step))
            out.print()
        out.print(_differences(comparison, out.width))
        if any(d.rough for d in _shown(comparison).values()):
            out.print(f"~ fewer than {ROUGH_BELOW} classes on a side: too few for such an interval")
    for note in stats.notes:
        out.print(fact("note", cut_words(note), _FACT))


def lorenz_lines(level: LevelStats) -> tuple[str, str]:
    """Two lines: the Lorenz curve of a level in block characters, and the line of an even spread under it."""
    import numpy as np

    xs, ys = zip(*level.lorenz, strict=True)
    at = (np.arange(_CURVE_WIDTH) + 1) / _CURVE_WIDTH
    return (
        f"Lorenz, {level.level:<7}{_bars(np.interp(at, xs, ys).tolist())}",
        f"if even{'':<8}{_bars(at.tolist())}",
    )


def _bars(values: list[float]) -> str:
    return "".join(_BLOCKS[min(int(v * len(_BLOCKS)), len(_BLOCKS) - 1)] for v in values)


def _levels(stats: Stats, width: int) -> Table:
    table = figures()
    table.add_column("level", no_wrap=True, min_width=len("continent"))
    names = ["classes", "Gini", "Hoover", "effective", "top 10%"][: 5 if width >= _WITH_ALL else 3]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for name, level in stats.levels.items():
        if level is None:
            table.add_row(name, *["–"] * len(names))
            continue
        cells = (
            f"{level.n_classes:,}",
            _interval(level.gini, width),
            _interval(level.hoover, width),
            f"{level.effective_classes.value:,.1f}",
            f"{level.top10_share.value:.0%}",
        )
        table.add_row(name, *cells[: len(names)])
    return table


def _interval(measured: Interval, width: int) -> str:
    if measured.low is None or measured.high is None or width < _WITH_INTERVALS:
        return f"{measured.value:z.2f}"
    return f"{measured.value:z.2f} ({measured.low:z.2f}–{measured.high:z.2f})"


def _size(stats: Stats) -> str:
    size = stats.size
    parts = [n_of(size.n_clips, "clip")]
    if size.n_videos is not None:
        parts.append(n_of(size.n_videos, "source video"))
    if size.n_frames is not None:
        parts.append(n_of(size.n_frames, "frame"))
    if size.hours is not None:
        parts.append(f"{size.hours:,.1f} hours" if size.hours >= 1 else f"{size.hours * 60:.1f} minutes")
    return ", ".join(parts)


def _facts(stats: Stats) -> Iterator[tuple[str, str]]:
    """The lines under the tables: what is worth knowing, and what is blank and why."""
    from cityguessr_data.stats.results import ROUGH_BELOW

    size, city = stats.size, stats.levels["city"]
    if size.cities_of_taxonomy is not None:
        yield "taxonomy", f"{size.cities_of_taxonomy:,} of {n_of(size.taxonomy_cities, 'city', 'cities')}"
    if city is not None:
        spread = city.per_class
        median = f"{spread.median:,.1f}".removesuffix(".0")
        yield "clips/city", f"{spread.low:,.0f} to {spread.high:,.0f}, median {median}, most often {_fullest(spread)}"
    if city is not None and city.few:
        few = n_of(len(city.few), "city", "cities")
        yield "few", f"{few} with fewer than {n_of(stats.few_below, 'clip')}: {_names(city.few)}"
    if any(level is not None and level.rough for level in stats.levels.values()):
        yield "intervals", f"of levels with fewer than {ROUGH_BELOW} classes are too narrow (docs/statistics.md)"
    if (footage := stats.footage) is not None:
        known = ((footage.resolution, "px"), (footage.fps, "frames/s"))
        if parts := [f"{_most(counts)} {unit}" for counts, unit in known if set(counts) - {"unknown"}]:
            yield "frames", ", ".join(parts)
    if (sources := stats.provenance) is not None and sources.one_video_cities:
        one, names = n_of(len(sources.one_video_cities), "city", "cities"), _names(sources.one_video_cities)
        yield "one video", f"{one} that no split by video covers: {names}"
    if (faces := stats.faces) is not None:
        band = f", {faces.n_in_band:,} from 0.05 to {faces.conf:g} not" if faces.n_in_band else ""
        yield "faces", f"{faces.n_blurred:,} blurred{band}"
    if (scenes := stats.scenes) is not None:
        yield "scenes", _scene_mix(scenes.overall)
    if (twins := stats.duplicates) is not None:
        more = f"; too many to compare: {n_of(twins.n_unchecked, 'candidate')}" if twins.n_unchecked else ""
        yield "duplicates", f"{n_of(twins.n_pairs, 'pair')} of near-duplicate clips across source videos{more}"
    for leak in stats.leakage:
        yield "leaks", f"split {cut(leak.split)}: {leaks(leak)}"
    for name, why in stats.blank.items():
        if name in stats.levels or stats.kind == "dataset":
            yield f"no {name}", cut_words(why)


def _scene_mix(shares: tuple[float, ...]) -> str:
    from cityguessr_data.core.places365 import SCENE_CLASSES

    ranked = sorted(zip(shares, SCENE_CLASSES, strict=True), reverse=True)[:3]
    return ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for share, name in ranked)


def _most(counts: object) -> str:
    """The commonest two of a mapping from name to clips, with shares where there are several."""
    items = list(dict(counts).items())  # type: ignore[call-overload]
    total = sum(n for _, n in items)
    if len(items) == 1:
        return str(items[0][0])
    return ", ".join(f"{name} ({n / total:.0%})" for name, n in items[:2]) + (", ..." if len(items) > 2 else "")


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(cut(name) for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _fullest(spread: Distribution) -> str:
    """The whole numbers that the fullest bin holds, of several the first."""
    at = spread.counts.index(max(spread.counts))
    low, high = spread.edges[at], spread.edges[at + 1] - 1
    return f"{low:,.0f}" if high <= low else f"{low:,.0f} to {high:,.0f}"


def _table1(comparison: Comparison, start: int, end: int) -> Table:
    """The data sets `start` to `end`, and the whole labels of the rows."""
    table = figures()
    table.add_column("compared", no_wrap=True, min_width=max(len(name) for name, _ in comparison.rows))
    for name in comparison.names[start:end]:
        table.add_column(safe(name), justify="right", overflow="fold")
    for name, values in comparison.rows:
        table.add_row(name, *values[start:end])
    return table


def _shown(comparison: Comparison) -> dict[tuple[str, str, str], Difference]:
    """The differences in the table, by other data set, level and measure."""
    return {(d.other, d.level, d.measure): d for d in comparison.differences if d.measure in ("gini", "hoover")}


def _differences(comparison: Comparison, width: int) -> Table:
    table = figures()
    table.add_column(f"minus {safe(comparison.names[0])}", overflow="fold")
    table.add_column("level", no_wrap=True, min_width=len("continent"))
    for name in ("Gini", "Hoover"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = _shown(comparison)
    for other in comparison.names[1:]:
        for level in ("city", "state", "country", "continent"):
            gini, hoover = (shown.get((other, level, measure)) for measure in ("gini", "hoover"))
            if gini is not None and hoover is not None:
                table.add_row(safe(other), level, _signed(gini, width), _signed(hoover, width))
    return table


def _signed(difference: Difference, width: int) -> str:
    change, mark = difference.change, "~" if difference.rough else ""
    if change.low is None or change.high is None or width < _WITH_INTERVALS:
        return f"{mark}{change.value:+z.2f}"
    return f"{mark}{change.value:+z.2f} ({change.low:+z.2f} to {change.high:+z.2f})"
