"""What `anonymise` and `label-scenes` print when they are done, and their JSON objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.words import n_of

from .console import print_json, say, stdout
from .listing import list_failed, list_lines, say_cut_off, some
from .summary import span
from .tables import fact

if TYPE_CHECKING:
    from cityguessr_data.over_frames.go import StageResult
    from cityguessr_data.over_frames.label import FileResult

_FACT = 10  # columns of the name of a fact


def show_stage(out: Path, result: StageResult, verb: str, *, as_json: bool) -> None:
    """The end of a run over frames.

    Args:
        verb: what it did to a video, e.g. `anonymised`.
    """
    report = result.report
    if as_json:
        failed = [
            {"video_id": f.video_id, "error_class": str(f.error_class), "message": f.message} for f in report.failed
        ]
        print_json(
            {
                "out": str(out),
                "exit_code": result.exit_code,
                "stopped": str(result.stopped) if result.stopped else None,
                "interrupted": result.interrupted,
                "videos": result.n_units,
                "already_done": result.n_done_before,
                "done": report.done,
                **asdict(report.counts),
                "failed": failed,
                "seconds": report.seconds,
            }
        )
    else:
        done = result.n_done_before + report.done
        _print([("videos", f"{done:,} of {result.n_units:,} {verb}"), ("this run", _this_run(result))])
    list_failed(result)
    say_cut_off(result)
    if result.exit_code == 1 and not (result.stopped or result.interrupted):
        say("mend these frames and run the same command again: it does what is missing")


def _this_run(result: StageResult) -> str:
    report = result.report
    if not (report.done or report.failed or result.stopped or result.interrupted):
        return "nothing to do"
    counts = report.counts
    faces = f", {n_of(counts.faces, 'face')} blurred" if counts.faces or "anonymise" in report.stage_seconds else ""
    rate = counts.frames / report.seconds if report.seconds else 0.0
    return (
        f"{n_of(counts.clips, 'clip')}, {n_of(counts.frames, 'frame')}{faces} in {span(report.seconds)}: "
        f"{rate:.1f} frames/s"
    )


def show_file(out: Path, result: FileResult, *, as_json: bool) -> None:
    """The end of `label-scenes --from`."""
    if as_json:
        value: dict[str, Any] = vars(result) | {
            "stopped": str(result.stopped) if result.stopped else None,
            "incomplete": [asdict(one) for one in result.incomplete],
        }
        print_json({"out": str(out), "exit_code": result.exit_code, **value})
    else:
        _print(list(_file_facts(result)))
    if result.incomplete:
        say("not labelled whole, and left as before:")
        list_lines(
            [f"{one.clip_id}: {one.n_lacking} of {one.n_frames} frames lack a label" for one in result.incomplete]
        )
    say_cut_off(result)


def _file_facts(result: FileResult) -> Iterator[tuple[str, str]]:
    written = n_of(result.n_units_written, "video")
    yield "clips", f"{result.n_labelled:,} of {result.n_clips:,} have the file's labels ({result.form})"
    yield "this run", f"{written} written" if result.n_units_written else "nothing to do"
    if result.incomplete:
        yield "incomplete", f"{n_of(len(result.incomplete), 'clip')} with frames that the file has no label for"
    if result.unnamed:
        yield "not named", f"{n_of(len(result.unnamed), 'clip')}, left as before: {some(result.unnamed)}"
    if result.n_without:
        yield "without", f"{n_of(result.n_without, 'clip')} without a scene label now"
    if result.unknown:
        what = "clip" if result.form == "frames" else "video"
        yield (
            "unknown",
            f"{n_of(len(result.unknown), what)} of the file that the data set does not have: {some(result.unknown)}",
        )
    if result.n_astray:
        yield "astray", f"{n_of(result.n_astray, 'row')} for positions that their clips do not have"


def _print(facts: Sequence[tuple[str, str]]) -> None:
    console = stdout()
    for name, value in facts:
        console.print(fact(name, value, _FACT))
