"""What `cgtool review OUT --sample N --report` prints: recall and precision by face height, at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.words import n_of

from .console import print_json, stdout
from .tables import cut, fact, figures

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.review.clustered import Share
    from cityguessr_data.review.recall import HeightRow, Recall
    from cityguessr_data.review.recall_report import RecallReport

_FACT = 10  # columns of the name of a fact
_LISTED = 5
_ASSUMED = (
    "Faces of one {0} may be found or missed together: how much is estimated, as if there were one more {0} with all "
    "its faces missed, or found, whichever is more careful"
)
_FEW_CLUSTERS = 5


def show_recall(out: Path, report: RecallReport, *, as_json: bool) -> None:
    """The figures of a sample, or what is still to do for them."""
    if as_json:
        print_json({"out": str(out), **report.as_json()})
        return
    console = stdout()
    if report.measured is not None:
        console.print(_table(report))
        console.print()
    for name, value in _facts(out, report):
        console.print(fact(name, value, _FACT))


def _table(report: RecallReport) -> Table:
    lowest = "lowest" if report.lowest_score is None else f"at {report.lowest_score:g}"
    table = figures()
    table.add_column("face px", no_wrap=True)
    for name in ("drawn", "recall %", "hidden %", lowest, "ours", "precision %"):
        table.add_column(name, justify="right", no_wrap=True)
    assert report.measured is not None
    for row in (report.measured.all, *report.measured.by_height):
        table.add_row(*_cells(row))
    return table


def _cells(row: HeightRow) -> tuple[str, ...]:
    reach = "–" if row.within_reach.value is None else _percent(row.within_reach.value)
    return (
        row.name,
        f"{row.recall.n:,}",
        _with_interval(row.recall),
        _with_interval(row.hidden),
        reach,
        f"{row.precision.n:,}",
        _with_interval(row.precision),
    )


def _with_interval(share: Share) -> str:
    if share.value is None:
        return "–"
    if share.low is None or share.high is None:
        return f"{_percent(share.value)} (–)"
    return f"{_percent(share.value)} ({100 * share.low:.0f}–{100 * share.high:.0f})"


def _percent(share: float) -> str:
    """One decimal; 100.0 only where it is all of them."""
    text = f"{100 * share:.1f}"
    return "99.9" if text == "100.0" and share < 1 else text


def _facts(out: Path, report: RecallReport) -> Iterator[tuple[str, str]]:
    most = "" if report.all_known else "at most "
    drawn = f"drawn evenly with seed {report.seed}"
    yield "sample", f"{n_of(report.n_frames, 'frame')} of {most}{report.n_eligible:,} that can be shown, {drawn}"
    if report.n_frames < report.n_asked:
        yield "all", f"{report.n_asked:,} were asked for; there are no more that can be shown"
    looked = f"{report.n_looked:,} of {report.n_frames:,} frames"
    measured = report.measured
    if measured is None:
        yield "measured", "nothing: nobody has finished a frame yet"
    else:
        by = f", by {', '.join(cut(name) for name in report.reviewers)}" if report.reviewers else ""
        yield "looked at", f"{looked} of {_sources(measured)}{by}; only these count"
        if not measured.n_drawn:
            yield "measured", "no recall: no face was drawn in them"
    if report.n_left:
        seed = f" --seed {report.seed}" if report.seed else ""
        again = f"cgtool review {out} --sample {report.n_asked}{seed}"
        yield "left", f"{n_of(report.n_left, 'frame')}: {again} goes on with them"
    if report.n_gone:
        yield "gone", f"{n_of(report.n_gone, 'frame')} of clips that were removed or made anew since; not counted"
    least = "" if report.all_known else "at least "
    for why, n in sorted(report.left_out.items(), key=lambda one: -one[1])[:_LISTED]:
        yield "not drawn", f"{least}{n_of(n, 'frame')}: {why}"
    if len(report.left_out) > _LISTED:
        rest = sum(sorted(report.left_out.values())[:-_LISTED])
        yield "not drawn", f"{least}{n_of(rest, 'frame')} for other reasons; --json has them"
    if measured is not None and (measured.n_drawn or measured.n_blurred):
        yield from _meaning(report, measured)


def _sources(measured: Recall) -> str:
    if measured.n_videos is not None:
        return n_of(measured.n_videos, "source video")
    unknown = f"{n_of(measured.n_unknown, 'frame')} from unknown source videos"
    return f"{measured.n_cities:,} {'city' if measured.n_cities == 1 else 'cities'} ({unknown})"


def _meaning(report: RecallReport, measured: Recall) -> Iterator[tuple[str, str]]:
    yield "recall", "drawn faces that a blurred box overlaps by half or more (IoU 0.5), as the build blurred them"
    yield "hidden", "drawn faces with three quarters of their pixels in blurred boxes, whosever these are"
    if report.lowest_score is not None:
        yield f"at {report.lowest_score:g}", "what recall would be if every detection that is kept were blurred"
    yield from _intervals(measured)


def _intervals(measured: Recall) -> Iterator[tuple[str, str]]:
    if measured.clusters == "none":
        yield "(–)", "no intervals: the source videos are not known, nor so which faces are found or missed together"
        return
    if measured.clusters == "frame":
        assumed = _ASSUMED.format("frame")
        yield "(95 %)", f"for other frames of this one video; of other videos it says nothing. {assumed}"
        return
    many, one = ("videos", "video") if measured.clusters == "video" else ("cities", "city")
    why = "" if one == "video" else ", for some source videos are not known and a city has them whole"
    yield "(95 %)", f"for other {many} of the same kind{why}. {_ASSUMED.format(one)}"
    n_met = measured.all.recall.n_clusters
    if n_met < _FEW_CLUSTERS:
        what = f"faces were drawn in {n_met} {one if n_met == 1 else many} alone"
        yield "few", f"{what}, so there are no intervals" if n_met < 2 else f"{what}, so the intervals are very wide"
