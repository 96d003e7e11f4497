"""Whether a published checkpoint is of a model's geometry, by its config.json.

Shapes alone cannot tell: the number of attention heads, the frames and the frame size leave no trace in the tensors
(the position code is computed), and the model would be another one without an error.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from transformers import VideoMAEConfig

from cityguessr_data.core.errors import InputError, WeightsError

from .config import ModelConfig
from .hub_folder import find_folder

FINE_TUNED = "MCG-NJU/videomae-small-finetuned-kinetics"
"""What the released code starts from: VideoMAE ViT-S fine-tuned on Kinetics-400."""

_SAME_NAME = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_frames": "frames",
    "image_size": "size_px",
    "patch_size": "patch_px",
    "tubelet_size": "tubelet",
}
"""config.json -> ModelConfig."""
_FIXED = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_channels": 3}
"""What our backbone does not let vary."""


def adopt_geometry(source: str | Path, config: ModelConfig) -> ModelConfig:
    """`config` with the backbone geometry of a checkpoint, as its config.json states it.

    15 frames stay 15 where the checkpoint has 16, since the last is repeated.

    Raises:
        WeightsError: no such checkpoint, or of another architecture.
        InputError: a geometry that ModelConfig refuses.
    """
    return dataclasses.replace(config, **_differences(find_folder(source), config))


def check_geometry(folder: Path, config: ModelConfig) -> None:
    """Raise unless the checkpoint in `folder` is of the geometry of `config`.

    Raises:
        WeightsError: no readable config.json, or of another architecture.
        InputError: another geometry; the message has both sides of every difference.
    """
    differs = _differences(folder, config)
    if differs:
        told = ", ".join(
            f"{name} {value} (the model's settings say {_ours(config)[name]})" for name, value in differs.items()
        )
        raise InputError(f"{folder} has {told}", "Set the model's settings to the checkpoint's")


def _differences(folder: Path, config: ModelConfig) -> dict[str, Any]:
    """ModelConfig fields in which the checkpoint differs, with its values."""
    path = folder / "config.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{path} cannot be read ({exc})", "Fetch the file again") from exc
    if not isinstance(stated, dict) or stated.get("model_type") != "videomae":
        raise WeightsError(f"{path} is not of a VideoMAE model", f"Give one, e.g. {FINE_TUNED}")
    # such a file leaves out what is the library's default
    theirs = {**VideoMAEConfig().to_dict(), **stated}
    for name, ours in _FIXED.items():
        if theirs[name] != ours:
            raise WeightsError(f"{path}: {name} is {theirs[name]}, and this backbone has {ours}", "Give another one")
    found = {field: theirs[name] for name, field in _SAME_NAME.items()}
    ratio = theirs["intermediate_size"] / theirs["hidden_size"]
    found["mlp_ratio"] = int(ratio) if ratio.is_integer() else ratio
    ours_now = _ours(config)
    return {field: value for field, value in found.items() if value != ours_now[field]}


def _ours(config: ModelConfig) -> dict[str, Any]:
    return {**dataclasses.asdict(config), "frames": config.backbone_frames}
