"""Everything a build can be told, checked on construction, and the weights files it will need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .core.errors import InputError, WeightsError
from .core.fingerprint import file_sha256
from .core.remote.place import url_of
from .media.download_config import DownloadConfig
from .run.frame_sink import LAYOUTS, Layout
from .run.remote.apart import cache_around, data_set_around
from .stages.anonymise import AnonymiseConfig
from .stages.clip import ClipConfig
from .vision.scenes import SceneConfig, scene_files
from .vision.weights import find

ENGINES = ("local", "ray")
"""This machine's processes (run/local.py), or those of a Ray cluster (run/on_ray/engine.py)."""


@dataclass(frozen=True)
class BuildConfig:
    """Everything that a build can be told.

    Raises:
        InputError: it is not fit.
        StopError: an object store, on which places are looked at, does not answer.
    """

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
    layout: Layout | None = None
    """How frames are kept: a folder a clip or a tar a video; None: as the data set keeps them, a new one in folders."""
    workers: int | None = None
    """Processes that decode, detect and label; None: as many as run/local.py says."""
    engine: str = "local"
    """Where videos are computed: one of ENGINES."""
    address: str | None = None
    """Of the Ray cluster; None: $RAY_ADDRESS, else one that is started on this machine."""
    retry_failed: bool = False
    """Try videos again that failed and may come back."""

    def __post_init__(self) -> None:
        _check_apart(self.out, self.download.cache)
        if self.keep_clips and url_of(self.download.cache):
            raise InputError("--keep-clips writes many files that only this machine needs", "Give a --cache on a disk")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"a JPEG quality of {self.jpeg_quality} makes no sense", "Give 1 to 100")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"--layout {self.layout} is none", f"Choose {' or '.join(LAYOUTS)}")
        if self.engine not in ENGINES:
            raise InputError(f"--engine {self.engine} is none", f"Choose {' or '.join(ENGINES)}")
        if self.address is not None and self.engine != "ray":
            raise InputError("--address names a Ray cluster, which only --engine ray uses", "Add it, or leave this out")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers cannot work", "Give --workers 1 or more")


@dataclass(frozen=True)
class Models:
    """The weights files that a build runs with, found and checked before anything starts."""

    detector: Path
    digests: dict[str, dict[str, str]]
    """Role (detector, scenes) -> file name -> SHA-256."""


def find_models(config: BuildConfig) -> Models:
    """Look up the weights that `config` needs.

    Raises:
        WeightsError: missing, or not the file it should be.
        InputError: a scene model's ONNX file or the JSON beside it is not there.
    """
    detector = find_detector(config.anonymise)
    try:
        scenes = scene_files(config.scenes)
    except WeightsError as exc:
        raise WeightsError(exc.message, f"{exc.hint}, or choose another --scene-model, or off") from exc
    files = {"detector": (detector,), "scenes": scenes}
    return Models(detector, {role: digests(paths) for role, paths in files.items() if paths})


def find_detector(config: AnonymiseConfig) -> Path:
    """The weights of the detector that `config` names.

    Raises:
        WeightsError: missing, or not the file it should be.
    """
    try:
        return find(f"retinaface-{config.detector.name}")
    except WeightsError as exc:
        raise WeightsError(exc.message, f"{exc.hint}, or choose another --detector") from exc


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256."""
    return {path.name: file_sha256(path) for path in paths}


def _check_apart(out: Path, cache: Path) -> None:
    """Refuse a cache where it, or what it holds, could lie in an output directory: it holds unblurred videos.

    On an object store that is looked up: some requests, once a command.
    """
    there, cached = url_of(out), url_of(cache)
    if there and cached and (f"{there}/".startswith(f"{cached}/") or f"{cached}/".startswith(f"{there}/")):
        raise _in_one_another(cached, there, "place")
    if cached and (other := data_set_around(cached)):
        raise _in_one_another(cached, other, "place")
    if there and (other := cache_around(there)):
        raise _in_one_another(other, there, "place")
    told, out = str(cache), out.resolve()
    for folder in (cache, *(cache / name for name in ("sources", "partial", "clips"))):
        resolved = folder.resolve()
        foreign = next((p for p in (resolved, *resolved.parents) if (p / ".cgtool" / "lock").exists()), None)
        if resolved == out or out in resolved.parents or resolved in out.parents or foreign:
            raise _in_one_another(told, str(foreign or out), "folder")


def _in_one_another(cache: str, out: str, kind: str) -> InputError:
    return InputError(
        f"the cache {cache} and the output directory {out} lie in one another, and a cache holds unblurred videos",
        f"Give --cache a {kind} of its own, outside --out",
    )
