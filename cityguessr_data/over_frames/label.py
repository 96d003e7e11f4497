"""`cgtool label-scenes`: scene labels for the frames of a data set that is there, built or imported.

By a model over the saved frames (paper, section 4.3), or out of a file that somebody else made. No frame is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..build_config import digests
from ..build_record import recorded_scenes
from ..core.errors import InputError, StopError, WeightsError
from ..core.fingerprint import fingerprint
from ..core.places365 import Parents
from ..run.compute import Compute
from ..run.executor import Listener
from ..run.store import Store
from ..vision.scenes import SceneConfig, scene_files
from .go import StageResult, finish, run_over
from .label_file import LabelFile, read_label_file
from .label_parts import ClipLabels, UnitTables, read_tables, stage_labels
from .label_stage import LabelsConfig, SavedLabelStage
from .read_stage import ReadStage
from .units import Unit, frames_part, opened, read_units, work_items


@dataclass(frozen=True)
class LabelRun:
    """Everything that labelling by a model can be told."""

    out: Path
    scenes: SceneConfig = SceneConfig()
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.scenes.model == "off":
            raise InputError("--scene-model off labels nothing", "Give resnet18, resnet50 or a FILE.onnx")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers cannot work", "Give --workers 1 or more")


@dataclass(frozen=True)
class Incomplete:
    """A clip that the file names and does not label whole; it stayed as it was."""

    clip_id: str
    n_lacking: int
    n_frames: int


@dataclass(frozen=True)
class FileResult:
    """What labels from a file came to. n_clips = n_labelled + len(incomplete) + len(unnamed)."""

    form: str
    n_rows: int
    n_clips: int
    n_labelled: int
    """Clips that have the file's labels now, those of an earlier run of the same file too."""
    n_units_written: int
    incomplete: tuple[Incomplete, ...]
    unnamed: tuple[str, ...]
    """Clips that the file says nothing of; they stayed as they were."""
    n_without: int
    """Clips of the data set without a scene label now."""
    unknown: tuple[str, ...]
    """Clips (or videos, of spans) of the file that the data set does not have."""
    n_astray: int
    """Rows of known clips that name a position which the clip does not have."""
    stopped: StopError | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 done, also where the file covers only a part; 3 stopped early, 130 interrupted."""
        return 130 if self.interrupted else self.stopped.exit_code if self.stopped else 0


def make_compute(config: LabelRun) -> Compute:
    """The stages, opened: called in each worker process."""
    stages = (ReadStage(config.out, outside=False), SavedLabelStage(config.scenes))
    return Compute(stages, LabelsConfig(config.out, config.scenes.parents))


def label_by_model(config: LabelRun, listener: Listener) -> StageResult:
    """Label the frames of every unit that this model, with these settings, has not labelled as they are now.

    Raises:
        InputError, MachineError: nothing was started.
    """
    store, _ = opened(config.out)
    try:
        weights = digests(scene_files(config.scenes))
    except WeightsError as exc:
        raise WeightsError(exc.message, f"{exc.hint}, or choose another --scene-model, or give --from FILE") from exc
    versions = {stage.name: stage.version for stage in (ReadStage, SavedLabelStage)}
    entry = {"by": "model", **recorded_scenes(config.scenes), "files": weights, "stage_versions": versions}

    def mark(unit: Unit) -> str:
        return fingerprint(["scenes", unit.asked, unit.anonymised, entry])

    with store.locked():
        store.recover()
        units = read_units(store)
        missing = [unit for unit in units if unit.scenes != mark(unit)]
        result = StageResult(len(units), len(units) - len(missing))
        if missing:
            _note(store, entry)
        frames = partial(frames_part, store)
        run_over(
            store, work_items(missing, mark), frames, partial(make_compute, config), listener, result, config.workers
        )
        if result.exit_code == 0 and units:
            _note(store, entry, alone=True)
        finish(store)
    return result


def label_by_file(out: Path, path: Path, parents: Parents = "split") -> FileResult:
    """Give the clips of `out` the labels that a file has for them. A clip is labelled whole or stays as it was.

    Raises:
        InputError: nothing was written: `out` or the file is not fit, or the file labels no clip of `out`.
    """
    store, _ = opened(out)
    file = read_label_file(path)
    entry = {"by": "file", "file": path.name, "sha256": file.sha256, "form": file.form, "parents": parents}
    mark = fingerprint(["scenes", entry])
    tally = _Tally()
    stopped: StopError | None = None
    interrupted = False
    with store.locked():
        store.recover()
        try:
            for unit in read_units(store):
                tables = read_tables(store, unit)
                labels = _labels(file, tables, tally)
                if labels and unit.scenes != mark:
                    _note(store, entry)
                    staging = store.new_staging(unit.name)
                    stage_labels(tables, labels, parents, mark, staging)
                    store.commit(unit.name, staging)
                    tally.n_units_written += 1
        except StopError as exc:
            stopped = exc
        except KeyboardInterrupt:
            interrupted = True
        finally:
            store.discard()
        if not (tally.n_labelled or stopped or interrupted):
            raise InputError(*_no_clip(path, file, tally))
        if tally.n_labelled == tally.n_clips and not (stopped or interrupted):
            _note(store, entry, alone=True)
        finish(store)
        n_without = _n_without(store)
    return FileResult(
        file.form, file.n_rows, tally.n_clips, tally.n_labelled, tally.n_units_written, tuple(tally.incomplete),
        tuple(tally.unnamed), n_without, file.unknown(tally.known), tally.n_astray, stopped, interrupted,
    )  # fmt: skip


class _Tally:
    def __init__(self) -> None:
        self.n_clips = self.n_labelled = self.n_units_written = self.n_astray = 0
        self.incomplete: list[Incomplete] = []
        self.unnamed: list[str] = []
        self.known: set[str] = set()


def _labels(file: LabelFile, tables: UnitTables, tally: _Tally) -> dict[str, ClipLabels]:
    """The file's labels for those clips of a unit that it labels whole."""
    positions, indices = (tables.frames[name].to_pylist() for name in ("position", "frame_index"))
    found: dict[str, ClipLabels] = {}
    for clip_id, video_id in zip(*(tables.clips[name].to_pylist() for name in ("clip_id", "video_id")), strict=True):
        rows = tables.rows.get(clip_id, [])
        at = [positions[row] for row in rows]
        labels = file.labels(clip_id, video_id, at, [indices[row] for row in rows])
        tally.n_clips += 1
        tally.known |= {clip_id} if file.form == "frames" else {video_id or ""}
        tally.n_astray += file.n_astray(clip_id, at)
        if labels is None:
            tally.unnamed.append(clip_id)
        elif labels.n_lacking or not rows:
            tally.incomplete.append(Incomplete(clip_id, labels.n_lacking, len(rows)))
        else:
            found[clip_id] = labels
    tally.n_labelled += len(found)
    return found


def _no_clip(path: Path, file: LabelFile, tally: _Tally) -> tuple[str, str]:
    """Message and hint where nothing of a file fits."""
    if tally.incomplete:
        one = tally.incomplete[0]
        lacking = f"{one.clip_id} lacks {one.n_lacking} of {one.n_frames}"
        return f"{path} labels no clip whole ({lacking})", "Nothing was written: give a label for every saved frame"
    names = ", ".join(list(file.bounds)[:3])
    what = "clip" if file.form == "frames" else "video"
    return f"{path} names no {what} of this data set (it names {names})", "Nothing was written: check --from"


def _note(store: Store, entry: dict[str, Any], *, alone: bool = False) -> None:
    """Say in dataset.json who labelled: the latest last; alone, where no clip has the labels of another."""
    dataset = store.dataset() or {}
    earlier = [] if alone else [one for one in dataset.get("scene_labels", []) if one != entry]
    store.write_dataset({**dataset, "scene_labels": [*earlier, entry]})


def _n_without(store: Store) -> int:
    clips = pq.read_table(store.out / "manifests" / "clips.parquet", columns=["scene_majority"])
    return int(clips["scene_majority"].null_count)
