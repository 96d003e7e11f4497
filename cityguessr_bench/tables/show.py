"""A table with its numbers as sheets: accuracies with the paper's beside them, differences, and a long form for CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cityguessr_data.core.types import LEVELS

from ..hierarchy import MODES, Mode
from ..results import ROUGH_BELOW
from .build import RowResult, TableResult
from .compare import LEAST_VIDEOS, Accuracy, Difference, Metric
from .published import MSLS
from .sheet import Sheet

_NOT = "–"
_STATED = "*"
_LONG = (
    *("table", "row", "name", "parameters", "metric", "mode", "level", "paper", "paper_mode"),
    *("ours", "low", "high", "spread", "difference", "difference_low", "difference_high", "difference_spread"),
    *("within_noise", "seeds", "clips", "videos", "prior", "prior_test", "why_not"),
)


def sheets(result: TableResult) -> tuple[Sheet, ...]:
    """For a person: accuracies in per cent, and differences from the row of reference where there are any."""
    rows: list[tuple[str, ...]] = []
    groups = []
    for row in result.rows:
        groups.append(len(rows))
        rows += _accuracy_rows(row, result)
    columns = ("row", "mode", *LEVELS)
    first = Sheet(_title(result), columns, tuple(rows), tuple(_notes(result)), 2, tuple(groups))
    differing = [row for row in result.rows if row.differences]
    if not differing:
        return (first,)
    rows, groups = [], []
    for row in differing:
        groups.append(len(rows))
        rows += _difference_rows(row, result)
    title = f"Table {result.table.number}: points above {_reference(result)}, paired by clip"
    return (first, Sheet(title, columns, tuple(rows), tuple(_noise_notes(result)), 2, tuple(groups)))


def long_rows(result: TableResult) -> list[dict[str, Any]]:
    """For a program: one row a number, shares of 0 to 1; None where there is nothing to say."""
    found = []
    for row in result.rows:
        for metric in _metrics(result):
            for mode in _modes(row):
                found += [_long_row(result, row, metric, mode, level) for level in LEVELS]
    return found


def long_sheet(result: TableResult) -> Sheet:
    """The same as texts."""
    rows = (tuple("" if row[name] is None else str(row[name]) for name in _LONG) for row in long_rows(result))
    return Sheet(_title(result), _LONG, tuple(rows))


def millions(n: int | None) -> str:
    """A count of parameters: 21.9 M, 4,512."""
    if n is None:
        return "? parameters"
    return f"{n / 1e6:.1f} M" if n >= 100_000 else f"{n:,}"


def percent(accuracy: Accuracy) -> str:
    """`69.6 ±0.3`, and under it the interval."""
    spread = "" if accuracy.spread is None else f" ±{100 * accuracy.spread:.1f}"
    return f"{100 * accuracy.value:.1f}{spread}\n{_interval(accuracy.low, accuracy.high)}"


def _interval(low: float | None, high: float | None) -> str:
    return _NOT if low is None or high is None else f"{_bound(low)}..{_bound(high)}"


def _bound(share: float) -> str:
    """Without a decimal where the whole is at its end: four columns of intervals just fit 80 columns."""
    return f"{100 * share:z.0f}" if abs(share) > 0.9995 else f"{100 * share:z.1f}"


def _points(difference: Difference) -> str:
    mark = " ~" if difference.within_noise else ""
    return f"{100 * difference.value:+z.1f}{mark}\n{_interval(difference.low, difference.high)}"


def _title(result: TableResult) -> str:
    return f"Table {result.table.number}: {result.table.title}, accuracy in %"


def _metrics(result: TableResult) -> tuple[Metric, ...]:
    return tuple(metric for metric in ("top1", "top5") if metric in result.table.metrics)


def _modes(row: RowResult) -> tuple[Mode, ...]:
    return MODES if row.row.mode is None else (row.row.mode,)


def _mode_name(mode: str, metric: Metric, result: TableResult) -> str:
    return f"{mode}\n{metric[:3]}-{metric[3:]}" if len(_metrics(result)) > 1 else mode


def _accuracy_rows(row: RowResult, result: TableResult) -> Iterator[tuple[str, ...]]:
    """The paper's line of each metric, then ours under every mode."""
    head = f"{row.row.name}\n{millions(row.n_parameters)}" if row.accuracies else row.row.name
    for metric in _metrics(result):
        values = {one.level: one for one in row.published if one.metric == metric}
        stated = next(iter(values.values())).mode if values else None
        if values:
            name = _mode_name(f"paper, {stated or 'mode not stated'}", metric, result).replace(", ", "\n")
            yield head, name, *(values[level].value for level in LEVELS)
            head = ""
        if row.why_not:
            yield head, "not run", *[_NOT] * len(LEVELS)
            head = ""
            continue
        for mode in _modes(row):
            mark = _STATED if mode == stated else ""
            cells = [percent(row.accuracies[mode, level, metric]) for level in LEVELS]
            yield head, _mode_name(f"{mode}{mark}", metric, result), *cells
            head = ""


def _difference_rows(row: RowResult, result: TableResult) -> Iterator[tuple[str, ...]]:
    head = row.row.name
    for metric in _metrics(result):
        for mode in _modes(row):
            cells = [_points(row.differences[mode, level, metric]) for level in LEVELS]
            yield head, _mode_name(mode, metric, result), *cells
            head = ""


