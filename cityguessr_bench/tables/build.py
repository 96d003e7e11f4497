"""From the number of a table to its numbers: the runs that lack are made, all are read, and rows are compared.

A row that cannot be run (no scene labels in the data, a checkpoint that is not on this machine, a loss that is no
number) is left out with the reason, and the others go on: nothing is invented for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cityguessr_data.core.errors import CgtoolError, DiskFullError, InputError
from cityguessr_data.core.types import LEVELS, Level

from ..predictions import Predictions
from ..run_config import RunConfig
from ..run_dir import RunDir
from ..train.log import Listener
from .caveats import caveats_of
from .compare import Accuracy, Difference, Key, Measures, Metric, accuracies
from .parameters import n_parameters
from .published import MSLS, Published, is_published_split, of_row
from .rows import Row, TableSpec, overruled, settings_of
from .runs import RunSpec, Say, ensure
from .source import Source

LABEL_COMMAND = "cgtool label-scenes"


@dataclass(frozen=True)
class TableRequest:
    """What `cgtool bench table` was asked for."""

    table: TableSpec
    data: Path
    runs: Path
    split: str
    base: RunConfig
    """The preset, with what --set changed in it."""
    n_seeds: int = 1
    rows: tuple[str, ...] = ()
    """Keys of the rows that are wanted; none: all."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What --set said, by section: to tell what a row does not follow."""
    device: str = "auto"
    workers: int | None = None

    @property
    def wanted(self) -> tuple[Row, ...]:
        """The rows, in the table's order.

        Raises:
            InputError: a key that is no row.
        """
        return self.table.find(self.rows)

    def specs(self, row: Row) -> tuple[RunSpec, ...]:
        """The runs of a row, one a seed: the base's seed, and the numbers after it."""
        first = self.base.train.seed
        return tuple(RunSpec(settings_of(row, self.base, first + k), self.split) for k in range(self.n_seeds))


@dataclass(frozen=True, eq=False)
class RowResult:
    """A row with its numbers."""

    row: Row
    published: tuple[Published, ...]
    accuracies: Mapping[Key, Accuracy]
    """Empty where the row was not run."""
    differences: Mapping[Key, Difference]
    """From the table's row of reference; empty for that one, and where one of the two was not run."""
    n_parameters: int | None
    runs: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    overruled: tuple[tuple[str, Any], ...] = ()
    """What --set asked for and the row does not follow, with its own value."""
    why_not: str = ""
    """Why the row was not run."""


@dataclass(frozen=True, eq=False)
class TableResult:
    """A table with its numbers."""

    table: TableSpec
    rows: tuple[RowResult, ...]
    data: str
    """Name of the data set."""
    split: str
    n_clips: int
    """Tested; 0 where no row was run."""
    n_videos: int | None
    n_classes: Mapping[Level, int]
    priors: Mapping[Level, float]
    """Always guessing the most frequent class of the training clips."""
    test_priors: Mapping[Level, float]
    """Always guessing that of the tested clips: what nobody could know, and the most that a constant guess can have."""
    n_seeds: int
    as_published: bool
    """Whether the clips are those that the paper's numbers are of."""

    @property
    def complete(self) -> bool:
        """Whether every row was run."""
        return not any(row.why_not for row in self.rows)


