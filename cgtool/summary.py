"""What commands print when they are done: short tables for a person at 80 columns, or one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from .console import plain, print_json, say, stdout

if TYPE_CHECKING:
    from cityguessr_data.build_config import BuildConfig
    from cityguessr_data.estimate import Estimate
    from cityguessr_data.pipeline import BuildResult
    from cityguessr_data.publish.rebuilt import Rebuilt
    from cityguessr_data.run.compute import Failed
    from cityguessr_data.run.ledger import LastFailure
    from cityguessr_data.status import Status

_LISTED = 10


def span(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def show_build(result: BuildResult, config: BuildConfig, *, as_json: bool, say_scenes_off: bool = True) -> None:
    """The end of a build: what is there now, what this run did, what is left, and the command that goes on.

    Args:
        say_scenes_off: False where the caller tells why the scene columns are null.
    """
    from cityguessr_data.status import read_status

    report, status = result.report, read_status(config.out)
    rate = report.counts.frames / report.seconds if report.seconds else 0.0
    if as_json:
        print_json(
            {
                "out": str(config.out),
                "exit_code": result.exit_code,
                "stopped": str(result.stopped) if result.stopped else None,
                "interrupted": result.interrupted,
                "dataset": _status_json(status),
                "run": {
                    "done": report.done,
                    "dropped": dict(report.dropped),
                    "failed": [_failure_json(f) for f in report.failed],
                    "postponed": [asdict(p) for p in report.postponed],
                    "already_done": len(result.todo.done),
                    **asdict(report.counts),
                    "tail_frames_left_out": report.tail_frames,
                    "clips_lost": report.lost_clips,
                    "seconds": report.seconds,
                    "frames_per_second": rate,
                    "stage_busy_seconds": dict(report.stage_seconds),
                },
                "rebuilt": asdict(result.rebuilt) if result.rebuilt else None,
            }
        )
    else:
        rows = _status_rows(status)
        if result.todo.missing:
            rows += [
                (
                    "this run",
                    f"{n_of(report.done, 'video')}, {n_of(report.counts.clips, 'clip')}, "
                    f"{n_of(report.counts.frames, 'frame')} in {span(report.seconds)}: {rate:.1f} frames/s",
                ),
                (
                    "left out",
                    f"{n_of(report.tail_frames, 'tail frame')}, {n_of(report.lost_clips, 'clip')} where decoding broke",
                ),
                ("busy", ", ".join(f"{stage} {span(s)}" for stage, s in report.stage_seconds.items() if s >= 0.05)),
            ]
        elif not (result.stopped or result.interrupted or report.failed):
            rows.append(("this run", "nothing to do"))
        if config.scenes.model == "off" and say_scenes_off:
            rows.append(("scenes", "off: the scene columns are null"))
        if result.rebuilt:
            named = n_of(result.rebuilt.n_named, "clip")
            rows.append(("rebuilt", f"{result.rebuilt.n_same:,} of {named} that the table names are as it says"))
        rows.append(("look at", f"{config.out}/preview.html" if status.clips else "no clip yet"))
        _print_rows(rows)
        _list_failures(report.failed, result.todo.retryable)
        _list_changes(result.rebuilt)
    if result.stopped:
        say(f"stopped: {plain(str(result.stopped))}")
    if report.postponed:
        untried = n_of(len(report.postponed), "video")
        say(f"stopped early: {untried} not tried. {plain(report.postponed[0].message)}")
    if result.interrupted:
        say("interrupted: what is done is kept; the same command goes on from here")
    elif result.exit_code == 1:
        say("failures are left that may go away: run the same command with --retry-failed")


def show_status(status: Status, *, as_json: bool) -> None:
    """`cgtool status`."""
    if as_json:
        print_json(_status_json(status))
        return
    _print_rows(_status_rows(status))
    _list_failures((), (*status.retryable, *status.gone))


def show_estimate(estimate: Estimate, config: BuildConfig, *, as_json: bool) -> None:
    """`--dry-run`."""
    if as_json:
        print_json(asdict(estimate))
        return
    e = estimate
    _print_rows(
        [
            (
                "table",
                f"{n_of(e.rows, 'row')}, {n_of(e.videos, 'video')}, no fault; {e.committed} of them are done",
            ),
            ("requests", f"{e.requests}: {n_of(e.downloads, 'download')}, {n_of(e.lookups, 'link')} to look up"),
            ("hours", f"{e.hours_at_rate:.1f} at {config.download.rate_per_hour:g} an hour (estimate)"),
            ("download", f"{size(e.download_bytes)} (estimate: 15 minutes of 720p a video)"),
            ("clips", f"{e.clips} with {n_of(e.frames, 'frame')}, {size(e.saved_bytes)} (estimate)"),
            (
                "detector",
                f"{e.detector_hours:.1f} hours of {config.anonymise.detector.name} on two CPU cores at 720p (estimate)",
            ),
        ]
    )
    say("dry run: nothing was downloaded or written")


def _status_rows(s: Status) -> list[tuple[str, str]]:
    dropped = f", {sum(s.dropped.values())} dropped ({_counted(s.dropped)})" if s.dropped else ""
    removed = f", {s.removed} removed" if s.removed else ""
    gone = f", {len(s.gone)} gone ({_by_class(s.gone)})" if s.gone else ""
    failed = f", {len(s.retryable)} failed ({_by_class(s.retryable)})" if s.retryable else ""
    pending = f", {s.pending} pending" if s.pending else ""
    outdated = f"; of {s.outdated} of these an older result is kept" if s.outdated else ""
    rows = [
        ("videos", f"{s.done} done of {s.asked}{dropped}{removed}{gone}{failed}{pending}{outdated}"),
        ("clips", f"{s.clips}"),
        ("frames", f"{s.frames} saved, {n_of(s.faces_blurred, 'face')} blurred"),
    ]
    if s.review:
        waits = f"; decisions wait for `cgtool review {s.out} --apply`" if s.review.unapplied else ""
        rows.append(("review", f"{s.review.n_finished:,} of {n_of(s.review.n_clips, 'clip')} finished{waits}"))
    if s.clips_as_imported:
        rows.append(("unblurred", f"{n_of(s.clips_as_imported, 'clip')} as imported; `cgtool anonymise {s.out}`"))
    if s.removal_unfinished:
        rows.append(("removal", "not finished: the same `cgtool remove`, a build or an import goes on"))
    for export in s.outdated_exports:
        rows.append(("export", f"{export.format} in {export.dest} holds clips that were removed since: make it again"))
    if s.extra:
        rows.insert(1, ("besides", f"{n_of(s.extra, 'video')} that the last table did not name"))
    if s.cache is not None and s.cache_bytes:
        rows.append(("cache", f"{size(s.cache_bytes)} of unblurred sources; `cgtool cache drop {s.out}` removes them"))
    return rows


def _status_json(s: Status) -> dict[str, Any]:
    failures = {name: [_failure_json(f) for f in getattr(s, name)] for name in ("gone", "retryable")}
    return {
        **{k: v for k, v in vars(s).items() if k not in failures},
        **failures,
        "out": str(s.out),
        "cache": str(s.cache) if s.cache else None,
        "review": asdict(s.review) if s.review else None,
        "outdated_exports": [asdict(one) | {"clips": len(one.clips)} for one in s.outdated_exports],
    }


def _failure_json(f: Failed | LastFailure) -> dict[str, str]:
    return {"video_id": f.video_id, "error_class": str(f.error_class), "message": f.message}


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    stdout().print(table)


def _list_failures(failed: Sequence[Failed], earlier: Sequence[LastFailure]) -> None:
    new = {f.video_id for f in failed}
    lines = [f"  {f.video_id}: {f.error_class}: {plain(f.message)}" for f in failed]
    lines += [f"  {f.video_id}: {f.error_class}: {plain(f.message)}" for f in earlier if f.video_id not in new]
    if lines:
        say("failed:")
        for line in lines[:_LISTED]:
            say(line)
        if len(lines) > _LISTED:
            say(f"  and {len(lines) - _LISTED} more, in manifests/attempts.parquet")


def _list_changes(rebuilt: Rebuilt | None) -> None:
    """What a build from exported links found changed."""
    if rebuilt is None:
        return
    for told, ids in (
        ("videos whose source file is another one now", rebuilt.sources),
        ("clips whose frames are not those of the table", rebuilt.changed),
        ("clips of the table that could not be built", rebuilt.missing),
    ):
        if ids:
            more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
            say(f"{told}: {', '.join(ids[:_LISTED])}{more}")


def _by_class(failures: Iterable[LastFailure]) -> str:
    return _counted(Counter(str(f.error_class) for f in failures))


def _counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
