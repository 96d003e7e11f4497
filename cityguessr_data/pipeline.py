"""`cgtool build-dataset` in one place: every stage by name, and the way from a table to a finished data set.

Nothing here imports torch: a run that finds nothing to do answers at once. Models are loaded in the worker processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .core.errors import CgtoolError, InputError, MachineError, StopError, WeightsError, disk_full_stops
from .core.fingerprint import canonical, file_sha256, fingerprint
from .core.places365 import majority, soft_label
from .core.schemas import SCHEMA_VERSION
from .core.sources import read_sources
from .core.taxonomy import Taxonomy
from .core.types import SourceRow, VideoTask
from .media.download import Downloader
from .media.download_config import DownloadConfig
from .media.ids import is_local
from .planning import plan_tasks
from .publish.preview import write_preview
from .run.assemble import assemble, is_stale
from .run.compute import Compute
from .run.executor import Listener, WorkItem
from .run.local import LocalExecutor
from .run.runner import RunReport, Todo, exit_code, find_todo, run_items
from .run.store import Store
from .run.tally import count
from .run.writer import WriterConfig
from .stages.anonymise import AnonymiseConfig, AnonymiseStage
from .stages.clip import ClipConfig, ClipStage
from .stages.download import DownloadStage
from .stages.label import LabelStage
from .vision.phash import phash
from .vision.scenes import SceneConfig, scene_files
from .vision.weights import find

_MARK_BYTES = 262_144

COMPUTE_STAGES = (ClipStage, AnonymiseStage, LabelStage)


@dataclass(frozen=True)
class BuildConfig:
    """Everything that a build can be told."""

    sources: Path
    out: Path
    download: DownloadConfig
    """Holds the cache folder."""
    clip: ClipConfig = ClipConfig()
    anonymise: AnonymiseConfig = AnonymiseConfig()
    scenes: SceneConfig = SceneConfig()
    taxonomy: Path | None = None
    """A taxonomy file; None: cityguessr166."""
    keep_clips: bool = False
    """Also write each clip as a video file into the cache."""
    jpeg_quality: int = 95
    workers: int = 1
    """Processes that decode, detect and label."""
    retry_failed: bool = False
    """Try videos again that failed and may come back."""

    def __post_init__(self) -> None:
        _check_apart(self.out, self.download.cache)
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"a JPEG quality of {self.jpeg_quality} makes no sense", "Give 1 to 100")
        if self.workers < 1:
            raise InputError(f"{self.workers} workers cannot work", "Give --workers 1 or more")


@dataclass(frozen=True)
class Models:
    """The weights files that a build runs with, found and checked before anything starts."""

    detector: Path
    digests: dict[str, dict[str, str]]
    """Role (detector, scenes) -> file name -> SHA-256."""


@dataclass
class BuildResult:
    """What a build came to."""

    todo: Todo
    report: RunReport = field(default_factory=RunReport)
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each manifest; empty where nothing changed."""
    exit_code: int = 0
    stopped: CgtoolError | None = None
    interrupted: bool = False


def find_models(config: BuildConfig) -> Models:
    """Look up the weights that `config` needs.

    Raises:
        WeightsError: missing, or not the file it should be.
        InputError: a scene model's ONNX file or the JSON beside it is not there.
    """
    try:
        detector = find(f"retinaface-{config.anonymise.detector.name}")
    except WeightsError as exc:
        raise WeightsError(exc.message, f"{exc.hint}, or choose another --detector") from exc
    try:
        scenes = scene_files(config.scenes)
    except WeightsError as exc:
        raise WeightsError(exc.message, f"{exc.hint}, or choose another --scene-model, or off") from exc
    files = {"detector": (detector,), "scenes": scenes}
    return Models(detector, {role: {p.name: file_sha256(p) for p in paths} for role, paths in files.items() if paths})


def recorded_config(config: BuildConfig, models: Models) -> dict[str, Any]:
    """What determines frames and tables, as dataset.json keeps it: `config` and `models`.

    No path, no secret, nothing of the machine is in it.
    """
    anonymise: dict[str, Any] = canonical(config.anonymise) | {"conf": config.anonymise.threshold}
    scenes: dict[str, Any] = canonical(config.scenes)
    for part in (anonymise["detector"], scenes):
        del part["device"]
    scenes["model"] = Path(scenes["model"]).name
    return {
        "config": {
            "clip": canonical(config.clip),
            "anonymise": anonymise,
            "scenes": scenes,
            "jpeg_quality": config.jpeg_quality,
            "stage_versions": {stage.name: stage.version for stage in COMPUTE_STAGES},
        },
        "models": models.digests,
    }


def make_compute(config: BuildConfig, detector: Path) -> Compute:
    """The computing stages, opened: called in each worker process."""
    stages = (
        ClipStage(config.clip, config.download.cache / "clips" if config.keep_clips else None),
        AnonymiseStage(config.anonymise, detector),
        LabelStage(config.scenes),
    )

    def soft_and_majority(top1: Sequence[int]) -> tuple[Sequence[float], int]:
        soft = soft_label(np.asarray(top1), config.scenes.parents)
        return soft.tolist(), majority(soft)

    writer = WriterConfig(
        samples=config.clip.samples,
        blur=config.anonymise.blur.mode,
        soft_label=soft_and_majority,
        phash=phash,
        jpeg_quality=config.jpeg_quality,
    )
    return Compute(stages, writer)


def read_table(config: BuildConfig) -> tuple[SourceRow, ...]:
    """The checked rows of the sources table.

    Raises:
        InputError, TableError: it is not fit; see core.sources.
    """
    taxonomy = Taxonomy.load(config.taxonomy) if config.taxonomy else Taxonomy.named("cityguessr166")
    return read_sources(config.sources, taxonomy, allow_private_hosts=config.download.allow_private_hosts)