def make_table(request: TableRequest, listener: Listener | None = None, say: Say = lambda _: None) -> TableResult:
    """Run what is missing, and compare.

    Raises:
        InputError: no such data, split or row; or no row could be run, with the first reason.
        MachineError: likewise no row, for want of weights or a device.
        DiskFullError: no space left.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    source = Source(request.data, request.split)
    wanted = request.wanted
    scored: dict[str, tuple[RunDir, ...]] = {}
    why_not: dict[str, str] = {}
    first: CgtoolError | None = None
    for row in wanted:
        try:
            check_scenes(row, source)
            scored[row.key] = tuple(
                ensure(
                    spec,
                    request.data,
                    request.runs,
                    device=request.device,
                    workers=request.workers,
                    listener=listener,
                    say=say,
                    source=source,
                )
                for spec in request.specs(row)
            )
        except DiskFullError:
            raise
        except CgtoolError as exc:
            first = first or exc
            why_not[row.key] = str(exc)
            say(f"not run: {row.name}: {exc}")
    if not scored and first is not None:
        raise first
    return _compared(request, wanted, scored, why_not)


def check_scenes(row: Row, source: Source) -> None:
    """Raise where a row needs scene labels that the data has not.

    Raises:
        InputError: with the command that makes them.
    """
    if row.n_scenes and (why := source.lacks_scenes(row.n_scenes)):
        what = "label the data set that was packed" if source.is_pack else f"Run {LABEL_COMMAND} {source.folder}"
        raise InputError(why, what[0].upper() + what[1:])


def _compared(
    request: TableRequest,
    wanted: Sequence[Row],
    scored: Mapping[str, tuple[RunDir, ...]],
    why_not: Mapping[str, str],
) -> TableResult:
    metrics: tuple[Metric, ...] = tuple(metric for metric in ("top1", "top5") if metric in request.table.metrics)
    read: dict[Path, Predictions] = {}
    for run in (run for runs in scored.values() for run in runs):
        read.setdefault(run.folder, Predictions.read(run.predictions_path, run.classes))
    some = next(iter(scored.values()))[0]
    tested = read[some.folder]
    measures = Measures(tested.video_ids)
    by_row: dict[str, Mapping[Key, Accuracy]] = {}
    by_runs: dict[tuple[Path, ...], Mapping[Key, Accuracy]] = {}
    for key, runs in scored.items():
        folders = tuple(run.folder for run in runs)
        if folders not in by_runs:
            by_runs[folders] = accuracies([read[folder] for folder in folders], runs[0].classes, measures, metrics)
        by_row[key] = by_runs[folders]
    rows = []
    for row in wanted:
        runs = scored.get(row.key, ())
        rows.append(
            RowResult(
                row,
                of_row(request.table.number, row.key),
                by_row.get(row.key, {}),
                _differences(request.table, row, by_row, measures),
                n_parameters(runs[0]) if runs else None,
                tuple(run.folder for run in runs),
                tuple(_remarks(row, runs)),
                overruled(row, request.base, request.given),
                why_not.get(row.key, ""),
            )
        )
    known = set(tested.video_ids)
    return TableResult(
        request.table,
        tuple(rows),
        str(some.record["data"]["name"]),
        request.split,
        len(tested),
        None if None in known else len(known),
        some.classes.sizes,
        _priors(some, "train_priors"),
        _priors(some, "priors"),
        request.n_seeds,
        request.table.number != MSLS and is_published_split(request.split, len(tested), some.classes.sizes),
    )


def _differences(
    table: TableSpec, row: Row, by_row: Mapping[str, Mapping[Key, Accuracy]], measures: Measures
) -> dict[Key, Difference]:
    """Mode by mode; in Table 4, whose rows are modes, from the mode of the reference."""
    if table.reference is None or row.key == table.reference or row.key not in by_row or table.reference not in by_row:
        return {}
    reference = table.find((table.reference,))[0]
    found: dict[Key, Difference] = {}
    for (mode, level, metric), accuracy in by_row[row.key].items():
        if row.mode in (None, mode):
            other = by_row[reference.key][reference.mode or mode, level, metric]
            found[mode, level, metric] = measures.difference(accuracy, other)
    return found


def _remarks(row: Row, runs: Sequence[RunDir]) -> Iterator[str]:
    for run in runs:
        yield from caveats_of(run)
    if runs and runs[0].config.network.tla and runs[0].config.text.encoder.startswith("random-"):
        yield f"{row.name}: the text encoder is a tiny one with random weights, which knows nothing of places"


def _priors(run: RunDir, counted: str) -> dict[Level, float]:
    """As `bench evaluate` counted them."""
    found = json.loads(run.results_path.read_text(encoding="utf-8"))[counted]
    return {level: float(found[level]["accuracy"]) for level in LEVELS}
