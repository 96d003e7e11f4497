"""`cgtool build-dataset` in one place: every stage by name, and the way from a table to a finished data set.

Nothing here imports torch: a run that finds nothing to do answers at once. Models are loaded in the worker processes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from .build_config import BuildConfig, Models, find_models
from .build_record import check_same, describe, recorded_config, task_fingerprint
from .core.errors import CgtoolError, StopError, unfit_for_writing
from .core.places365 import majority, soft_label
from .core.private import make_private
from .core.sources import read_sources
from .core.taxonomy import Taxonomy
from .core.types import SourceRow, VideoTask
from .media.download import Downloader
from .media.download_config import Refused
from .media.ids import is_local
from .planning import plan_tasks
from .publish.ledger import forget_clips
from .publish.preview import preview_is_current, write_preview
from .publish.rebuilt import Rebuilt, compare
from .run.assemble import assemble, is_stale
from .run.compute import Compute
from .run.executor import ComputeFactory, Executor, Fetch, FromFiles, Listener, WorkItem
from .run.frame_sink import chosen_layout
from .run.local import LocalExecutor
from .run.refusing import refusing
from .run.runner import RunReport, Todo, exit_code, find_todo, run_items
from .run.store import Store
from .run.take_out import enforce, is_unsettled, settle
from .run.tally import count
from .run.telling_links import shared_links
from .run.tombstones import Tombstones, read_tombstones
from .run.writer import WriterConfig
from .stages.anonymise import AnonymiseStage
from .stages.clip import ClipStage
from .stages.download import DownloadStage
from .stages.label import LabelStage
from .vision.phash import phash
from .vision.scenes import scene_files

STAGE_VERSIONS = {stage.name: stage.version for stage in (ClipStage, AnonymiseStage, LabelStage)}
"""The stages that a worker runs, and the version of each: raised when one gives another result."""


@dataclass
class BuildResult:
    """What a build came to."""

    todo: Todo
    report: RunReport = field(default_factory=RunReport)
    exit_code: int = 0
    stopped: CgtoolError | None = None
    interrupted: bool = False
    rebuilt: Rebuilt | None = None
    """How it compares with the clips that the table names by number; None where it names none."""


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
        layout=config.layout or "folder",
    )
    return Compute(stages, writer)


def _make_compute_at(config: BuildConfig, files: Mapping[str, Path]) -> Compute:
    """The same where the weights lie in other places than on the machine that chose them."""
    if "scenes" in files and config.scenes.model.endswith(".onnx"):
        config = replace(config, scenes=replace(config.scenes, model=str(files["scenes"])))
    elif "scenes" in files:
        os.environ["CGTOOL_WEIGHTS"] = str(files["scenes"].parent)  # of this worker process: it looks there by name
    return make_compute(config, files["detector"])


def _factory(config: BuildConfig, models: Models) -> ComputeFactory:
    """What makes the stages in a worker, wherever that runs."""
    if config.engine == "local":
        return partial(make_compute, config, models.detector)
    scenes = dict(zip(("scenes", "scenes beside"), scene_files(config.scenes), strict=False))
    download = replace(config.download, cache=config.download.cache.absolute(), cookies=None, proxy=None)  # stay here
    make = partial(_make_compute_at, replace(config, download=download))
    return FromFiles(make, {"detector": models.detector, **scenes})


def _executor(config: BuildConfig) -> Executor:
    """Where the videos are computed.

    Raises:
        MachineError: Ray is asked for and not installed.
    """
    device = config.anonymise.detector.device
    if config.engine == "local":
        return LocalExecutor(config.workers, device)
    from .run.on_ray.engine import RayExecutor

    needed = {config.download.cache: "where --keep-clips writes"} if config.keep_clips else {}
    return RayExecutor(config.address, config.workers, device, needed)


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
    recorded = recorded_config(config, models, STAGE_VERSIONS)
    fingerprint_of = partial(task_fingerprint, recorded)
    store = Store(config.out)
    with store.locked():
        store.recover()
        check_same(store, recorded)
        committed = any(store.parts("clips"))
        layout = chosen_layout(store.out, store.dataset(), config.layout, any_frames=committed)
        finish_removals(store)
        tombstones = read_tombstones(store)
        result = BuildResult(Todo((), (), (), ()))
        tasks: list[VideoTask] = []
        try:
            downloader = Downloader(config.download, refused=Refused(tombstones.channels, tombstones.id_of_link))
            plan = plan_tasks(
                store, rows, downloader, fingerprint_of, retry_failed=config.retry_failed, tombstones=tombstones
            )
            result.todo = find_todo(
                store, plan.items, retry_failed=config.retry_failed, left=plan.left, removed=plan.removed
            )
            downloader.cache.release_all(result.todo.done)
            tasks = [item.task for item in plan.items]
            result.report.failed += plan.failed
            result.report.postponed += plan.postponed
            store.write_dataset(describe(config.out.resolve().name, recorded, layout, store.dataset()))
            if result.todo.missing:
                _check_cache(config, result.todo.missing)
                at = replace(config, layout=layout)
                run_videos(store, at, models, downloader, tombstones, result.todo.missing, listener, result.report)
            result.exit_code = exit_code(result.report, result.todo.retryable)
        except StopError as exc:
            result.stopped, result.exit_code = exc, exc.exit_code
        except KeyboardInterrupt:
            result.interrupted, result.exit_code = True, 130
        if _unfinished(store):
            store.write_dataset(describe(config.out.resolve().name, recorded, layout, store.dataset()))
            _publish(store)
        result.rebuilt = compare(store, tasks)
    return result


def run_videos(
    store: Store,
    config: BuildConfig,
    models: Models,
    downloader: Downloader,
    tombstones: Tombstones,
    items: Sequence[WorkItem],
    listener: Listener,
    report: RunReport,
    guard: Callable[[Fetch], Fetch] = lambda fetch: fetch,
) -> None:
    """Fetch, compute and commit these videos. `store` is locked; `config.layout` is the data set's.

    Args:
        guard: may refuse what was fetched before anything is made of it.
    Raises:
        MachineError, StopError, KeyboardInterrupt: what was committed before stays, and `report` has it.
    """
    shared = shared_links(store.plan().get("links", {}))
    download = DownloadStage(downloader, listener.fetching).fetch
    fetch = guard(refusing(download, tombstones, downloader.forget, shared))
    release = downloader.cache.release
    run_items(store, items, _executor(config), fetch, _factory(config, models), listener, report, release)


def finish_removals(store: Store) -> None:
    """Carry out what an interrupted removal left to do, or came back since: what must go is gone from then on."""
    if is_unsettled(store):
        enforce(store, partial(forget_clips, store))
        _publish(store)
        settle(store)


def _publish(store: Store) -> None:
    """Write manifests, counts and preview anew from what is committed."""
    assemble(store)
    store.write_dataset({**(store.dataset() or {}), "counts": count(store)})
    write_preview(store.out)


def _check_cache(config: BuildConfig, items: Sequence[WorkItem]) -> None:
    """See that the cache can be written, where this run will write to it."""
    cache = config.download.cache
    if config.keep_clips or not all(is_local(item.task.url) for item in items):
        try:
            make_private(cache)
            with tempfile.TemporaryFile(dir=cache):
                pass
        except OSError as exc:
            raise unfit_for_writing(exc, f"the cache {cache}", "Choose another --cache") from exc


def _unfinished(store: Store) -> bool:
    """Whether manifests, counts or preview are missing or not of what is committed (a run may die between them)."""
    return is_stale(store) or not preview_is_current(store.out) or "counts" not in (store.dataset() or {})
