"""`cgtool review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, ignore_interrupts

STAGES = ("read", "blur", "write")


@command
def review(
    out: Annotated[Path, typer.Argument(help="Output directory.")],
    apply: Annotated[bool, typer.Option("--apply", help="Carry out what was decided: blur anew, drop, label.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Measure recall: draw the faces of N random frames.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Print recall and precision of the sample.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the sample; default: 0.")] = None,
    reviewer: Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; default: your user name.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, show_default=False, help="Port of the page; default: any that is free.")
    ] = 0,
    taxonomy: Annotated[Path | None, typer.Option(help="Cities that a clip may get; default: cityguessr166.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes of --apply; default: one a core.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> int:
    """Look at the frames in a browser and decide: is every face blurred, is every box a face?

    Ctrl-C ends it; every decision is saved at once. Then --apply carries out what was decided, and nothing else.
    """
    from ..doorway import doorway
    from ..review_summary import ready, show_applied, show_review, user_name

    _check(apply, sample, report, {"--seed": seed, "--workers": workers, "--taxonomy": taxonomy})
    if apply:
        from cityguessr_data.over_frames.apply_review import apply_review

        from ..progress import BuildProgress

        with BuildProgress(STAGES) as progress:
            applied = apply_review(out, progress, workers, taxonomy)
        ignore_interrupts()
        show_applied(out, applied, as_json=json_)
        return applied.exit_code

    who = user_name() if reviewer is None else _named(reviewer)
    with doorway() as open_browser:

        def opened(link: str) -> None:
            ready(link, None if no_browser else open_browser, as_json=json_)

        if sample is not None or report:
            from cityguessr_data.review.sampling import SampleConfig, look_and_report

            from ..recall_summary import show_recall

            measured = look_and_report(SampleConfig(out, who, sample, seed or 0, port), opened)
            ignore_interrupts()
            show_recall(out, measured, as_json=json_)
            return 0
        from cityguessr_data.review.reviewing import ReviewConfig
        from cityguessr_data.review.reviewing import review as run

        end = run(ReviewConfig(out, who, port, taxonomy), opened)
        ignore_interrupts()
    show_review(out, end, taxonomy, as_json=json_)
    return 0


def _check(apply: bool, sample: int | None, report: bool, given: dict[str, object]) -> None:
    """Refuse options that have no part in what was asked for."""
    from cityguessr_data.core.errors import InputError

    if apply and (sample is not None or report):
        raise InputError("--apply and --sample are two things", "Run the command twice")
    wanted = {"--workers", "--taxonomy"} if apply else {"--seed"} if sample is not None or report else {"--taxonomy"}
    for option, value in given.items():
        if value is not None and option not in wanted:
            belongs = {"--seed": "--sample", "--workers": "--apply"}.get(option, "the review and --apply")
            raise InputError(f"{option} belongs to {belongs}", "Leave it out")


def _named(reviewer: str) -> str:
    from cityguessr_data.core.errors import InputError

    from ..review_summary import is_text

    if not reviewer.strip():
        raise InputError("--reviewer is empty", "Give a name, or leave it out")
    if not is_text(reviewer):
        raise InputError("--reviewer is no text that a file can hold", "Give a name in UTF-8, or leave it out")
    return reviewer.strip()
