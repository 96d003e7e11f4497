"""What `cgtool export` prints: a bar while it packs, then what went out, what stayed, and what a person should know."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.units import size

from .bench_progress import _Bar
from .console import plain, print_json, say, stdout
from .summary import plural
from .tables import cut, fact

if TYPE_CHECKING:
    from cityguessr_data.publish.export import ExportResult
    from cityguessr_data.publish.frames import FramesError

_FACT = 10  # columns of the name of a fact
_LISTED = 10
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
    for fault in error.faults[:_LISTED]:
        say(f"  {plain(fault)}")
    if len(error.faults) > _LISTED:
        say(f"  and {len(error.faults) - _LISTED:,} more")


def show_export(result: ExportResult, *, as_json: bool) -> None:
    """The end of an export."""
    if as_json:
        print_json(_as_json(result))
    else:
        console = stdout()
        for name, value in _facts(result):
            console.print(fact(name, value, _FACT))
    for note in result.notes:
        say(f"note: {plain(note)}")


def _facts(result: ExportResult) -> Iterator[tuple[str, str]]:
    config, counts = result.config, result.counts
    frames = "no frames" if config.to == "links" else plural(counts["frames"], "frame")
    yield (
        "exported",
        f"{cut(result.name)} {result.version}: {plural(counts['clips'], 'clip')}, {frames}, "
        f"{plural(counts['videos'], 'video')} of {plural(counts['city_classes'], 'city', 'cities')}",
    )
    if result.parts:
        yield "parts", ", ".join(f"{part} {n:,}" for part, n in result.parts.items())
    for why, ids in result.left_out.items():
        more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
        yield "left out", f"{plural(len(ids), 'clip')} {why}: {', '.join(map(cut, ids[:_LISTED]))}{more}"
    yield "review", _review(result)
    done = "was done already: every file is as it was written" if result.was_done else f"{config.to}, {config.dest}"
    yield "files", f"{plural(len(result.files), 'file')}, {size(result.n_bytes)}; {done}"
    if config.to == "links":
        table = config.dest if config.dest.suffix.lower() == ".csv" else config.dest / "links.csv"
        toml = table.with_suffix(".toml") if table == config.dest else config.dest / "build.toml"
        yield "rebuild", f"`cgtool build-dataset {table} --config {toml} --out OUT`"


def _review(result: ExportResult) -> str:
    review = result.review
    if not (review.unfinished or review.unapplied):
        return f"finished: {review.n_finished:,} of {plural(review.n_clips, 'clip')}"
    waiting = f"{len(review.unfinished):,} of {plural(review.n_clips, 'clip')} were let through unseen"
    unapplied = f"; decisions about {plural(len(review.unapplied), 'source')} are not carried out"
    return f"not finished: {waiting}{unapplied if review.unapplied else ''}"


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
        "review": {
            "finished": not (review.unfinished or review.unapplied),
            "clips": review.n_clips,
            "waiting": list(review.unfinished),
            "not_applied": list(review.unapplied),
        },
        "files": list(result.files),
        "bytes": result.n_bytes,
        "was_done": result.was_done,
        "notes": list(result.notes),
    }
