"""Runs that a table needs: each has a folder that follows from its settings, and what is there is never made again.

The same settings on the same split are the same folder, whichever table asks; so Tables 2, 3, 5 and 6 share their
VideoMAE. A run that was stopped goes on, one that is trained is only scored, one that is scored is only read.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.atomic import write_json
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint

from ..data import same_data
from ..run_config import RunConfig
from ..run_dir import RunDir
from ..train.log import Listener
from .source import Source

State = Literal["missing", "started", "trained", "scored"]
Say = Callable[[str], None]
_HINT = "Name another folder with --runs; what is there was made with other data"


@dataclass(frozen=True)
class RunSpec:
    """What decides a run's numbers, but for the data: settings and the name of a split."""

    config: RunConfig
    split: str

    @property
    def name(self) -> str:
        """Of its folder: what a person looks for, and 8 hex digits of all settings."""
        words = [self.config.model, *_words(self.config), self.split, f"seed{self.config.train.seed}"]
        # Settings at their defaults are left out, so that one added later renames no run.
        return "-".join([_safe("-".join(words)), fingerprint([_changed(self.config), self.split])[:8]])

    def folder(self, runs: Path) -> Path:
        """Where it lies inside the folder of runs."""
        return runs / self.name


def state(spec: RunSpec, runs: Path, source: Source | None = None) -> State:
    """How far a run is.

    Scored means: predictions of the test part with the weights that the settings report, made after the last
    checkpoint. Predictions of another part, of other data, or of a run that was trained on since, do not count.

    Args:
        source: the data; None: whether the predictions are of its test clips is not looked at.
    Raises:
        InputError: a folder that holds a damaged run, or one of other settings.
    """
    from ..checkpoints import last, read_progress

    folder = spec.folder(runs)
    if not (folder / "config.json").is_file():
        return "missing"
    run = RunDir.open(folder)
    if run.config != spec.config:
        raise InputError(f"{folder} holds a run of other settings than its name says", "Move it, or give other --runs")
    newest = last(run.checkpoints)
    if newest is None or read_progress(newest).epochs < spec.config.train.epochs:
        return "started"
    if not (run.predictions_path.is_file() and run.results_path.is_file()):
        return "trained"
    trained_ns = (newest / "about.json").stat().st_mtime_ns
    fresh = min(path.stat().st_mtime_ns for path in (run.predictions_path, run.results_path)) >= trained_ns
    wanted = {"part": "test", "weights": spec.config.train.report}
    fits = _is_of(run.results_path, wanted) and (source is None or _tested(run) == source.ids_of("test"))
    return "scored" if fresh and fits else "trained"


def ensure(
    spec: RunSpec,
    data: Path,
    runs: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    listener: Listener | None = None,
    say: Say = lambda _: None,
    source: Source | None = None,
) -> RunDir:
    """Train, go on with, or score a run, as far as it is not done.

    Args:
        data: a pack, or the output directory of a build, which is packed first.
        runs: the folder of runs.
        say: told what is about to be done.
        source: of `data`, where the caller has it already.
    Returns:
        the run; its predictions.parquet and results.json are as `cgtool bench evaluate` writes them.
    Raises:
        InputError: settings, data or split are not fit, or the run was made with other data.
        MachineError: no such device, no weights, out of memory.
        StopError: a loss that is no number, or a full disk.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    from ..evaluate_run import score_run
    from ..results_json import to_json
    from ..train.run import TrainRequest, train

    folder, source = spec.folder(runs), source or Source(data, spec.split)
    found = state(spec, runs, source)
    pack = source.pack(spec.config.data, say).folder
    if found in ("trained", "scored"):
        check_data(RunDir.open(folder), source)
    else:
        say(f"{folder.name}: {'goes on' if found == 'started' else 'trains'}")
        train(TrainRequest(pack, folder, spec.split, spec.config, True, device, workers), listener)
    run = RunDir.open(folder)
    if found != "scored":
        say(f"{folder.name}: is scored")
        scored = score_run(run, data=pack, device=device)
        scored.predictions.write(run.predictions_path, run.classes)
        write_json(run.results_path, to_json(scored.results, scored.other))
    return run


def check_data(run: RunDir, source: Source) -> None:
    """Raise where a run was made with other clips, labels or another split than the data has now.

    Raises:
        InputError: which of the two.
    """
    if not same_data(run, source.pack(run.config.data)):
        raise InputError(f"{run.folder} was made with other data than {source.folder} has now", _HINT)
    check_split(run, source)


def check_split(run: RunDir, source: Source) -> None:
    """Raise where the split has changed since a run was made.

    Raises:
        InputError: it has.
    """
    if run.record["split"]["digest"] != source.split_digest:
        raise InputError(f"{run.folder} was made with another split {source.split} than {source.folder} has now", _HINT)


def measured_clips_per_s(run: RunDir) -> float | None:
    """The median rate of a run's training, clips a second; None where it logged none."""
    rates = []
    if run.metrics_path.is_file():
        for line in run.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                rate = json.loads(line).get("clips_per_s")
            except ValueError:  # the last line of a run that was killed
                continue
            if isinstance(rate, float):
                rates.append(rate)
    return sorted(rates)[len(rates) // 2] if rates else None


def _is_of(path: Path, wanted: Mapping[str, str]) -> bool:
    """Whether results are of a part and weights, and of the data that the run was trained on."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        of_own_data = found["train_priors"] is not None  # they are counted on the run's own data alone
        return of_own_data and all(found["origin"].get(name) == value for name, value in wanted.items())
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(
            f"{path} is damaged ({type(exc).__name__}: {exc})", "Delete it; the run is scored anew"
        ) from exc


def _tested(run: RunDir) -> frozenset[str]:
    """Ids of the clips in a run's predictions."""
    try:
        return frozenset(pq.read_table(run.predictions_path, columns=["clip_id"])["clip_id"].to_pylist())
    except (OSError, pa.ArrowException):  # damaged: no clips, so it is made again
        return frozenset()


def _words(config: RunConfig) -> list[str]:
    """What a person tells runs of one model apart by."""
    data, network, train, text = config.data, config.network, config.train, config.text
    words: list[str] = [data.pick] if data.pick != "spread" else []
    if network.scenes:
        words += ["365scenes"] if network.n_scenes == 365 else []
        words += ["majority"] if train.scene_target == "majority" else []
    if network.tla:
        words += ["tla", *(["city"] if text.strategy == "city" else []), text.encoder]
    return ["scenes", *words] if network.scenes else words


def _changed(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Settings that are not at their defaults."""
    usual, found = RunConfig(), {"": {"model": config.model}}
    for section in dataclasses.fields(RunConfig)[1:]:
        mine, theirs = getattr(config, section.name), getattr(usual, section.name)
        found[section.name] = {
            spec.name: getattr(mine, spec.name)
            for spec in dataclasses.fields(mine)
            if getattr(mine, spec.name) != getattr(theirs, spec.name)
        }
    return found


def _safe(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in text)[:80]
