"""What `cgtool stats` prints: a short table, a Lorenz curve of block characters, and what to know, at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .console import plain, stdout
from .summary import plural

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.stats.results import Comparison, Interval, Leakage, LevelStats, Stats

_BLOCKS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 40
_LISTED = 8


def show_stats(stats: Stats, comparison: Comparison | None = None) -> None:
    """Print the tables of one data set and, where others are compared, those of the comparison."""
    out = stdout()
    out.print(f"[bold]{_safe(stats.name)}[/bold]: {_size(stats)}")
    out.print()
    out.print(_levels(stats))
    city = stats.levels["city"]
    if city is not None and city.n_classes > 1:
        out.print()
        for line in lorenz_lines(city):
            out.print(line, highlight=False)
    out.print()
    for name, value in _facts(stats):
        out.print(_row(name, value))
    if comparison is not None:
        out.print()
        out.print(_table1(comparison))
        out.print()
        out.print(_differences(comparison))
    for note in stats.notes:
        out.print(_row("note", note))


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


def _levels(stats: Stats) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("level")
    for name in ("classes", "Gini", "Hoover", "effective", "top 10%"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, level in stats.levels.items():
        if level is None:
            table.add_row(name, *["–"] * 5)
            continue
        table.add_row(
            name,
            f"{level.n_classes:,}",
            _interval(level.gini),
            _interval(level.hoover),
            f"{level.effective_classes.value:,.1f}",
            f"{level.top10_share.value:.0%}",
        )
    return table


def _interval(measured: Interval) -> str:
    if measured.low is None or measured.high is None:
        return f"{measured.value:.2f}"
    return f"{measured.value:.2f} ({measured.low:.2f}–{measured.high:.2f})"


def _size(stats: Stats) -> str:
    size = stats.size
    parts = [f"{size.n_clips:,} clips"]
    if size.n_videos is not None:
        parts.append(f"{size.n_videos:,} source videos")
    if size.n_frames is not None:
        parts.append(f"{size.n_frames:,} frames")
    if size.hours is not None:
        parts.append(f"{size.hours:,.1f} hours" if size.hours >= 1 else f"{size.hours * 60:.1f} minutes")
    return ", ".join(parts)


def _facts(stats: Stats) -> Iterator[tuple[str, str]]:
    """The lines under the tables: what is worth knowing, and what is blank and why."""
    from cityguessr_data.stats.results import ROUGH_BELOW

    size, city = stats.size, stats.levels["city"]
    yield "taxonomy", f"{size.cities_of_taxonomy} of {size.taxonomy_cities} cities"
    if city is not None:
        spread = city.per_class
        yield "clips/city", f"{spread.low:,.0f} to {spread.high:,.0f}, median {spread.median:,g}, mode {spread.mode:,g}"
    if city is not None and city.few:
        yield "few", f"{len(city.few)} cities with fewer than {stats.few_below} clips: {_names(city.few)}"
    if any(level is not None and level.rough for level in stats.levels.values()):
        yield "intervals", f"of levels with fewer than {ROUGH_BELOW} classes are too narrow (docs/statistics.md)"
    if (footage := stats.footage) is not None:
        yield "frames", f"{_most(footage.resolution)} px, {_most(footage.fps)} frames/s"
    if (sources := stats.provenance) is not None and sources.one_video_cities:
        n, names = len(sources.one_video_cities), _names(sources.one_video_cities)
        yield "one video", f"{plural(n, 'city').replace('citys', 'cities')} that no split by video covers: {names}"
    if (faces := stats.faces) is not None:
        band = f", {faces.n_in_band:,} from 0.05 to {faces.conf:g} not" if faces.n_in_band else ""
        yield "faces", f"{faces.n_blurred:,} blurred{band}"
    if (scenes := stats.scenes) is not None:
        yield "scenes", _scene_mix(scenes.overall)
    if (twins := stats.duplicates) is not None:
        more = f"; {twins.n_unchecked:,} candidates were too many to compare" if twins.n_unchecked else ""
        yield "duplicates", f"{plural(twins.n_pairs, 'pair')} of near-duplicate clips across source videos{more}"
    for leak in stats.leakage:
        yield "leaks", f"split {leak.split}: of {leak.n_test:,} test clips, {_leaks(leak)}"
    for name, why in stats.blank.items():
        if name in stats.levels or stats.kind == "dataset":
            yield f"no {name}", why


def _leaks(leak: Leakage) -> str:
    """What train has of the test clips; None where the data cannot tell."""
    counts = {
        "their source video": leak.n_same_video,
        "their channel": leak.n_same_channel,
        "the clip next to them": leak.n_adjacent,
        "a near-duplicate": leak.n_duplicate,
    }
    shares = [f"{n / leak.n_test:.1%} have {what}" for what, n in counts.items() if n is not None]
    return f"{', '.join(shares)} in train" if shares else "none has a known source"


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
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _table1(comparison: Comparison) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("compared")
    for name in comparison.names:
        table.add_column(_safe(name), justify="right")
    for name, values in comparison.rows:
        table.add_row(name, *values)
    return table


def _differences(comparison: Comparison) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(f"minus {_safe(comparison.names[0])}")
    for name in ("level", "Gini", "Hoover"):
        table.add_column(name, justify="left" if name == "level" else "right")
    keyed = {(d.other, d.level, d.measure): d.change for d in comparison.differences}
    for other in comparison.names[1:]:
        for level in ("city", "state", "country", "continent"):
            gini, hoover = (keyed.get((other, level, measure)) for measure in ("gini", "hoover"))
            if gini is not None and hoover is not None:
                table.add_row(_safe(other), level, _signed(gini), _signed(hoover))
    return table


def _signed(change: Interval) -> str:
    if change.low is None or change.high is None:
        return f"{change.value:+.2f}"
    return f"{change.value:+.2f} ({change.low:+.2f} to {change.high:+.2f})"


def _row(name: str, value: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=13)
    table.add_column()
    table.add_row(Text(name, style="bold"), Text(plain(value), overflow="fold"))
    return table


def _safe(text: str) -> str:
    """Outside text for rich: no control characters, no markup."""
    from rich.markup import escape

    return escape(plain(text))
