"""What a run is told: data, network, text encoder, training. Typed and checked.

No torch here: the command line prints and checks settings without it. Every value is a number, a text or a switch, so
that a configuration survives TOML and JSON; the presets are in presets.py, TOML and `--set` in
config_text.py, and docs/choices.md says why.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import Level

from .models.config import IMAGENET_MEAN, IMAGENET_STD, ModelConfig, widths_of
from .models.image_encoders import canonical
from .pack.layout import PackConfig, PixelFormat
from .pack.sampling import Pick, Sampling

RANDOM = "random"
"""As `network.weights`: no checkpoint, random weights."""
Part = Literal["train", "val", "test"]
Watch = Literal["none", "val", "test"]
SceneTarget = Literal["soft", "majority"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class DataConfig:
    """Which pixels of a clip the model sees."""

    frames: int = 16
    """Frames of a clip that go into the model."""
    stored_frames: int = 16
    """Frames of a clip in the pack, a multiple of `frames`. Of more than `frames`, training draws one out of each equal
    stretch, anew in every epoch; evaluation takes the first of each stretch."""
    size_px: int = 224
    """Side of a frame; its picture is squeezed to a square (paper and released code). With features it is not looked
    at: their encoder has a size of its own."""
    sampling: Sampling = "uniform"
    """Which of the saved frames: see pack/sampling.py."""
    pick: Pick = "spread"
    """`spread`: `frames` of the stored ones, as above. Of one frame also `first`, `middle`, `last` or `random` of the
    stored ones (paper 5.3); a random one is drawn anew in every epoch, and for scoring once for each clip."""
    format: PixelFormat = "uint8"
    """How the pack stores them: `uint8`, or `jpeg` (a tenth of the bytes, and slightly other pixels)."""
    features: str = ""
    """Of models that take cached features: whose, by clip, dinov2, a hub id or a folder; empty: pixels."""

    @property
    def pack(self) -> PackConfig:
        """The pack that such a run needs; of features without what only their encoder knows (data.with_encoder)."""
        if self.features:
            encoder = canonical(self.features)
            return PackConfig(self.stored_frames, sampling=self.sampling, format="features", encoder=encoder)
        return PackConfig(self.stored_frames, self.size_px, self.sampling, self.format)


@dataclass(frozen=True)
class NetworkConfig:
    """The network but for its widths, which follow the data's classes and the text encoder."""

    weights: str = "MCG-NJU/videomae-small-finetuned-kinetics"
    """Where the backbone starts: a hub id, a local folder, or `random`. A checkpoint's config.json has the last word on
    hidden, layers, heads, mlp_ratio, patch_px and tubelet."""
    hidden: int = 384
    layers: int = 12
    heads: int = 6
    mlp_ratio: int = 4
    patch_px: int = 16
    tubelet: int = 2
    final_norm: bool = False
    scenes: bool = True
    """The scene branch (paper 4.3). Without any scene label in the data it is left out, and the run says so."""
    n_scenes: int = 16
    """Scene classes: the 16 of the paper, or all 365 categories (supplement, Table 1)."""
    tla: bool = True
    """TextLabel Alignment (paper 4.4)."""
    ffn_t_layers: int = 3
    decoder_layers: int = 8
    """Of a query decoder, in the models that have one (geodecoder)."""
    normalise: Literal["imagenet", "local", "none"] = "imagenet"
    """How pixels in [0, 1] are shifted and scaled: by ImageNet's mean and standard deviation; each pixel by those of
    its surroundings, which takes out tint, exposure and haze; or not at all."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time, the same result."""


@dataclass(frozen=True)
class TextConfig:
    """Where the targets of TextLabel Alignment come from."""

    encoder: str = "clip"
    """clip, bert, gpt2, opt, minilm, a hub id or a folder; d_t follows it. random-clip, -bert, -gpt2 and -opt are tiny
    ones with random weights, which know nothing of places."""
    strategy: Literal["all", "city"] = "all"
    """Mean over the names at the four levels, or the city's name alone."""