def _reference(result: TableResult) -> str:
    key = result.table.reference
    return next((row.row.name for row in result.rows if row.row.key == key), "")


def _notes(result: TableResult) -> Iterator[str]:
    counted = "not known" if result.n_videos is None else f"{result.n_videos:,}"
    classes = "/".join(f"{result.n_classes[level]:,}" for level in LEVELS)
    yield (
        f"Ours: {result.data}, split {result.split}; {result.n_clips:,} test clips, source videos {counted}, classes "
        f"{classes} (city/state/country/continent)"
    )
    priors = ", ".join(f"{level} {100 * result.priors[level]:.1f}" for level in LEVELS)
    yield f"Prior, always guessing the most frequent class of train: {priors}"
    higher = [level for level in LEVELS if result.test_priors[level] > result.priors[level]]
    if higher:
        of_test = ", ".join(f"{level} {100 * result.test_priors[level]:.1f}" for level in higher)
        yield f"Guessing the most frequent class of the test clips, which nobody knows, would have: {of_test}"
    if not result.as_published:
        what = "MSLS with 21 cities" if result.table.number == MSLS else "CityGuessr68k's published split"
        yield f"The paper's numbers are of {what}, ours are of other clips: compare the order of rows at most"
    yield "Under each accuracy stands its 95 % interval, by drawing whole source videos" + (
        f" ({result.n_videos} are few, so it is rough)" if result.n_videos and result.n_videos < ROUGH_BELOW else ""
    )
    if result.n_seeds > 1:
        yield f"Ours are means of {result.n_seeds} seeds; ± is the standard deviation over them"
    else:
        yield "One seed: the spread over seeds is not measured"
    if any(one.mode for row in result.rows for one in row.published):
        yield f"{_STATED} the mode of the paper's numbers; how that is known: {_basis(result)}"
    unstated = dict.fromkeys(row.row.name for row in result.rows for one in row.published if one.mode is None)
    if unstated:
        yield f"The paper does not state the mode of: {', '.join(unstated)}{_top5(result)}"
    if result.table.note:
        yield result.table.note
    yield from dict.fromkeys(remark for row in result.rows for remark in row.remarks)
    by_setting: dict[tuple[str, str], list[str]] = {}
    for row in result.rows:
        for asked, own in row.overruled:
            by_setting.setdefault((asked, str(own)), []).append(row.row.name)
    for (asked, own), names in by_setting.items():
        yield f"--set {asked} does not hold for {', '.join(names)}, which are about another value ({own})"
    yield from (f"Not run: {row.row.name}: {row.why_not}".rstrip(".") for row in result.rows if row.why_not)


def _basis(result: TableResult) -> str:
    by_basis: dict[str, dict[str, None]] = {}
    for row in result.rows:
        for one in row.published:
            if one.mode:
                by_basis.setdefault(one.basis, {})[row.row.name] = None
    return "; ".join(f"{', '.join(names)}: {basis}" for basis, names in by_basis.items())


def _top5(result: TableResult) -> str:
    return " (top-5)" if result.table.metrics == ("top1", "top5") else ""


def _noise_notes(result: TableResult) -> Iterator[str]:
    if result.n_videos is not None and result.n_videos < LEAST_VIDEOS:
        yield f"Of fewer than {LEAST_VIDEOS} source videos no difference can be told from noise: all have a ~"
    yield (
        "Under each difference stands its 95 % interval: correctness is averaged over a clip's seeds, subtracted clip "
        "by clip, and whole source videos are drawn"
    )
    if result.n_seeds > 1:
        yield (
            "~ within the noise: the interval holds 0, or the difference is no larger than its spread over seeds, the "
            "root of the sum of both rows' squared standard deviations"
        )
    else:
        yield "~ within the noise: the interval holds 0; with one seed an unmarked one may still be luck of the seed"


def _long_row(result: TableResult, row: RowResult, metric: Metric, mode: Mode, level: Any) -> dict[str, Any]:
    accuracy = row.accuracies.get((mode, level, metric))
    difference = row.differences.get((mode, level, metric))
    paper = next((one for one in row.published if (one.level, one.metric) == (level, metric)), None)
    return {
        "table": result.table.number,
        "row": row.row.key,
        "name": row.row.name,
        "parameters": row.n_parameters,
        "metric": metric,
        "mode": mode,
        "level": level,
        "paper": None if paper is None else round(float(paper.value) / 100, 6),
        "paper_mode": None if paper is None else paper.mode,
        "ours": None if accuracy is None else accuracy.value,
        "low": None if accuracy is None else accuracy.low,
        "high": None if accuracy is None else accuracy.high,
        "spread": None if accuracy is None else accuracy.spread,
        "difference": None if difference is None else difference.value,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "difference_spread": None if difference is None else difference.spread,
        "within_noise": None if difference is None else difference.within_noise,
        "seeds": result.n_seeds,
        "clips": result.n_clips,
        "videos": result.n_videos,
        "prior": result.priors.get(level),
        "prior_test": result.test_priors.get(level),
        "why_not": row.why_not or None,
    }
