"""What `cgtool export` prints: a bar while it packs, then what went out, what stayed, and what a person should know."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from .bench_progress import _Bar
from .console import plain, print_json, say, stderr, stdout
from .listing import LISTED, some
from .tables import cut, fact

if TYPE_CHECKING:
    from cityguessr_data.publish.export import ExportResult
    from cityguessr_data.publish.frames import FramesError

_FACT = 10  # columns of the name of a fact
_LINE_EVERY_S = 10.0
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def bytes_of(text: str) -> int:
    """Bytes of `500MB`, `2 GB` or `1000000`, in powers of 1000.

    Raises:
        InputError: it is no size.
    """
    from cityguessr_data.core.errors import InputError

    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]?)B?", text.strip(), re.ASCII | re.IGNORECASE)
    if not match:
        raise InputError(f"--shard-size {text!r} is no size", "Give a number with a unit, such as 500MB or 2GB")
    return round(float(match[1]) * _UNITS[match[2].lower()])


class ExportProgress(_Bar):
    """A Listener of publish.export."""

    def __init__(self) -> None:
        super().__init__()
        self._n_clips = self._clips = self._bytes = 0
        self._said_at = self._started = time.monotonic()

    def planned(self, n_clips: int, n_bytes: int) -> None:
        """See Listener."""
        self._n_clips = n_clips
        self._started = self._said_at = time.monotonic()
        self._start("export", n_clips, 0)

    def packed(self, n_clips: int, n_bytes: int) -> None:
        """See Listener."""
        self._clips += n_clips
        self._bytes += n_bytes
        now = time.monotonic()
        text = f"{size(self._bytes / max(now - self._started, 1e-6))}/s"
        if self._bars is not None:
            self._bars.update(self._task, completed=self._clips, text=text)
        elif now - self._said_at > _LINE_EVERY_S:
            say(f"[{self._clips}/{self._n_clips}] clips, {text}")
            self._said_at = now


def list_faults(error: FramesError) -> None:
    """The frames that cannot be exported, a line each."""
    for fault in error.faults[:LISTED]:
        say(f"  {plain(fault)}")
    if len(error.faults) > LISTED:
        say(f"  and {len(error.faults) - LISTED:,} more")


def show_export(result: ExportResult, *, as_json: bool) -> None:
    """The end of an export."""
    from rich.text import Text

    if as_json:
        print_json(_as_json(result))
    else:
        console = stdout()
        for name, value in _facts(result):
            console.print(fact(name, value, _FACT))
        if result.config.to == "links":
            console.print(fact("rebuild", "these clips from their sources:", _FACT))
            # For a person to copy: on a line of its own, which the terminal may break and we do not
            console.print(Text(plain(_rebuild_line(result))), soft_wrap=True)
    for note in result.notes:
        # Paths and commands stay whole, for whoever copies them
        width = stderr().width
        say(fill(f"note: {plain(note)}", width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def _facts(result: ExportResult) -> Iterator[tuple[str, str]]:
    config, counts = result.config, result.counts
    frames = "no frames" if config.to == "links" else n_of(counts["frames"], "frame")
    yield (
        "exported",
        f"{cut(result.name)} {result.version}: {n_of(counts['clips'], 'clip')}, {frames}, "
        f"{n_of(counts['videos'], 'video')} of {n_of(counts['city_classes'], 'city', 'cities')}",
    )
    if result.parts:
        yield "parts", ", ".join(f"{part} {n:,}" for part, n in result.parts.items())
    for why, ids in result.left_out.items():
        yield "left out", f"{n_of(len(ids), 'clip')} {why}: {some(ids)}"
    yield "faces", _faces(result)
    yield "review", _review(result)
    done = "was done already: every file is as it was written" if result.was_done else f"{config.to}, {config.dest}"
    yield "files", f"{n_of(len(result.files), 'file')}, {size(result.n_bytes)}; {done}"


def _rebuild_line(result: ExportResult) -> str:
    """The command that builds the clips from the links; as a shell takes it."""
    from cityguessr_data.publish.link_options import rebuild_command

    dest = result.config.dest
    table, options = (dest, dest.with_suffix(".toml")) if dest.is_file() else (dest / "links.csv", dest / "build.toml")
    return rebuild_command(str(table), str(options), private=result.private_links)


def _faces(result: ExportResult) -> str:
    faces = result.faces
    drawn = f", {faces.drawn:,} of them drawn by hand" if faces.drawn else ""
    stay = [f"{n_of(faces.under, 'detection')} under the threshold"] if faces.under else []
    stay += [f"{faces.rejected:,} that reviewers rejected"] if faces.rejected else []
    left = f"; not blurred, and left out: {', '.join(stay)}" if stay else ""
    return f"{n_of(faces.blurred, 'box', 'boxes')} blurred{drawn}{left}"


def _review(result: ExportResult) -> str:
    review = result.review
    if not review.unfinished:
        return f"finished: {review.n_finished:,} of {n_of(review.n_clips, 'clip')}"
    n = len(review.unfinished)
    return f"not finished: {n:,} of {n_of(review.n_clips, 'clip')} {'waits' if n == 1 else 'wait'} for a person"


def _as_json(result: ExportResult) -> dict[str, Any]:
    config, review = result.config, result.review
    return {
        "out": str(config.out),
        "exit_code": 0,
        "format": config.to,
        "dest": str(config.dest),
        "name": result.name,
        "version": result.version,
        **result.counts,
        "parts": dict(result.parts),
        "left_out": {why: list(ids) for why, ids in result.left_out.items()},
        "gone": list(result.gone),
        "faces": asdict(result.faces),
        "review": {
            "finished": not review.unfinished,
            "clips": review.n_clips,
            "waiting": list(review.unfinished),
        },
        "files": list(result.files),
        "bytes": result.n_bytes,
        "was_done": result.was_done,
        "notes": list(result.notes),
    }
