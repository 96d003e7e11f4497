"""What `cgtool review OUT --sample N --report` prints: recall and precision by face height, at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .console import print_json, stdout
from .summary import plural
from .tables import cut, fact, figures

if TYPE_CHECKING:
    from rich.table import Table

    from cityguessr_data.review.clustered import Share
    from cityguessr_data.review.recall import HeightRow
    from cityguessr_data.review.recall_report import RecallReport

_FACT = 10  # columns of the name of a fact
_LISTED = 5
_FEW_VIDEOS = 5


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
    yield "sample", f"{plural(report.n_frames, 'frame')} of {report.n_eligible:,}, drawn evenly with seed {report.seed}"
    if report.n_frames < report.n_asked:
        yield "all", f"{report.n_asked:,} were asked for; there are no more that can be shown"
    looked = f"{report.n_looked:,} of {report.n_frames:,} frames"
    measured = report.measured
    if measured is None:
        yield "measured", "nothing: nobody has finished a frame yet"
    else:
        by = f", by {', '.join(cut(name) for name in report.reviewers)}" if report.reviewers else ""
        yield "looked at", f"{looked} of {plural(measured.n_videos, 'source video')}{by}; only these count"
        if not measured.n_drawn:
            yield "measured", "no recall: no face was drawn in them"
    if report.n_left:
        seed = f" --seed {report.seed}" if report.seed else ""
        again = f"cgtool review {out} --sample {report.n_asked}{seed}"
        yield "left", f"{plural(report.n_left, 'frame')}: {again} goes on with them"
    if report.n_gone:
        yield "gone", f"{plural(report.n_gone, 'frame')} of clips that were removed or made anew since; not counted"
    for why, n in sorted(report.left_out.items(), key=lambda one: -one[1])[:_LISTED]:
        yield "not drawn", f"{plural(n, 'frame')}: {why}"
    if len(report.left_out) > _LISTED:
        rest = sum(sorted(report.left_out.values())[:-_LISTED])
        yield "not drawn", f"{plural(rest, 'frame')} for other reasons; --json has them"
    if measured is not None and (measured.n_drawn or measured.n_blurred):
        yield from _meaning(report, measured.clusters)


def _meaning(report: RecallReport, clusters: str) -> Iterator[tuple[str, str]]:
    yield "recall", "drawn faces that a blurred box overlaps by half or more (IoU 0.5), as the build blurred them"
    yield "hidden", "drawn faces with three quarters of their pixels under blur, whosever box that was"
    if report.lowest_score is not None:
        yield f"at {report.lowest_score:g}", "what recall would be if every detection that is kept were blurred"
    if clusters == "video":
        yield "(95 %)", "for other videos of the same kind: faces of one video count as found or missed together"
        n_videos = report.measured.all.recall.n_clusters if report.measured else 0
        if 1 < n_videos < _FEW_VIDEOS:
            yield "few", f"faces were drawn in {n_videos} source videos alone, so the intervals are very wide"
    else:
        yield "(95 %)", "for other frames of this one video; of other videos it says nothing"
