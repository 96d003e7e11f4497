"""How a table of links is built again: the command, and the options of the build in the file that it reads."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any


def rebuild_command(table: str, config: str, *, private: bool) -> str:
    """The command that builds the clips from the links; as a shell takes it.

    Args:
        private: whether a link leads to a private network.
    """
    further = ["--allow-private-hosts"] if private else []
    return shlex.join(["cgtool", "build-dataset", table, "--config", config, "--out", "OUT", *further])


def build_toml(dataset: Mapping[str, Any], table: str, config: str, *, private: bool) -> str:
    """The options of the build in the names that `--config` takes; those of the machine are not among them."""
    told = dataset.get("config", {})
    clip, anonymise, scenes = (told.get(name, {}) for name in ("clip", "anonymise", "scenes"))
    detector, blur = anonymise.get("detector", {}), anonymise.get("blur", {})
    frames = f"{clip['min_frames']}-{clip['max_frames']}" if {"min_frames", "max_frames"} <= set(clip) else None
    options: dict[str, Any] = {
        "clip-frames": frames,
        "samples": clip.get("samples"),
        "min-duration": clip.get("min_duration_s"),
        "max-duration": clip.get("max_duration_s"),
        "min-height": clip.get("min_height_px"),
        "jpeg-quality": told.get("jpeg_quality"),
        "blur": blur.get("mode"),
        "blur-kernel": blur.get("kernel_px"),
        "blur-sigma": blur.get("sigma_px"),
        "conf": anonymise.get("conf"),
        "detector": detector.get("name"),
        "detector-size": detector.get("size_px"),
        "detector-scale": detector.get("scale"),
        "detector-backend": detector.get("backend"),
        "nms": detector.get("nms_iou"),
        "precision": detector.get("precision"),
        "scene-model": scenes.get("model"),
        "scene-parents": scenes.get("parents"),
    }
    head = [
        f"# Options that built this data set: {rebuild_command(table, config, private=private)}",
        f"# {dataset.get('name', '')} {dataset.get('version', '')}".rstrip(),
    ]
    if str(options["scene-model"]).endswith(".onnx"):
        head.append("# scene-model: put that file beside, or give --scene-model off")
    if private:
        head.append("# some links lead to a private network: only there, and with --allow-private-hosts")
    lines = [f"{name} = {_toml(value)}" for name, value in options.items() if value is not None]
    return "\n".join([*(" ".join(line.split()) for line in head), *lines]) + "\n"


def _toml(value: Any) -> str:
    """A TOML value: JSON's strings are TOML's basic strings."""
    return repr(value) if isinstance(value, int | float) else json.dumps(str(value))