@dataclass(frozen=True)
class TrainConfig:
    """How weights are found."""

    epochs: int = 10
    batch: int = 12
    """Clips of a step, over all processes together."""
    optimiser: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    """Of AdamW; not applied to biases and norms."""
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = 0.0
    """Share of all steps in which the rate rises from 0."""
    grad_clip: float = 0.0
    """Longest gradient, by its norm; 0: not clipped."""
    augment: Literal["none", "light", "strong"] = "none"
    """`light`: crop, brightness, contrast and colour balance, the same for all frames of a clip. `strong`: also the
    colours mixed with each other, and half of the clips as negatives. Never a flip: the side of the road is a cue."""
    scene_target: SceneTarget = "soft"
    """What L_scene compares with: a clip's `soft` label, or all of it on its `majority` class (paper, Table 3)."""
    tla_reduction: Literal["mean", "sum"] = "mean"
    """Of L_TLA over the batch."""
    precision: Precision = "fp32"
    compile: bool = False
    """torch.compile on the model."""
    watch: Watch = "none"
    """The part of the split that is scored after every epoch."""
    report: Literal["last", "best"] = "last"
    """Which weights `evaluate` takes: those of the last epoch, or of the best city top-1 on the watched part."""
    seed: int = 0
    shuffle_labels: bool = False
    """A control: training clips get each other's labels (scenes stay). What it scores on test must be the prior."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers, but for the data itself.

    Raises:
        InputError: a value that no run can be made from; the message names the setting.
    """

    model: str = "cityguessr"
    """A name of the registry (models/)."""
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    text: TextConfig = field(default_factory=TextConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        for section in dataclasses.fields(self)[1:]:
            part = getattr(self, section.name)
            for name, kind in typing.get_type_hints(type(part)).items():
                _check_value(f"{section.name}.{name}", getattr(part, name), kind)
        data, train = self.data, self.train
        for name in ("frames", "stored_frames"):
            _check(getattr(data, name) > 0, f"data.{name}", "must be over 0")
        _check(data.size_px >= 8, "data.size_px", "must be 8 or more")
        _check(data.stored_frames % data.frames == 0, "data.stored_frames", "must be a multiple of data.frames")
        _check(
            data.sampling == "uniform" or (data.stored_frames == 16 and data.frames in (1, 16)),
            "data.sampling",
            "takes 16 frames when it is authors: set data.stored_frames to 16, and data.frames to 16 or 1",
        )
        _check(
            data.pick == "spread" or data.frames == 1, "data.pick", f"{data.pick} is one frame: set data.frames to 1"
        )
        _check(self.network.n_scenes in (16, 365), "network.n_scenes", "can be 16 or 365")
        for name in ("epochs", "batch", "lr"):
            _check(getattr(train, name) > 0, f"train.{name}", "must be over 0")
        for name in ("weight_decay", "grad_clip"):
            _check(getattr(train, name) >= 0, f"train.{name}", "cannot be negative")
        _check(0 <= train.warmup < 1, "train.warmup", "is a share of the steps, from 0 to below 1")
        _check(train.seed >= 0, "train.seed", "cannot be negative")
        _check(
            train.report == "last" or train.watch != "none",
            "train.report",
            "can be best only when train.watch is val or test",
        )

    def model_config(self, n_classes: Mapping[Level, int], d_t: int, *, scenes: bool) -> ModelConfig:
        """The network's settings for a data set.

        Args:
            n_classes: classes by level.
            d_t: width of the text encoder's vectors; not looked at without TLA.
            scenes: whether the data has scene labels.
        Raises:
            InputError: settings that do not fit together.
        """
        own = {
            spec.name: getattr(self.network, spec.name)
            for spec in dataclasses.fields(NetworkConfig)
            if spec.name not in ("weights", "normalise", "scenes")
        }
        widths: dict[str, Any] = dict(widths_of(n_classes))
        return ModelConfig(
            **widths | own,
            scenes=self.network.scenes and scenes,
            d_t=d_t,
            frames=self.data.frames,
            size_px=self.data.size_px,
            mean=IMAGENET_MEAN if self.network.normalise == "imagenet" else None,
            std=IMAGENET_STD if self.network.normalise == "imagenet" else None,
            local_contrast=self.network.normalise == "local",
        )

    def changed(self, settings: Mapping[str, Any], source: str) -> Self:
        """A copy with some settings replaced.

        Args:
            settings: nested tables as a TOML file gives them, e.g. {"train": {"lr": 1e-4}}.
            source: what messages call them, e.g. the file's name.
        Raises:
            InputError: an unknown setting, with the known ones, or a value that does not fit.
        """
        made: dict[str, Any] = {}
        for name, value in settings.items():
            if name == "model":
                made[name] = value
                continue
            part = getattr(self, name, None)
            if not dataclasses.is_dataclass(part) or not isinstance(value, Mapping):
                known = ", ".join(("model", *(f"[{spec.name}]" for spec in dataclasses.fields(self)[1:])))
                raise InputError(f"{source}: {name!r} is no setting of a run", f"There are: {known}")
            fields = {spec.name for spec in dataclasses.fields(part)}
            if unknown := sorted(set(value) - fields):
                raise InputError(
                    f"{source}: {name}.{unknown[0]} is no setting of a run",
                    f"[{name}] has: {', '.join(sorted(fields))}",
                )
            hints = typing.get_type_hints(type(part))
            fitting = {k: float(v) if hints[k] is float and type(v) is int else v for k, v in value.items()}
            made[name] = dataclasses.replace(part, **fitting)  # type: ignore[type-var]
        return dataclasses.replace(self, **made)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, settings: Mapping[str, Any], source: str) -> Self:
        """From what `to_dict` gives; settings that are not there have their default.

        Raises:
            InputError: as `changed`.
        """
        return cls().changed(settings, source)


def _check(holds: bool, name: str, rule: str) -> None:
    if not holds:
        raise InputError(f"{name} {rule}", "Mend the preset, the file or --set")


def _check_value(name: str, value: Any, hint: Any) -> None:
    if typing.get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"{name} is {value!r}", f"Give one of: {', '.join(get_args(hint))}")
        return
    if type(value) is not hint:
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[hint]
        raise InputError(f"{name} is {value!r}", f"Give {kind}")
    if hint is float and value != value:
        raise InputError(f"{name} is not a number", "Give a number")
