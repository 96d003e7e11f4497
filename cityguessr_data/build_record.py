"""What determines a build's result: kept in dataset.json, compared on every run, and part of each fingerprint."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from .build_config import BuildConfig, Models
from .core.errors import InputError
from .core.fingerprint import canonical, fingerprint
from .core.schemas import SCHEMA_VERSION
from .core.types import SourceRow, VideoTask
from .media.ids import is_local
from .run.frame_sink import Layout
from .run.store import Store
from .stages.anonymise import AnonymiseConfig
from .vision.runtimes import precision_of
from .vision.scenes import SceneConfig

_MARK_BYTES = 262_144


def recorded_config(config: BuildConfig, models: Models, stage_versions: Mapping[str, int]) -> dict[str, Any]:
    """What determines frames and tables, as dataset.json keeps it: `config` and `models`.

    No path, no secret, nothing of the machine is in it.
    """
    return {
        "config": {
            "clip": canonical(config.clip),
            "anonymise": recorded_anonymise(config.anonymise),
            "scenes": recorded_scenes(config.scenes),
            "jpeg_quality": config.jpeg_quality,
            "stage_versions": dict(stage_versions),
        },
        "models": models.digests,
    }


def recorded_anonymise(config: AnonymiseConfig) -> dict[str, Any]:
    """What determines the blurred boxes, but for the weights; nothing of the machine."""
    recorded: dict[str, Any] = canonical(config) | {"conf": config.threshold}
    detector = recorded["detector"]
    detector["precision"] = precision_of(config.detector.precision)
    if detector["precision"] == "fp32":  # in half precision each library and device finds other faces
        del detector["device"]
        if config.detector.backend != "pypi":  # that package rounds
            del detector["backend"]
    return recorded


def recorded_scenes(config: SceneConfig) -> dict[str, Any]:
    """What determines the scene labels, but for the weights; nothing of the machine."""
    recorded: dict[str, Any] = canonical(config) | {
        "model": Path(config.model).name,
        "precision": "fp32" if config.model.endswith(".onnx") else precision_of(config.precision),
    }
    del recorded["device"]
    return recorded


def task_fingerprint(recorded: dict[str, Any], task: VideoTask) -> str:
    """Of everything that determines a video's result.

    A local file counts by its name, size, beginning and end: moving its folder changes nothing, mending or replacing
    the file does, and a large collection need not be read whole.
    """
    rows = [_asked(row) for row in task.rows]
    source = _file_mark(Path(task.url)) if is_local(task.url) else task.url
    return fingerprint([recorded, task.video_id, source, rows])


def _asked(row: SourceRow) -> dict[str, Any]:
    """What a row asks for. A clip number counts where there is one: without it a result is what it was before."""
    asked: dict[str, Any] = canonical(replace(row, line=0, url=""))
    return asked if row.clip_index is not None else {k: v for k, v in asked.items() if k != "clip_index"}


def _file_mark(path: Path) -> list[str | int]:
    try:
        size, ends = path.stat().st_size, hashlib.sha256()
        with path.open("rb") as f:
            ends.update(f.read(_MARK_BYTES))  # put together first, the bytes cost twice what hashing them does
            f.seek(max(0, size - _MARK_BYTES))
            ends.update(f.read(_MARK_BYTES))
    except OSError:  # the download stage will say that it is gone
        return [path.name]
    return [path.name, size, ends.hexdigest()]


def check_same(store: Store, recorded: dict[str, Any]) -> None:
    """Refuse an output directory that was built in another way, or that holds an import.

    Raises:
        InputError: naming what differs, with both values.
    """
    dataset = store.dataset()
    if dataset and "imported" in dataset:
        raise InputError(f"{store.out} holds a data set that was imported, not built", "Choose another --out")
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


def describe(name: str, recorded: dict[str, Any], layout: Layout, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """The content of dataset.json; id, name, version, counts and who labelled scenes later stay as they were there."""
    kept = {k: v for k, v in (earlier or {}).items() if k in ("id", "name", "version", "counts", "scene_labels")}
    told = {"schema_version": SCHEMA_VERSION, "layout": layout, **recorded, "tools": tool_versions()}
    return {"name": name, "version": "0.1.0", **kept, **told}


def tool_versions() -> dict[str, str]:
    """Versions of what may change a result."""
    tools = {"python": platform.python_version()}
    models = ("torch", "torchvision", "onnxruntime", "openvino")
    for package in ("cgtool", *models, "av", "opencv-python-headless", "yt-dlp"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            tools[package] = metadata.version(package)
    return tools
