"""The models by name. The registry holds functions that build, so that reading the names imports no torch.

Every model takes clips (B, T, 3, H, W), or the cached features of their frames (B, T, D), with the clips' scene labels
(B, 16), and answers a GeoOutput (scores.py). CityGuessr is the paper's; docs/add-a-model.md shows how to add one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
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
    needs_scenes: bool = False
    """Looks at the clips' scene labels to say where they are; those of L_scene are another matter."""
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
        raise InputError(
            f"there is no model {name!r}",
            f"Give one of: {', '.join(sorted(MODELS))}; or its file: bench --plugin FILE.py",
        )
    return MODELS[name]


def build_model(name: str, config: ModelConfig) -> nn.Module:
    """A model of that name with random weights, on the CPU, in float32 (torch's global generator draws them).

    Raises:
        InputError: no model has that name, or its settings or its own file do not let it be built.
    """
    entry = find_model(name)
    try:
        return entry.build(config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        fault = f"the model {name} cannot be built: {type(exc).__name__}: {exc}"
        raise InputError(fault, "Mend its settings or its file (docs/add-a-model.md)") from exc


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
    name = f"cgtool_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file", "Name one that ends in .py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # dataclasses and pickle look for it there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        raise InputError(f"{path} fails: {type(exc).__name__}: {exc}", "Mend it; docs/add-a-model.md has one") from exc
    added = tuple(name for name in MODELS if name not in before)
    if not added:
        raise InputError(f"{path} registers no model", "Call register(name, ModelEntry(...)) in it")
    return added


def _later(module: str, name: str) -> Callable[..., Any]:
    """The class or function `name` of a file beside this one, imported when it is called: it brings torch with it."""

    def call(*given: Any) -> Any:
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)(*given)

    return call


def _load_videomae(model: Any, source: str, config: ModelConfig) -> None:
    from .checkpoint import load_backbone

    model.backbone = load_backbone(source, config)


_HEADS_ALONE = {"scenes": False, "tla": False}
_ONE_FRAME = {"frames": 1, "pick": "random"}
"""The random frame was the best of four, and is what the paper gives all image models (5.3, 5.7)."""
_VIT_B = {"hidden": 768, "layers": 12, "heads": 12}

register(
    "cityguessr",
    ModelEntry(
        _later("cityguessr", "CityGuessr"),
        "the paper's: VideoMAE, Self-Cross Attention, scenes, TextLabel Alignment",
        adopt=_later("checkpoint_geometry", "adopt_geometry"),
        load=_load_videomae,
    ),
)
register(
    "videomae",
    ModelEntry(
        _later("cityguessr", "CityGuessr"),
        "VideoMAE and the four heads alone (paper, Tables 2, 3, 5, 6)",
        settings={"network": _HEADS_ALONE},
        adopt=_later("checkpoint_geometry", "adopt_geometry"),
        load=_load_videomae,
    ),
)
register(
    "timesformer",
    ModelEntry(
        _later("timesformer", "Timesformer"),
        "TimeSformer with divided attention and the four heads (paper, Table 5)",
        settings={"network": {**_HEADS_ALONE, "tubelet": 1}},
        full_size={"network": {"weights": "facebook/timesformer-base-finetuned-k400", **_VIT_B}},
        adopt=_later("timesformer", "adopt"),
        load=_later("timesformer", "load"),
    ),
)
for _name, _module, _class, _about, _network in (
    ("mae", "mae", "FrameMAE", "ViT-MAE on one frame, and the four heads (paper, Table 2)", _HEADS_ALONE),
    (
        "planet",
        "mae",
        "FrameMAE",
        "mae by the name of Table 5, where PlaNet's row is that of MAE with the random frame",
        _HEADS_ALONE,
    ),
    (
        "isns",
        "isns",
        "SceneNetworks",
        "three of mae, for indoor, natural and urban scenes, chosen by the clip's scene label (paper, Table 5)",
        _HEADS_ALONE,
    ),
    (
        "geodecoder",
        "geodecoder",
        "GeoDecoder",
        "mae's tokens, and a decoder with a query for each level and scene (paper, Table 5)",
        {"tla": False, "final_norm": True},
    ),
):
    register(
        _name,
        ModelEntry(
            _later(_module, _class),
            _about,
            settings={"data": _ONE_FRAME, "network": {**_network, "tubelet": 1}},
            full_size={"network": {"weights": "facebook/vit-mae-base", **_VIT_B}},
            adopt=_later("mae_checkpoint", "adopt_mae"),
            load=_later(_module, "load"),
            needs_scenes=_name == "isns",
        ),
    )

_FEATURES: Settings = {
    "data": {"features": "clip"},
    "network": {**_HEADS_ALONE, "weights": "random"},
    "train": {"augment": "none"},
}
"""Of a frozen encoder: what is learnt on top of it starts at random, and there are no pixels to change."""
register(
    "frozen",
    ModelEntry(
        _later("frozen", "FrozenTemporal"),
        "temporal attention over cached features of a frozen CLIP or DINOv2, and the four heads (the idea is VidTAG's)",
        settings={**_FEATURES, "network": {**_FEATURES["network"], "layers": 2}},
        full_size={"network": {"hidden": 512, "heads": 8}},
        takes="features",
    ),
)
register(
    "prototypes",
    ModelEntry(
        _later("prototypes", "Prototypes"),
        "retrieval: the most similar mean of a class's cached features; fitted in one pass, without gradients",
        settings={**_FEATURES, "train": {**_FEATURES["train"], "epochs": 1}},
        takes="features",
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
