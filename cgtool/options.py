"""From flags and a TOML file to a BuildConfig. A file holds the flags' names; a flag given wins over the file."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .places import cache_folder

if TYPE_CHECKING:
    from cityguessr_data.build_config import BuildConfig
    from cityguessr_data.stages.anonymise import AnonymiseConfig
    from cityguessr_data.vision.scenes import SceneConfig

TYPES: dict[str, type] = {
    "conf": float,
    "nms": float,
    "blur": str,
    "blur_kernel": int,
    "blur_sigma": float,
    "clip_frames": str,
    "samples": int,
    "jpeg_quality": int,
    "layout": str,
    "detector": str,
    "detector_size": int,
    "detector_scale": float,
    "detector_backend": str,
    "scene_model": str,
    "scene_parents": str,
    "taxonomy": Path,
    "cache": Path,
    "keep_clips": bool,
    "workers": int,
    "engine": str,
    "address": str,
    "device": str,
    "precision": str,
    "min_duration": float,
    "max_duration": float,
    "min_height": int,
    "rate": float,
    "cookies": Path,
    "proxy": str,
    "allow_private_hosts": bool,
    "retry_failed": bool,
}
"""Every option of a build that a file may hold, and its type."""


def read_config_file(path: Path) -> dict[str, Any]:
    """The options in a TOML file.

    Raises:
        InputError: no such file, not TOML, an unknown option, a value of another type.
    """
    from cityguessr_data.core.errors import InputError

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"the config file {path} cannot be read ({exc.strerror})", "Check --config") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(
            f"{path} is not a TOML file ({exc})", "Mend it; its keys are the names of the options"
        ) from exc
    options = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in TYPES:
            near = difflib.get_close_matches(name, TYPES, n=1)
            raise InputError(f"{path}: unknown option {key!r}", f"Did you mean {near[0]!r}?" if near else "Remove it")
        wanted = TYPES[name]
        accepted: dict[type, tuple[type, ...]] = {float: (int, float), Path: (str,)}
        fits = isinstance(value, accepted.get(wanted, (wanted,)))
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"{path}: {key} is {value!r}, expected {wanted.__name__}", "Mend the value")
        options[name] = wanted(value)
    return options


def build_config(sources: Path, out: Path, flags: Mapping[str, Any], config_file: Path | None) -> BuildConfig:
    """The configuration of a build.

    Args:
        flags: by the names of TYPES; None where the user did not say.
    Raises:
        InputError: a value that makes no sense.
    """
    from cityguessr_data.build_config import BuildConfig
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.media.download_config import DownloadConfig
    from cityguessr_data.stages.clip import ClipConfig

    options = given_options(flags, read_config_file(config_file) if config_file else {})
    given = partial(_given, options)
    low, high = clip_frames(options["clip_frames"]) if "clip_frames" in options else (800, 900)
    limits = given(min_duration_s="min_duration", max_duration_s="max_duration", min_height_px="min_height")
    try:
        return BuildConfig(
            sources=sources,
            out=out,
            download=DownloadConfig(
                cache=cache_folder(options["cache"]) if "cache" in options else _default_cache(out),
                max_height_px=max(720, options.get("min_height", 0)),
                **given(
                    rate_per_hour="rate", cookies="cookies", proxy="proxy", allow_private_hosts="allow_private_hosts"
                ),
                **limits,
            ),
            clip=ClipConfig(min_frames=low, max_frames=high, **given(samples="samples"), **limits),
            anonymise=anonymise_config(options),
            scenes=scene_config(options),
            **given(
                taxonomy="taxonomy",
                keep_clips="keep_clips",
                jpeg_quality="jpeg_quality",
                layout="layout",
                workers="workers",
                engine="engine",
                address="address",
                retry_failed="retry_failed",
            ),
        )
    except ValueError as exc:
        raise InputError(str(exc), "See `cgtool build-dataset --help`") from exc


def given_options(flags: Mapping[str, Any], from_file: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, by the names of TYPES; a flag wins over the file.

    Raises:
        InputError: a number that is not finite.
    """
    from cityguessr_data.core.errors import InputError

    options = dict(from_file) | {name: value for name, value in flags.items() if value is not None}
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{name.replace('_', '-')} is {value}", "Give a finite number")
    return options


def anonymise_config(options: Mapping[str, Any]) -> AnonymiseConfig:
    """What is blurred and how, from the options that were given.

    Raises:
        InputError, ValueError: a value that makes no sense.
    """
    from cityguessr_data.stages.anonymise import AnonymiseConfig
    from cityguessr_data.vision.blur import BlurConfig
    from cityguessr_data.vision.retinaface.detector import DetectorConfig

    given = partial(_given, options)
    detector = given(
        name="detector",
        size_px="detector_size",
        scale="detector_scale",
        backend="detector_backend",
        nms_iou="nms",
        device="device",
        precision="precision",
    )
    return AnonymiseConfig(
        detector=DetectorConfig(**detector),
        blur=BlurConfig(**given(mode="blur", kernel_px="blur_kernel", sigma_px="blur_sigma")),
        **given(conf="conf"),
    )


def scene_config(options: Mapping[str, Any]) -> SceneConfig:
    """Which scene model runs and how its answers count, from the options that were given.

    Raises:
        InputError: a value that makes no sense.
    """
    from cityguessr_data.vision.scenes import SceneConfig

    return SceneConfig(
        **_given(options, model="scene_model", parents="scene_parents", device="device", precision="precision")
    )


def _given(options: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Keyword arguments of a dataclass from the options that were given: field=option."""
    return {field: options[option] for field, option in names.items() if option in options}


def _default_cache(out: Path) -> Path:
    """OUT.cache beside OUT; `.` and `..` have no name of their own and get that of the folder they mean."""
    from cityguessr_data.core.errors import InputError

    named = out.resolve() if out.name in ("", "..") else out
    if not named.name:
        raise InputError(f"nothing can lie beside --out {out}", "Choose another --out, or give --cache")
    return named.with_name(named.name + ".cache")


def clip_frames(text: str) -> tuple[int, int]:
    from cityguessr_data.core.errors import InputError

    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if not match:
        raise InputError(f"--clip-frames {text!r} is no range", "Give LOW-HIGH, e.g. 800-900")
    return int(match[1]), int(match[2] or match[1])
