"""What `cgtool bench predict` prints of a video: its best places at four levels with bars, and a map, at 80 columns."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cityguessr_data.core.words import n_of

from .console import plain, printing, say, stdout
from .tables import cut, fact, safe
from .world_map import world_map

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cityguessr_bench.hierarchy import Mode
    from cityguessr_bench.predict.results import Failure, Guess, VideoPrediction

_BLOCKS = " ▏▎▍▌▋▊▉█"
_BAR = 8  # columns
_NAME = 20
_LEVEL = _NAME + _BAR + 11  # columns of a level's table
_MAP = 72
_MARKED = 0.005
"""Less probable cities are not on the map."""


def show_video(video: VideoPrediction) -> None:
    """Print one video."""
    _print(lambda out: _video(out, video))


def show_meaning(mode: Mode) -> None:
    """Print what the figures are of."""
    from cityguessr_bench.predict.guesses import AVERAGED, meaning

    means: dict[str, str] = dict(meaning(mode).items())
    if mode in ("codependent", "trace"):
        means = {"city": means["city"], "above it": means["state"]}

    def show(out: Console) -> None:
        for name, what in {"mode": mode, **means, "clips": AVERAGED}.items():
            out.print(fact(name, what, 9))

    _print(show)


def tell_failures(failures: Sequence[Failure], n_sources: int) -> None:
    """List on stderr what could not be looked at."""
    if len(failures) > 1 or n_sources > 1:
        say(f"{n_of(len(failures), 'video')} could not be looked at:")
    for failed in failures:
        named = failed.source in failed.message or (failed.video_id or failed.source) in failed.message
        where = "" if named else f"{failed.source}: "
        hint = f". {failed.hint}" if failed.hint else ""
        say(f"error: {plain(f'{where}{failed.message}{hint}')}")


def _print(show: Callable[[Console], None]) -> None:
    """Print to the terminal as it is, elsewhere without blanks at the ends of lines."""
    out = stdout()
    with printing():
        if out.is_terminal:
            show(out)
            return
        with out.capture() as printed:
            show(out)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _video(out: Console, video: VideoPrediction) -> None:
    from rich.table import Table

    blocks = _utf8()
    out.print(f"[bold]{safe(video.title or video.video_id)}[/bold]: {_size(video)}")
    for note in video.notes:
        out.print(fact("note", note, 4))
    tables = [_level(level, places, blocks) for level, places in video.levels.items()]
    beside = 2 if out.width >= 2 * _LEVEL + 2 else 1
    for start in range(0, len(tables), beside):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row(*tables[start : start + beside])
        out.print(grid)
        out.print()
    marks = [
        (str(number), city.lat, city.lon)
        for number, city in enumerate(video.levels["city"], 1)
        if city.lat is not None and city.lon is not None and (number == 1 or city.probability >= _MARKED)
    ]
    if marks:
        for row in world_map(marks, min(_MAP, out.width), braille=blocks):
            out.print(_styled(row), no_wrap=True)
    else:
        out.print("no map: the taxonomy of the run knows no coordinates of these cities")
    out.print()


def _size(video: VideoPrediction) -> str:
    clips = n_of(len(video.clips), "clip")
    lengths = sorted({clip.n_frames for clip in video.clips})
    of = f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
    return f"{clips} of {of} frames; {video.n_frames:,} in all, {video.duration_s:,.1f} s"


def _level(level: str, places: Sequence[Guess], blocks: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("", width=1)
    table.add_column(level, width=_NAME, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=6, justify="right", no_wrap=True)
    table.add_column("", width=_BAR, no_wrap=True)
    times = Counter(place.name for place in places)
    for number, place in enumerate(places, 1):
        twin = times[place.name] > 1 and place.within
        name = cut(f"{place.name}, {place.within[0]}" if twin else place.name).replace("_", " ")
        share = "<0.1%" if 0 < place.probability < 0.0005 else f"{place.probability:.1%}"
        table.add_row(str(number), Text(name), share, bar(place.probability, blocks))
    return table


def bar(share: float, blocks: bool) -> str:
    """A share of 0 to 1 as a bar of at most eight letters; without block characters, of number signs."""
    if not blocks:
        return "#" * round(_BAR * share)
    eighths = round(8 * _BAR * share)
    return (_BLOCKS[-1] * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def _styled(row: Sequence[tuple[str, bool]]) -> Text:
    from rich.text import Text

    text = Text()
    for letter, is_mark in row:
        text.append(letter, style="bold reverse" if is_mark else "dim")
    return text


def _utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
