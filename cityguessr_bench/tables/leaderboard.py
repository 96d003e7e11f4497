"""All scored runs below a folder, ranked: one board for each data set, split and part.

Runs on different clips are never ranked together, for their figures mean different things. Runs that differ in their
seed alone are one entry. The published results of later work stand only on a board of the published split's test part.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.types import LEVELS, Level

from ..classes import Classes
from ..hierarchy import MODES, Mode
from ..predictions import Predictions
from ..run_config import RunConfig
from ..run_dir import RunDir
from .caveats import caveats_of
from .compare import Accuracy, Measures, accuracies
from .parameters import n_parameters
from .published import LATER, Published, is_published_split, published
from .sheet import Sheet
from .show import millions, percent


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of a board: a run, or several that differ in their seed alone."""

    name: str
    runs: tuple[Path, ...]
    model: str
    n_parameters: int | None
    scores: Mapping[Level, Accuracy]


@dataclass(frozen=True, eq=False)
class Board:
    """Entries on the same clips, the best city top-1 first."""

    data: str
    split: str
    part: str
    mode: Mode
    n_clips: int
    n_videos: int | None
    entries: tuple[Entry, ...]
    later: tuple[Published, ...]
    """Published results that are of these clips; empty where they are not."""
    warnings: tuple[str, ...] = ()
    """What makes figures of its runs too high."""


@dataclass(frozen=True, eq=False)
class _Scored:
    run: RunDir
    predictions: Predictions
    part: str
    split: str


def make_boards(folder: Path, mode: str = "codependent") -> tuple[Board, ...]:
    """Read every scored run below `folder`.

    Raises:
        InputError: no such folder or mode, no scored run, or a damaged one.
    """
    if mode not in MODES:
        raise InputError(f"there is no mode {mode!r}", f"Give one of: {', '.join(MODES)}")
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "Name a folder with runs")
    by_clips: dict[str, list[_Scored]] = {}
    for scored in _scored(folder):
        key = fingerprint([scored.run.classes.digest, scored.part, scored.split, *scored.predictions.clip_ids])
        by_clips.setdefault(key, []).append(scored)
    if not by_clips:
        raise InputError(f"{folder} holds no scored run", "Score one: cgtool bench evaluate RUN")
    boards = [_board(folder, group, mode) for group in by_clips.values()]
    return tuple(sorted(boards, key=lambda board: (board.data, board.split, board.part)))


def board_sheets(boards: Sequence[Board]) -> tuple[Sheet, ...]:
    """A sheet a board."""
    return tuple(_sheet(board) for board in boards)


def board_long_sheet(boards: Sequence[Board]) -> Sheet:
    """One row an entry, for CSV: shares of 0 to 1."""
    numbers = ("value", "low", "high", "spread")
    columns = ("data", "split", "part", "mode", "clips", "videos", "rank", "run", "model", "parameters", "seeds")
    rows = [
        tuple(
            "" if value is None else str(value)
            for value in (
                *(board.data, board.split, board.part, board.mode, board.n_clips, board.n_videos, at),
                *(entry.name, entry.model, entry.n_parameters, len(entry.runs)),
                *(getattr(entry.scores[level], name) for level in LEVELS for name in numbers),
            )
        )
        for board in boards
        for at, entry in enumerate(board.entries, start=1)
    ]
    figures = tuple(f"{level}_{name}" for level in LEVELS for name in numbers)
    return Sheet("Leaderboard", (*columns, *figures), tuple(rows))


def board_json(boards: Sequence[Board]) -> dict[str, Any]:
    """For a program; shares of 0 to 1."""
    return {
        "boards": [
            {
                "data": board.data,
                "split": board.split,
                "part": board.part,
                "mode": board.mode,
                "n_clips": board.n_clips,
                "n_videos": board.n_videos,
                "entries": [
                    {
                        "name": entry.name,
                        "runs": [str(run) for run in entry.runs],
                        "model": entry.model,
                        "parameters": entry.n_parameters,
                        **{level: _plain(entry.scores[level]) for level in LEVELS},
                    }
                    for entry in board.entries
                ],
                "warnings": list(board.warnings),
                "published": [dataclasses.asdict(one) for one in board.later],
            }
            for board in boards
        ]
    }


