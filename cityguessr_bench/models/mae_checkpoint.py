"""Published ViT-MAE weights into our image encoder.

The published files hold the encoder under `vit.` and the decoder of the pre-training, which is left out. They use the
names of the library's first version; those of its present classes are others.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor
from transformers import ViTMAEConfig

from .checkpoint_geometry import SPACE, Family, adopt_geometry, check_geometry
from .checkpoint_state import put_state, read_encoder
from .config import ModelConfig
from .hub_folder import find_folder
from .mae_encoder import MAEEncoder

VIT_B = "facebook/vit-mae-base"
"""MAE ViT-B, pre-trained on ImageNet-1k without labels. No ViT-S of MAE is public."""

VIT_MAE = Family(
    "vit_mae",
    "ViT-MAE",
    VIT_B,
    ViTMAEConfig,
    SPACE,
    {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_channels": 3, "qkv_bias": True},
)
_NEW_NAMES = (
    (r"^encoder\.layer\.", "layers."),
    (r"\.attention\.attention\.query\.", ".attention.q_proj."),
    (r"\.attention\.attention\.key\.", ".attention.k_proj."),
    (r"\.attention\.attention\.value\.", ".attention.v_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)
"""Published -> present names, in this order."""


def adopt_mae(source: str | Path, config: ModelConfig) -> ModelConfig:
    """`config` with the geometry of a ViT-MAE checkpoint.

    Raises:
        WeightsError, InputError: as checkpoint_geometry.adopt_geometry.
    """
    return adopt_geometry(source, config, VIT_MAE)


def load_mae(encoder: MAEEncoder, source: str | Path, config: ModelConfig) -> None:
    """Put a checkpoint into an encoder.

    Args:
        source: a folder in the hub's layout, or a hub id.
    Raises:
        WeightsError: no such checkpoint, an unreadable one, or a tensor that is missing, unexpected or misshapen.
        InputError: the checkpoint is of another geometry.
    """
    folder = find_folder(source)
    check_geometry(folder, config, VIT_MAE)
    put_state(encoder.vit, read_mae_state(folder, final_norm=config.final_norm), folder, VIT_MAE.kind, VIT_B)


def read_mae_state(folder: Path, *, final_norm: bool = False) -> dict[str, Tensor]:
    """The encoder's tensors of a file, by the names of ViTMAEModel in transformers 5.

    Raises:
        WeightsError: unreadable, or two tensors for one place.
    """
    return read_encoder(
        folder, "vit.", ("decoder.",), _present, lambda place: place.startswith("layernorm.") and not final_norm
    )


def _present(name: str) -> str:
    for old, new in _NEW_NAMES:
        name = re.sub(old, new, name)
    return name
