"""Does whole videos again, as they were asked for: from the kept source or by download, with the recorded settings.

What is committed of a video stays until its redoing is committed in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..build_config import BuildConfig, Models, find_models
from ..build_record import check_same, flattened, recorded_config, task_fingerprint
from ..core.atomic import write_table
from ..core.errors import ErrorClass, InputError
from ..core.remote.place import folder_at
from ..core.schemas import FINGERPRINT_KEY
from ..media.download import Downloader
from ..media.download_config import DownloadConfig, Refused
from ..media.ids import is_local
from ..over_frames.units import SCENES_KEY
from ..pipeline import STAGE_VERSIONS, run_videos
from ..planning import is_elsewhere, note_cached, read_plan
from ..run.asked_rows import asked_tasks
from ..run.compute import Failed
from ..run.executor import Listener, WorkItem
from ..run.runner import RunReport
from ..run.store import Store, read_part
from ..run.tombstones import read_tombstones
from ..stages.anonymise import AnonymiseConfig
from ..stages.clip import ClipConfig
from ..vision.blur import BlurConfig
from ..vision.retinaface.detector import DetectorConfig
from ..vision.scenes import SceneConfig
from .same_source import Recorded, only_the_same, recorded_of
from .unit import TO_REDO

_ELSEWHERE = "this data set was copied or moved here, and its source is a local file: run its build command here"
_OTHER_FINGERPRINT = "it would come out as another result, about which its review says nothing: run its build command"


@dataclass(frozen=True)
class Means:
    """What a data set does not record, and redoing may need."""

    cache: Path | None = None
    """None: the cache of the last build."""
    cookies: Path | None = None
    proxy: str | None = None
    allow_private_hosts: bool = False
    scene_model: Path | None = None
    """The file of a scene model that is not one of ours."""
    workers: int | None = None


@dataclass(frozen=True)
class Redone:
    """How redoing went."""

    done: tuple[str, ...] = ()
    """Units that were committed anew."""
    failed: Mapping[str, str] | None = None
    """Unit -> why it stayed as it was."""
    to_build: tuple[str, ...] = ()
    """Units that the next build does again: nothing says here what was asked of them."""


def redo(
    store: Store, units: Collection[str], means: Means, listener: Listener, reviewed: Collection[str] = ()
) -> Redone:
    """Redo units of a data set that was built. `store` is locked.

    Args:
        reviewed: units whose review is applied again afterwards.
    Raises:
        StopError, KeyboardInterrupt: what was committed before stays.
    """
    dataset = store.dataset() or {}
    if "imported" in dataset:
        return Redone(failed=dict.fromkeys(units, "it was imported: mend its files, or import it again"))
    failed = dict.fromkeys(_labelled(store, units), "its scene labels came from `label-scenes`, and would be lost")
    tasks = asked_tasks(store, set(units) - set(failed))
    if is_elsewhere(store, read_plan(store)):  # what a stranger's data set names here is not to be opened
        local = [unit for unit, task in tasks.items() if is_local(task.url)]
        failed |= dict.fromkeys(local, _ELSEWHERE)
        tasks = {unit: task for unit, task in tasks.items() if unit not in failed}
    to_build = [unit for unit in units if unit not in failed and unit not in tasks and mark_to_build(store, unit)]
    failed |= dict.fromkeys(set(units) - set(failed) - set(tasks) - set(to_build), "nothing says what was asked of it")
    if not tasks:
        return Redone(failed=failed, to_build=tuple(to_build))
    try:
        config, models, recorded = _as_recorded(store, dataset, means)
        tombstones = read_tombstones(store)
        downloader = Downloader(config.download, refused=Refused(tombstones.channels, tombstones.id_of_link))
    except InputError as exc:
        return Redone(failed=failed | dict.fromkeys(tasks, str(exc)), to_build=tuple(to_build))
    items = [WorkItem(task, task_fingerprint(recorded, task)) for _, task in sorted(tasks.items())]
    known = recorded_of(store, tasks)
    failed |= dict.fromkeys(_would_lose_review(items, known, reviewed), _OTHER_FINGERPRINT)
    items = [item for item in items if item.task.video_id not in failed]
    if not items:
        return Redone(failed=failed, to_build=tuple(to_build))
    note_cached(store, config.download.cache, [item.task for item in items])
    report = RunReport()
    guard = partial(only_the_same, known=known)
    run_videos(store, config, models, downloader, tombstones, items, listener, report, guard)
    failed |= {one.video_id: _why(one, tasks[one.video_id].url) for one in report.failed}
    failed |= {one.video_id: one.message for one in report.postponed}
    return Redone(tuple(sorted(set(tasks) - set(failed))), failed, tuple(to_build))


def _why(failed: Failed, url: str) -> str:
    """Why a video could not be done again, for who runs `verify`, which has no --retry-failed."""
    if is_local(url) and failed.error_class == ErrorClass.NETWORK:
        return f"its source {url} {'cannot be read' if Path(url).exists() else 'is not there'}"
    return f"{failed.error_class}: {failed.message.replace(' with --retry-failed', '')}"


def mark_to_build(store: Store, unit: str) -> bool:
    """Have the next build do a unit again: its clips part no longer says that it is what is asked for.

    Returns:
        False where its clips part cannot be read; it is left as it is.
    """
    path = store.part("clips", unit)
    try:
        table = read_part(path)
    except (OSError, ValueError):
        return False
    metadata = {**(table.schema.metadata or {}), FINGERPRINT_KEY: TO_REDO}
    write_table(path, table.replace_schema_metadata(metadata))
    return True


def _would_lose_review(
    items: Sequence[WorkItem], known: Mapping[str, Recorded], reviewed: Collection[str]
) -> list[str]:
    """Reviewed units whose result would be another one than that which decisions were made about."""
    told = ((item, known.get(item.task.video_id)) for item in items if item.task.video_id in reviewed)
    return [item.task.video_id for item, held in told if held and held.fingerprints - {item.fingerprint}]


def _labelled(store: Store, units: Collection[str]) -> list[str]:
    """Units whose scenes were labelled afterwards, which a redoing would not do."""
    found = []
    for unit in units:
        if any(SCENES_KEY in _marks(store.part(table, unit)) for table in ("clips", "frames")):
            found.append(unit)
    return found


def _marks(path: Path) -> Mapping[bytes, bytes]:
    """The metadata of a part; none where it cannot be read: it is what is to be mended."""
    try:
        return pq.read_schema(path).metadata or {}
    except (OSError, ValueError, pa.ArrowException):
        return {}


def _as_recorded(store: Store, dataset: dict[str, Any], means: Means) -> tuple[BuildConfig, Models, dict[str, Any]]:
    """The configuration that the data set was built with, its weights found.

    Raises:
        InputError: dataset.json does not say it, or this version or these weights would give other results.
        WeightsError: weights are missing.
    """
    config = dataset.get("config") or {}
    try:
        build = _config(store, config, dataset.get("layout"), means)
        scenes = _scenes(config["scenes"], means)
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(f"dataset.json does not say how it was built ({exc})", "Run its build command") from exc
    build = BuildConfig(**{**vars(build), "scenes": scenes})
    models = find_models(build)
    recorded = recorded_config(build, models, STAGE_VERSIONS)
    check_same(store, recorded)
    _check_recorded(dataset, recorded)
    return build, models, recorded


def _check_recorded(dataset: dict[str, Any], recorded: dict[str, Any]) -> None:
    """The same, also where nothing is committed any more: dataset.json still says what frames and tables come from.

    Raises:
        InputError: naming one thing that differs.
    """
    old = flattened({part: dataset.get(part) or {} for part in recorded})
    new = flattened(recorded)
    for key in sorted(old | new):
        if old.get(key) != new.get(key):
            told = f"{key} was {old.get(key, 'absent')}, now {new.get(key, 'absent')}"
            raise InputError(f"it was built with another configuration ({told})", "Run its build command")


def _config(store: Store, config: dict[str, Any], layout: Any, means: Means) -> BuildConfig:
    anonymise, clip = config["anonymise"], ClipConfig(**config["clip"])
    plan = read_plan(store)
    noted = None if is_elsewhere(store, plan) or "cache" not in plan else folder_at(plan["cache"])
    beside = store.out.resolve()
    download = DownloadConfig(
        cache=means.cache or noted or beside.with_name(f"{beside.name}.cache"),
        cookies=means.cookies,
        proxy=means.proxy,
        allow_private_hosts=means.allow_private_hosts,
        min_duration_s=clip.min_duration_s,
        max_duration_s=clip.max_duration_s,
        min_height_px=clip.min_height_px,
        max_height_px=max(720, clip.min_height_px or 0),
    )
    return BuildConfig(
        sources=Path(),
        out=store.out,
        download=download,
        clip=clip,
        anonymise=AnonymiseConfig(
            DetectorConfig(**anonymise["detector"]), BlurConfig(**anonymise["blur"]), anonymise["conf"]
        ),
        jpeg_quality=config["jpeg_quality"],
        workers=means.workers,
        layout=layout or "folder",
    )


def _scenes(recorded: dict[str, Any], means: Means) -> SceneConfig:
    """Of a model's file only its name is recorded.

    Raises:
        InputError: it is not given.
    """
    if recorded["model"].endswith(".onnx"):
        if means.scene_model is None:
            message = f"the scene model {recorded['model']} is needed"
            raise InputError(message, "Name its file with --scene-model")
        return SceneConfig(**{**recorded, "model": str(means.scene_model)})
    return SceneConfig(**recorded)
