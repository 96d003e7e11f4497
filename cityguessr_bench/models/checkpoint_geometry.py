"""Whether a published checkpoint is of a model's geometry, by its config.json.

Shapes alone cannot tell: the number of attention heads, the frames and the frame size can leave no trace in the tensors
(a position code may be computed), and the model would be another one without an error.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import VideoMAEConfig

from cityguessr_data.core.errors import InputError, WeightsError

from .config import ModelConfig
from .hub_folder import find_folder

FINE_TUNED = "MCG-NJU/videomae-small-finetuned-kinetics"
"""What the released code starts from: VideoMAE ViT-S fine-tuned on Kinetics-400."""


@dataclass(frozen=True)
class Family:
    """The checkpoints of one architecture."""

    model_type: str
    """As config.json says it."""
    name: str
    """As people say it."""
    example: str
    """A hub id."""
    defaults: Callable[[], Any]
    """The library's configuration class: a file leaves out what is the default there."""
    same_name: Mapping[str, str]
    """config.json -> ModelConfig."""
    fixed: Mapping[str, Any]
    """What our encoder does not let vary."""

    @property
    def kind(self) -> str:
        """For messages."""
        return f"a {self.name} checkpoint"


SPACE = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "image_size": "size_px",
    "patch_size": "patch_px",
}
"""What every vision transformer of the library states."""

VIDEOMAE = Family(
    "videomae",
    "VideoMAE",
    FINE_TUNED,
    VideoMAEConfig,
    {**SPACE, "num_frames": "frames", "tubelet_size": "tubelet"},
    {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_channels": 3},
)


def adopt_geometry(source: str | Path, config: ModelConfig, family: Family = VIDEOMAE) -> ModelConfig:
    """`config` with the backbone geometry of a checkpoint, as its config.json states it.

    15 frames stay 15 where a VideoMAE checkpoint has 16, since the last is repeated.

    Raises:
        WeightsError: no such checkpoint, or of another architecture.
        InputError: a geometry that ModelConfig refuses.
    """
    return dataclasses.replace(config, **_differences(find_folder(source), config, family))


def check_geometry(folder: Path, config: ModelConfig, family: Family = VIDEOMAE) -> None:
    """Raise unless the checkpoint in `folder` is of the geometry of `config`.

    Raises:
        WeightsError: no readable config.json, or of another architecture.
        InputError: another geometry; the message has both sides of every difference.
    """
    differs = _differences(folder, config, family)
    if differs:
        told = ", ".join(
            f"{name} {value} (the model's settings say {_ours(config)[name]})" for name, value in differs.items()
        )
        raise InputError(f"{folder} has {told}", "Set the model's settings to the checkpoint's")


def stated_config(folder: Path, family: Family) -> dict[str, Any]:
    """A checkpoint's config.json, with the library's defaults for what it leaves out.

    Raises:
        WeightsError: not there, unreadable, or of another architecture.
    """
    path = folder / "config.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{path} cannot be read ({exc})", "Fetch the file again") from exc
    if not isinstance(stated, dict) or stated.get("model_type") != family.model_type:
        raise WeightsError(f"{path} is not of a {family.name} model", f"Give one, e.g. {family.example}")
    theirs = {**family.defaults().to_dict(), **stated}
    for name, ours in family.fixed.items():
        if theirs[name] != ours:
            raise WeightsError(f"{path}: {name} is {theirs[name]}, and this backbone has {ours}", "Give another one")
    return theirs


def _differences(folder: Path, config: ModelConfig, family: Family) -> dict[str, Any]:
    """ModelConfig fields in which the checkpoint differs, with its values."""
    theirs = stated_config(folder, family)
    found = {field: theirs[name] for name, field in family.same_name.items()}
    ratio = theirs["intermediate_size"] / theirs["hidden_size"]
    found["mlp_ratio"] = int(ratio) if ratio.is_integer() else ratio
    ours_now = _ours(config)
    return {field: value for field, value in found.items() if value != ours_now[field]}


def _ours(config: ModelConfig) -> dict[str, Any]:
    return {**dataclasses.asdict(config), "frames": config.backbone_frames}
