"""What a model is made of: every width and switch, checked on construction. No torch here: the command line reads it.

The defaults are the paper's model (section 5.2) where it gives a number, else the released code's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS, Level

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelConfig:
    """Geometry and parts of one model. Plain numbers, texts and tuples: it survives JSON and TOML.

    Raises:
        InputError: a value that no model can be built from; the message names the field.
    """

    n_city: int
    """Classes of the city head; every width below follows from the four counts."""
    n_state: int
    """Classes of the state head."""
    n_country: int
    """Classes of the country head."""
    n_continent: int
    """Classes of the continent head."""

    hidden: int = 384
    """Width of the backbone and of the clip's feature; 384 is ViT-S (paper 5.2)."""
    layers: int = 12
    """Transformer layers of the backbone."""
    heads: int = 6
    """Attention heads of the backbone. No weight's shape shows it: a checkpoint's config.json has the last word."""
    mlp_ratio: int = 4
    """Hidden width of a layer's MLP over `hidden`."""
    frames: int = 16
    """Frames of a clip as given. Where the tubelet does not divide it, the last frame is repeated: 15 becomes 16."""
    size_px: int = 224
    """Height and width of a frame."""
    patch_px: int = 16
    """Height and width of a patch."""
    tubelet: int = 2
    """Frames of a tubelet, one token's depth in time."""
    final_norm: bool = False
    """A LayerNorm on the tokens before their mean. Off as in the released code; only a pre-trained, not fine-tuned,
    checkpoint carries weights for it."""

    scenes: bool = True
    """The scene branch, FFN_s (4.3); off, the module does not exist."""
    n_scenes: int = 16
    """Scene classes d_s: 16, or 365 in the ablation of the supplement."""
    tla: bool = True
    """TextLabel Alignment, FFN_t (4.4); off, the module does not exist."""
    d_t: int = 512
    """Width of the text encoder's vectors."""
    ffn_t_layers: int = 3
    """Linear layers of FFN_t: 3 in the paper's words, 2 in the released code."""
    decoder_layers: int = 8
    """Layers of a query decoder, of the models that have one."""
    feature_dim: int = 0
    """Width of a frame's cached feature; 0: the model takes pixels."""

    mean: Triple | None = IMAGENET_MEAN
    """Per channel (R, G, B) of pixels in [0, 1]; None with `std` None: pixels are only scaled to [0, 1]."""
    std: Triple | None = IMAGENET_STD
    """Per channel, as `mean`."""
    local_contrast: bool = False
    """In place of `mean` and `std`, those of each pixel's surroundings in its frame and channel (pixels.py)."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """How the backbone computes attention; the result is the same up to rounding."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time. The result is the same."""

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # JSON and TOML give lists
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, tuple(float(x) for x in value))
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} is {value!r}, and must be a whole number of 1 or more", "Mend the option")
        _check(self.feature_dim >= 0, f"feature_dim is {self.feature_dim}, and cannot be negative")
        _check(self.hidden % self.heads == 0, f"hidden ({self.hidden}) is no multiple of heads ({self.heads})")
        _check(
            self.size_px % self.patch_px == 0, f"size_px ({self.size_px}) is no multiple of patch_px ({self.patch_px})"
        )
        _check(self.ffn_t_layers in (2, 3), f"ffn_t_layers is {self.ffn_t_layers}, and can be 2 or 3")
        _check(self.attention in ("sdpa", "eager"), f"attention is {self.attention!r}, and can be sdpa or eager")
        _check((self.mean is None) == (self.std is None), "only one of mean and std is given")
        _check(not self.local_contrast or self.mean is None, "local_contrast takes the place of mean and std")
        for triple in (self.mean, self.std):
            _check(triple is None or len(triple) == 3, "mean and std have one number for each of R, G and B")
        _check(self.std is None or min(self.std) > 0, f"std is {self.std}, and every number must be over 0")

    @property
    def classes(self) -> dict[Level, int]:
        """Classes by level, in the order city, state, country, continent."""
        return {"city": self.n_city, "state": self.n_state, "country": self.n_country, "continent": self.n_continent}

    @property
    def d(self) -> int:
        """Length of the vector PV: all class logits one after the other (4.3); 420 for the paper's classes."""
        return sum(self.classes.values())

    @property
    def backbone_frames(self) -> int:
        """`frames`, up to the next multiple of the tubelet."""
        return -(-self.frames // self.tubelet) * self.tubelet

    @property
    def intermediate(self) -> int:
        """Hidden width of a layer's MLP."""
        return self.hidden * self.mlp_ratio


def widths_of(n_classes: Mapping[Level, int]) -> dict[str, int]:
    """The four class counts as ModelConfig names them, from counts by level."""
    return {f"n_{level}": n_classes[level] for level in LEVELS}


_COUNTS = (
    *("n_city", "n_state", "n_country", "n_continent", "hidden", "layers", "heads", "mlp_ratio"),
    *("frames", "size_px", "patch_px", "tubelet", "n_scenes", "d_t", "ffn_t_layers", "decoder_layers"),
)


def _check(holds: bool, fault: str) -> None:
    if not holds:
        raise InputError(f"the model's settings do not fit: {fault}", "Mend the preset or the option")