def _scored(folder: Path) -> Iterator[_Scored]:
    for path in sorted(folder.rglob("results.json")):
        if (path.parent / "config.json").is_file() and (path.parent / "predictions.parquet").is_file():
            run = RunDir.open(path.parent)
            try:
                part = str(json.loads(path.read_text(encoding="utf-8"))["origin"]["part"])
            except (ValueError, KeyError, TypeError) as exc:
                raise InputError(f"{path} is damaged ({type(exc).__name__}: {exc})", "Score the run again") from exc
            found = Predictions.read(run.predictions_path, run.classes)
            yield _Scored(run, found, part, str(run.record["split"]["name"]))


def _board(folder: Path, group: Sequence[_Scored], mode: str) -> Board:
    chosen = next(known for known in MODES if known == mode)
    some, classes = group[0], group[0].run.classes
    measures = Measures(some.predictions.video_ids)
    by_settings: dict[str, list[_Scored]] = {}
    for scored in group:
        key = fingerprint([_without_seed(scored.run.config), scored.run.record["split"]["digest"]])
        by_settings.setdefault(key, []).append(scored)
    entries = [_entry(folder, same, classes, measures, chosen) for same in by_settings.values()]
    n_videos = set(some.predictions.video_ids)
    as_published = some.part == "test" and is_published_split(some.split, len(some.predictions), classes.sizes)
    return Board(
        str(some.run.record["data"]["name"]),
        some.split,
        some.part,
        chosen,
        len(some.predictions),
        None if None in n_videos else len(n_videos),
        tuple(sorted(entries, key=lambda entry: (-entry.scores["city"].value, entry.name))),
        tuple(one for one in published() if one.table == LATER) if as_published else (),
        tuple(dict.fromkeys(warning for scored in group for warning in caveats_of(scored.run))),
    )


def _entry(folder: Path, same: Sequence[_Scored], classes: Classes, measures: Measures, mode: Mode) -> Entry:
    once = {scored.run.config.train.seed: scored for scored in same}  # a run that was copied counts once
    runs = [scored.run for scored in once.values()]
    found = accuracies([scored.predictions for scored in once.values()], classes, measures)
    return Entry(
        str(runs[0].folder.relative_to(folder)) if runs[0].folder != folder else folder.name,
        tuple(run.folder for run in runs),
        runs[0].config.model,
        n_parameters(runs[0]),
        {level: found[mode, level, "top1"] for level in LEVELS},
    )


def _sheet(board: Board) -> Sheet:
    rows = [
        (
            f"{at}. {entry.model}\n{millions(entry.n_parameters)}\n{entry.name.removeprefix(f'{entry.model}-')}",
            str(len(entry.runs)),
            *(percent(entry.scores[level]) for level in LEVELS),
        )
        for at, entry in enumerate(board.entries, start=1)
    ]
    by_row: dict[str, dict[Level | None, str]] = {}
    for one in board.later:
        by_row.setdefault(f"{one.row} ({one.source})", {})[one.level] = one.value
    rows += [(name, "–", *(values.get(level, "–") for level in LEVELS)) for name, values in by_row.items()]
    videos = "not known" if board.n_videos is None else f"{board.n_videos:,}"
    notes = [
        f"{board.n_clips:,} clips of part {board.part}, source videos {videos}; mode {board.mode}; under each accuracy "
        "its 95 % interval by source videos",
        "± is the standard deviation over seeds; of one seed it is not measured",
    ]
    if board.later:
        notes.append("Published results state no evaluation mode; they are not ranked")
    else:
        notes.append(
            "Published results are of CityGuessr68k's published test part (13,655 clips, split published): not shown "
            "beside other clips"
        )
    notes += board.warnings
    title = f"{board.data}, split {board.split}, part {board.part}: accuracy in %"
    return Sheet(title, ("run", "seeds", *LEVELS), tuple(rows), tuple(notes), 1, tuple(range(len(rows))))


def _without_seed(config: RunConfig) -> dict[str, Any]:
    return dataclasses.replace(config, train=dataclasses.replace(config.train, seed=0)).to_dict()


def _plain(accuracy: Accuracy) -> dict[str, Any]:
    names = ("value", "low", "high", "spread", "by_seed")
    return {name: getattr(accuracy, name) for name in names}
