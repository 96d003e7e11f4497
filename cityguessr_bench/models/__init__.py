"""The models by name. The registry holds functions that build, so that reading the names imports no torch.

Every model takes clips (B, T, 3, H, W), or the cached features of their frames (B, T, D), with the clips' scene labels
(B, 16), and answers a GeoOutput (scores.py). CityGuessr is the paper's; docs/add-a-model.md shows how to add one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cityguessr_data.core.errors import InputError

from .config import ModelConfig

if TYPE_CHECKING:
    from torch import nn

Settings = Mapping[str, Mapping[str, Any]]
"""Settings of a run by section, as a TOML file gives them: {"data": {"frames": 1}}."""
Builder = Callable[[ModelConfig], "nn.Module"]
Adopt = Callable[[str, ModelConfig], ModelConfig]
Load = Callable[["nn.Module", str, ModelConfig], None]


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry."""

    build: Builder
    """Random weights, on the CPU, in float32."""
    about: str
    """What it is and where it comes from, in one line."""
    settings: Settings = field(default_factory=dict)
    """What it changes in every preset, e.g. one frame of a clip instead of 16."""
    full_size: Settings = field(default_factory=dict)
    """What it changes where the preset starts from published weights: its own checkpoint and that one's geometry."""
    adopt: Adopt | None = None
    """(source, config) -> the config with the geometry of the checkpoint `source`; None: it starts from no checkpoint.
    """
    load: Load | None = None
    """(model, source, config): puts the checkpoint's tensors into the model's encoder. A tensor that is missing, left
    over or of another shape is a WeightsError, and all are compared afterwards."""
    takes: Literal["frames", "features"] = "frames"
    """`features`: of frames, by a frozen encoder, kept in the pack (data.features)."""


MODELS: dict[str, ModelEntry] = {}


def register(name: str, entry: ModelEntry) -> None:
    """Make a model known by `name`.

    Raises:
        ValueError: the name is taken.
    """
    if name in MODELS:
        raise ValueError(f"the model {name!r} is registered twice")
    MODELS[name] = entry


def find_model(name: str) -> ModelEntry:
    """The entry of that name.

    Raises:
        InputError: no model has that name.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}", f"Give one of: {', '.join(sorted(MODELS))}")
    return MODELS[name]


def build_model(name: str, config: ModelConfig) -> nn.Module:
    """A model of that name with random weights, on the CPU, in float32 (torch's global generator draws them).

    Raises:
        InputError: no model has that name.
    """
    return find_model(name).build(config)


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Parameters by part of the model, in its own order, and their sum under `total`."""
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    counts["total"] = sum(p.numel() for p in model.parameters())
    return {name: count for name, count in counts.items() if count}


def load_plugin(path: Path) -> tuple[str, ...]:
    """Run a Python file that registers models of its own; the names that it added.

    Raises:
        InputError: no such file, it fails, or it registers nothing or a name that is taken.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", "Name a Python file that calls register(...)")
    before = set(MODELS)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file", "Name one that ends in .py")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as exc:
        raise InputError(f"{path} fails: {type(exc).__name__}: {exc}", "Mend it; docs/add-a-model.md has one") from exc
    added = tuple(name for name in MODELS if name not in before)
    if not added:
        raise InputError(f"{path} registers no model", "Call register(name, ModelEntry(...)) in it")
    return added


def _cityguessr(config: ModelConfig) -> nn.Module:
    from .cityguessr import CityGuessr

    return CityGuessr(config)


def _adopt_videomae(source: str, config: ModelConfig) -> ModelConfig:
    from .checkpoint_geometry import adopt_geometry

    return adopt_geometry(source, config)


def _load_videomae(model: nn.Module, source: str, config: ModelConfig) -> None:
    from .checkpoint import load_backbone

    model.backbone = load_backbone(source, config)


register(
    "cityguessr",
    ModelEntry(
        _cityguessr,
        "the paper's: VideoMAE, Self-Cross Attention, scenes, TextLabel Alignment",
        adopt=_adopt_videomae,
        load=_load_videomae,
    ),
)
register(
    "videomae",
    ModelEntry(
        _cityguessr,
        "VideoMAE and the four heads alone (paper, Tables 2, 3, 5, 6)",
        settings={"network": {"scenes": False, "tla": False}},
        adopt=_adopt_videomae,
        load=_load_videomae,
    ),
)

__all__ = [
    "MODELS",
    "ModelConfig",
    "ModelEntry",
    "build_model",
    "find_model",
    "load_plugin",
    "parameter_counts",
    "register",
]
