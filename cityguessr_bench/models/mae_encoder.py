"""The image encoder of the frame models: ViT-MAE of the transformers library, with every patch kept (paper 5.3).

The library's class is the pre-training one: it drops 75 % of the patches, in training and at inference, and shuffles
the rest by random numbers. Here the ratio is 0 and the order is given, so nothing is dropped, shuffled or drawn.
And releases of transformers 5 leave the code of the patches' places at zero without a checkpoint: it is made here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, ViTMAEConfig

from cityguessr_data.core.errors import InputError

from .config import ModelConfig
from .videomae import recompute_activations


class MAEEncoder(nn.Module):
    """A plain ViT on one frame; 85,645,824 parameters for ViT-B, with random weights.

    A frame's feature is the mean over its patch tokens, without the class token and without a norm (but with
    `final_norm`). MAE's authors fine-tune on that mean, since nothing in the pre-training teaches the class token
    anything; and it is what our VideoMAE does with its tokens, so that Table 2 compares frames with clips and nothing
    else. The code of places is fixed, as MAE's is.

    Raises:
        InputError: a clip of several frames, or a width that has no code of places.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.frames != 1 or config.tubelet != 1:
            raise InputError(
                f"this model takes one frame of a clip, and is to be given {config.frames} in tubelets of "
                f"{config.tubelet}",
                "Give --set data.frames=1 --set network.tubelet=1",
            )
        if config.hidden % 4:
            raise InputError(
                f"hidden ({config.hidden}) is no multiple of 4, as this model's code of places needs", "Mend the option"
            )
        auto: Any = AutoModel  # its methods have no types
        self.vit = auto.from_config(vit_mae_config(config), attn_implementation=config.attention)
        if not config.final_norm:
            self.vit.layernorm = nn.Identity()
        _give_places(self.vit.embeddings, config)
        in_order = torch.arange((config.size_px // config.patch_px) ** 2, dtype=torch.float32)
        self.register_buffer("in_order", in_order[None], persistent=False)
        if config.checkpointing:
            recompute_activations(self.vit)

    in_order: Tensor

    def tokens(self, pixels: Tensor) -> Tensor:
        """Normalised frames (B, 1, 3, H, W) -> (B, N, hidden): the patches of each row from left to right."""
        frames = pixels[:, 0]
        found = self.vit(frames, noise=self.in_order.expand(len(frames), -1)).last_hidden_state
        patches: Tensor = found[:, 1:]  # the class token is first
        return patches

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised frames (B, 1, 3, H, W) -> features (B, hidden)."""
        return self.tokens(pixels).mean(dim=1)


def vit_mae_config(config: ModelConfig) -> ViTMAEConfig:
    """The library's configuration of our geometry, with nothing dropped."""
    return ViTMAEConfig(
        image_size=config.size_px,
        patch_size=config.patch_px,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        mask_ratio=0.0,
    )


def place_code(n_rows: int, width: int) -> Tensor:
    """MAE's code of a square of patches: (1, 1 + n_rows^2, width), zeros for the class token, then row after row.

    A quarter of the numbers each: sin and cos of the column, then sin and cos of the row, at rates from 1 down towards
    1/10000. (The column comes first in the published checkpoints.)
    """
    rates = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(n_rows, dtype=torch.float64)[:, None] * rates
    of_one = torch.cat([angles.sin(), angles.cos()], dim=1)  # (n_rows, width / 2)
    column, row = of_one.repeat(n_rows, 1), of_one.repeat_interleave(n_rows, dim=0)
    return torch.cat([torch.zeros(1, width), torch.cat([column, row], dim=1).float()])[None]


def _give_places(embeddings: Any, config: ModelConfig) -> None:
    """As a buffer: it is in the state, and among no trained parameters. The class token is drawn as MAE draws it."""
    del embeddings.position_embeddings
    embeddings.register_buffer("position_embeddings", place_code(config.size_px // config.patch_px, config.hidden))
    nn.init.normal_(embeddings.cls_token, std=0.02)