def build(config: BuildConfig, listener: Listener) -> BuildResult:
    """Build what is missing of a data set. What is committed stays, however this ends.

    Raises:
        InputError, MachineError: nothing was started.
    """
    rows = read_table(config)
    models = find_models(config)
    recorded = recorded_config(config, models)
    fingerprint_of = partial(task_fingerprint, recorded)
    store = Store(config.out)
    with store.locked():
        store.recover()
        check_same(store, recorded)
        result = BuildResult(Todo((), (), (), ()))
        try:
            downloader = Downloader(config.download)
            plan = plan_tasks(store, rows, downloader, fingerprint_of, retry_failed=config.retry_failed)
            items = [WorkItem(task, fingerprint_of(task)) for task in plan.tasks]
            result.todo = find_todo(store, items, retry_failed=config.retry_failed, left=plan.left)
            result.report.failed += plan.failed
            result.report.postponed += plan.postponed
            store.write_dataset(describe(config.out.resolve().name, recorded, store.dataset()))
            if result.todo.missing:
                _check_cache(config, result.todo)
                fetch = DownloadStage(downloader, listener.fetching).fetch
                factory = partial(make_compute, config, models.detector)
                executor = LocalExecutor(config.workers)
                run_items(store, result.todo.missing, executor, fetch, factory, listener, result.report)
            result.exit_code = exit_code(result.report, result.todo.retryable)
        except StopError as exc:
            result.stopped, result.exit_code = exc, exc.exit_code
        except KeyboardInterrupt:
            result.interrupted, result.exit_code = True, 130
        if _unfinished(store):
            result.rows = assemble(store)
            dataset = describe(config.out.resolve().name, recorded, store.dataset())
            store.write_dataset(dataset | {"counts": count(store)})
            write_preview(config.out)
    return result


def task_fingerprint(recorded: dict[str, Any], task: VideoTask) -> str:
    """Of everything that determines a video's result.

    A local file counts by its name, size, beginning and end: moving its folder changes nothing, mending or replacing
    the file does, and a large collection need not be read whole.
    """
    rows = [replace(row, line=0, url="") for row in task.rows]
    source = _file_mark(Path(task.url)) if is_local(task.url) else task.url
    return fingerprint([recorded, task.video_id, source, rows])


def _file_mark(path: Path) -> list[str | int]:
    try:
        size = path.stat().st_size
        with path.open("rb") as f:
            head = f.read(_MARK_BYTES)
            f.seek(max(0, size - _MARK_BYTES))
            ends = head + f.read(_MARK_BYTES)
    except OSError:  # the download stage will say that it is gone
        return [path.name]
    return [path.name, size, hashlib.sha256(ends).hexdigest()]


def _check_apart(out: Path, cache: Path) -> None:
    """Refuse a cache where it, or what it holds, could lie in an output directory: it holds unblurred videos."""
    told, out = str(cache), out.resolve()
    for folder in (cache, *(cache / name for name in ("sources", "partial", "clips"))):
        resolved = folder.resolve()
        foreign = next((p for p in (resolved, *resolved.parents) if (p / ".cgtool" / "lock").exists()), None)
        if resolved == out or out in resolved.parents or resolved in out.parents or foreign:
            raise InputError(
                f"the cache {told} and the output directory {foreign or out} lie in one another, and a cache holds "
                "unblurred videos",
                "Give --cache a folder of its own, outside --out",
            )


def _check_cache(config: BuildConfig, todo: Todo) -> None:
    """See that the cache can be written, where this run will write to it."""
    cache = config.download.cache
    if config.keep_clips or not all(is_local(item.task.url) for item in todo.missing):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=cache):
                pass
        except OSError as exc:
            with disk_full_stops(str(cache)):
                raise MachineError(
                    f"the cache {cache} cannot be written ({exc.strerror})", "Choose another --cache"
                ) from exc


def _unfinished(store: Store) -> bool:
    """Whether manifests, counts or preview are missing or older than what is committed (a run may die between them)."""
    preview = store.out / "preview.html"
    return (
        is_stale(store)
        or not preview.exists()
        or preview.stat().st_mtime_ns < (store.out / "manifests" / "clips.parquet").stat().st_mtime_ns
        or "counts" not in (store.dataset() or {})
    )


def check_same(store: Store, recorded: dict[str, Any]) -> None:
    """Refuse an output directory that was built in another way.

    Raises:
        InputError: naming what differs, with both values.
    """
    dataset = store.dataset()
    earlier = {part: dataset[part] for part in recorded if part in dataset} if dataset else None
    if not any(store.parts("clips")):
        return  # nothing is committed yet: any configuration will do
    if not earlier:
        raise InputError(f"{store.out} holds a data set without its dataset.json", "Choose another --out")
    old, new = flattened(earlier), flattened(recorded)
    differing = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if differing:
        told = "; ".join(f"{key} was {old.get(key, 'absent')}, now {new.get(key, 'absent')}" for key in differing[:3])
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise InputError(
            f"{store.out} was built with another configuration ({told}{more})", "Use the same options, or another --out"
        )


def flattened(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        flat |= flattened(inner, f"{name}.") if isinstance(inner, dict) else {name: inner}
    return flat


def describe(name: str, recorded: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    """The content of dataset.json; name, version and counts stay as they were there."""
    tools = {"python": platform.python_version()}
    for package in ("cgtool", "torch", "torchvision", "onnxruntime", "av", "opencv-python-headless", "yt-dlp"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            tools[package] = metadata.version(package)
    kept = {k: v for k, v in (earlier or {}).items() if k in ("name", "version", "counts")}
    return {"name": name, "version": "0.1.0", **kept, "schema_version": SCHEMA_VERSION, **recorded, "tools": tools}
