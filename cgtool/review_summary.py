"""What `review` says when its page can be opened, and when it ends."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.words import n_of

from .console import print_json, printing, say, stdout
from .listing import list_failed, list_lines, say_cut_off, some
from .tables import fact

if TYPE_CHECKING:
    from cityguessr_data.over_frames.apply_review import ApplyResult
    from cityguessr_data.review.reviewing import ReviewEnd

_FACT = 10  # columns of the name of a fact
GROUPS = ("made anew", "doubtful", "without any detection", "others")


def user_name() -> str:
    """Who runs this, as the system has it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "reviewer"
    return name if is_text(name) else "reviewer"


def is_text(name: str) -> bool:
    """Whether a name can be written: bytes of an argument that are no UTF-8 become halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def ready(link: str, open_browser: Callable[[str], None] | None, *, as_json: bool) -> None:
    """Tell the one-time link, and open it where somebody sits at a terminal.

    Args:
        open_browser: None: open none.
    """
    if as_json:
        say(link)  # stdout is for the object
    else:
        with printing():
            sys.stdout.write(link + "\n")
    say("The link opens the page once, on this machine. Ctrl-C ends the review; every decision is saved at once.")
    if open_browser is not None and sys.stdout.isatty() and sys.stderr.isatty():
        open_browser(link)


def show_review(out: Path, end: ReviewEnd, taxonomy: Path | None, *, as_json: bool) -> None:
    """The end of a review.

    Args:
        taxonomy: that was given; applying the labels needs it too.
    """
    from cityguessr_data.review.said import apply_command

    tally = end.tally
    if as_json:
        print_json(
            {
                "out": str(out),
                "exit_code": 0,
                "decided": dict(end.decided),
                "decisions": end.n_decisions,
                "clips": tally.n_clips,
                "finished": tally.n_finished,
                "looked_at": tally.n_settled,
                "look_again": tally.n_look_again,
                "stale_decisions": end.n_stale,
            }
        )
        return
    console = stdout()
    decided = ", ".join(f"{n:,} {action}" for action, n in sorted(end.decided.items())) or "nothing"
    console.print(fact("decided", decided, _FACT))
    console.print(fact("finished", f"{tally.n_finished:,} of {n_of(tally.n_clips, 'clip')}", _FACT))
    looked = [f"{n:,} of {of:,} {GROUPS[group]}" for group, n, of in tally.groups if of]
    console.print(fact("looked at", ", ".join(looked), _FACT))
    if end.n_stale:
        console.print(fact("stale", _stale(end.n_stale), _FACT))
    if tally.n_look_again:
        again = n_of(tally.n_look_again, "clip")
        console.print(fact("look again", f"{again} made anew since they were reviewed", _FACT))
    if end.n_decisions:
        console.print(fact("apply", apply_command(out, taxonomy), _FACT))


def show_applied(out: Path, result: ApplyResult, *, as_json: bool) -> None:
    """The end of `review --apply`."""
    report = result.report
    if as_json:
        print_json(
            {
                "out": str(out),
                "exit_code": result.exit_code,
                "stopped": str(result.stopped) if result.stopped else None,
                "interrupted": result.interrupted,
                "videos": result.n_units,
                "written": report.done,
                "frames_blurred_anew": result.n_frames,
                "clips_relabelled": result.n_relabelled,
                "clips_dropped": result.dropped,
                "lacking_source": [
                    {"clip_id": clip_id, "position": position, "box": list(box)}
                    for clip_id, position, box in result.lacking
                ],
                "stale_decisions": result.n_stale,
                "failed": [
                    {"video_id": f.video_id, "error_class": str(f.error_class), "message": f.message}
                    for f in report.failed
                ],
                "seconds": report.seconds,
            }
        )
    else:
        console = stdout()
        for name, value in _applied(result):
            console.print(fact(name, value, _FACT))
    if result.lacking:
        say("no faces, and still blurred, for the source is not at hand:")
        list_lines([f"{clip_id}, frame {position + 1}" for clip_id, position, _ in result.lacking])
        say("build the data set again from its sources, and run the same command")
    list_failed(result)
    say_cut_off(result)


def _applied(result: ApplyResult) -> Iterator[tuple[str, str]]:
    done = result.report.done
    written = f"{n_of(done, 'video')} written, {n_of(result.n_frames, 'frame')} blurred anew"
    yield "applied", written if done or result.dropped else "nothing to do"
    if result.n_relabelled:
        yield "labels", f"{n_of(result.n_relabelled, 'clip')} given another city"
    if result.dropped:
        yield "dropped", f"{n_of(len(result.dropped), 'clip')}: {some(result.dropped)}"
    if result.n_stale:
        yield "stale", _stale(result.n_stale)


def _stale(n: int) -> str:
    return f"{n_of(n, 'decision')} about earlier builds of their clips"
