"""Checkpoints under the exact names and shapes of the published ViT-MAE and TimeSformer files, with random numbers.

Written out from the files on the hub (facebook/vit-mae-base, facebook/timesformer-base-finetuned-k400), not from our
classes or from the library's of today, whose names are others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from cityguessr_bench.models import ModelConfig

Shapes = dict[str, tuple[int, ...]]
N_LABELS = 400


def mae_shapes(config: ModelConfig, *, width: int = 8, layers: int = 1) -> Shapes:
    """Of ViTMAEForPreTraining: the encoder, and a decoder of that width and depth (published: 512 and 8)."""
    n, p = (config.size_px // config.patch_px) ** 2 + 1, config.patch_px
    shapes = _vit_start("vit.", config, n)
    for i in range(config.layers):
        shapes |= _mae_layer(f"vit.encoder.layer.{i}.", config.hidden, config.intermediate)
    shapes |= _norm("vit.layernorm", config.hidden)
    shapes |= {"decoder.mask_token": (1, 1, width), "decoder.decoder_pos_embed": (1, n, width)}
    shapes |= _linear("decoder.decoder_embed", config.hidden, width)
    for i in range(layers):
        shapes |= _mae_layer(f"decoder.decoder_layers.{i}.", width, 4 * width)
    return shapes | _norm("decoder.decoder_norm", width) | _linear("decoder.decoder_pred", width, 3 * p * p)


def timesformer_shapes(config: ModelConfig, n_frames: int) -> Shapes:
    """Of TimesformerForVideoClassification, for that number of frames."""
    h = config.hidden
    shapes = _vit_start("timesformer.", config, (config.size_px // config.patch_px) ** 2 + 1)
    shapes |= {"timesformer.embeddings.time_embeddings": (1, n_frames, h)}
    for i in range(config.layers):
        layer = f"timesformer.encoder.layer.{i}."
        for attention in ("attention", "temporal_attention"):
            shapes |= _linear(f"{layer}{attention}.attention.qkv", h, 3 * h)
            shapes |= _linear(f"{layer}{attention}.output.dense", h, h)
        shapes |= _linear(f"{layer}temporal_dense", h, h)
        shapes |= _linear(f"{layer}intermediate.dense", h, config.intermediate)
        shapes |= _linear(f"{layer}output.dense", config.intermediate, h)
        for norm in ("layernorm_before", "layernorm_after", "temporal_layernorm"):
            shapes |= _norm(layer + norm, h)
    return shapes | _norm("timesformer.layernorm", h) | _linear("classifier", h, N_LABELS)


def random_state(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Not a zero among them: biases too."""
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=g) * 0.3 for name, shape in shapes.items()}


def write_folder(folder: Path, config: ModelConfig, state: dict[str, Tensor], **stated: Any) -> Path:
    """A folder as the hub lays it out; `stated`: what of config.json is not the geometry, model_type at least."""
    folder.mkdir(parents=True, exist_ok=True)
    geometry = {
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "image_size": config.size_px,
        "patch_size": config.patch_px,
        "num_channels": 3,
        "hidden_act": "gelu",
        "qkv_bias": True,
    }
    (folder / "config.json").write_text(json.dumps(geometry | stated))
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


def write_mae(folder: Path, config: ModelConfig, state: dict[str, Tensor] | None = None, **stated: Any) -> Path:
    """A folder like that of facebook/vit-mae-base: three quarters of the patches are dropped by its config.json."""
    about = {
        "architectures": ["ViTMAEForPreTraining"],
        "model_type": "vit_mae",
        "layer_norm_eps": 1e-12,
        "decoder_hidden_size": 8,
        "decoder_intermediate_size": 32,
        "decoder_num_attention_heads": 2,
        "decoder_num_hidden_layers": 1,
        "mask_ratio": 0.75,
        "norm_pix_loss": False,
    }
    return write_folder(folder, config, state or random_state(mae_shapes(config)), **(about | stated))


def write_timesformer(
    folder: Path, config: ModelConfig, n_frames: int, state: dict[str, Tensor] | None = None, **stated: Any
) -> Path:
    """A folder like that of facebook/timesformer-base-finetuned-k400, for that number of frames."""
    about = {
        "architectures": ["TimesformerForVideoClassification"],
        "model_type": "timesformer",
        "layer_norm_eps": 1e-6,
        "attention_type": "divided_space_time",
        "drop_path_rate": 0,
        "num_frames": n_frames,
        "num_labels": N_LABELS,
    }
    state = state or random_state(timesformer_shapes(config, n_frames))
    return write_folder(folder, config, state, **(about | stated))


def _vit_start(prefix: str, config: ModelConfig, n_tokens: int) -> Shapes:
    h, p = config.hidden, config.patch_px
    return {
        f"{prefix}embeddings.cls_token": (1, 1, h),
        f"{prefix}embeddings.position_embeddings": (1, n_tokens, h),
        f"{prefix}embeddings.patch_embeddings.projection.weight": (h, 3, p, p),
        f"{prefix}embeddings.patch_embeddings.projection.bias": (h,),
    }


def _mae_layer(prefix: str, h: int, m: int) -> Shapes:
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= _linear(f"{prefix}attention.attention.{part}", h, h)
    shapes |= _linear(f"{prefix}attention.output.dense", h, h)
    shapes |= _linear(f"{prefix}intermediate.dense", h, m) | _linear(f"{prefix}output.dense", m, h)
    return shapes | _norm(f"{prefix}layernorm_before", h) | _norm(f"{prefix}layernorm_after", h)


def _linear(name: str, width_in: int, width_out: int) -> Shapes:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
