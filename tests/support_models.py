"""Tiny models, clips and checkpoints for the tests of the bench, and VideoMAE written out by hand in numpy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from scipy.special import erf
from torch import Tensor

from cityguessr_bench.losses import Targets
from cityguessr_bench.models import MODELS, ModelConfig
from cityguessr_data.core.types import LEVELS

Array = npt.NDArray[np.float64]

SMALL: dict[str, Any] = {
    "n_city": 5,
    "n_state": 4,
    "n_country": 3,
    "n_continent": 2,
    "hidden": 12,
    "layers": 2,
    "heads": 3,
    "frames": 4,
    "size_px": 16,
    "patch_px": 8,
    "d_t": 7,
    "n_scenes": 16,
}


def small_config(**changes: Any) -> ModelConfig:
    """A model small enough for any test: 8 tokens, width 12."""
    return ModelConfig(**{**SMALL, **changes})


def small_model(name: str, **changes: Any) -> ModelConfig:
    """The same for a model of the registry, with what its entry changes in every preset."""
    entry = MODELS[name]
    known = {spec.name for spec in dataclasses.fields(ModelConfig)}
    own = {key: v for section in entry.settings.values() for key, v in section.items() if key in known}
    more = {"feature_dim": 6} if entry.takes == "features" else {}
    return small_config(**{"decoder_layers": 2, **more, **own, **changes})


def random_clips(config: ModelConfig, n: int, seed: int = 0) -> Tensor:
    """uint8 noise (n, T, 3, H, W)."""
    shape = (n, config.frames, 3, config.size_px, config.size_px)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def random_inputs(config: ModelConfig, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What any model takes of n clips: frames or features, and scene labels (n, 16), the second clip's unknown."""
    g = torch.Generator().manual_seed(seed)
    scenes = torch.rand(n, 16, generator=g)
    scenes /= scenes.sum(1, keepdim=True)
    scenes[1:2] = torch.nan
    if config.feature_dim:
        return torch.randn(n, config.frames, config.feature_dim, generator=g), scenes
    return random_clips(config, n, seed), scenes


def random_targets(config: ModelConfig, n: int, seed: int = 0) -> Targets:
    """Random labels, soft scenes and text vectors for n clips."""
    g = torch.Generator().manual_seed(seed)
    labels = {level: torch.randint(0, config.classes[level], (n,), generator=g) for level in LEVELS}
    scenes = torch.rand(n, config.n_scenes, generator=g) + 0.01
    return Targets(labels, scenes / scenes.sum(1, keepdim=True), None, torch.randn(n, config.d_t, generator=g))


def hub_state(config: ModelConfig, *, kind: str = "fine-tuned", seed: int = 0) -> dict[str, Tensor]:
    """Random tensors under the names of the published files (of 2022 and 2023: `q_bias`, `v_bias`, no key bias)."""
    g = torch.Generator().manual_seed(seed)
    h, m, p = config.hidden, config.intermediate, config.patch_px
    shapes: dict[str, tuple[int, ...]] = {
        "videomae.embeddings.patch_embeddings.projection.weight": (h, 3, config.tubelet, p, p),
        "videomae.embeddings.patch_embeddings.projection.bias": (h,),
    }
    for i in range(config.layers):
        shapes |= _layer_shapes(f"videomae.encoder.layer.{i}.", h, m)
    if kind == "fine-tuned":
        shapes |= {"fc_norm.weight": (h,), "fc_norm.bias": (h,), "classifier.weight": (9, h), "classifier.bias": (9,)}
    else:
        shapes |= {"videomae.layernorm.weight": (h,), "videomae.layernorm.bias": (h,)}
        shapes |= {"mask_token": (1, 1, 6), "encoder_to_decoder.weight": (6, h), **_layer_shapes(_DECODER, 6, 24)}
        shapes |= {"decoder.norm.weight": (6,), "decoder.norm.bias": (6,), "decoder.head.weight": (4, 6)}
    return {name: torch.randn(shape, generator=g) * 0.3 for name, shape in shapes.items()}


def write_hub_folder(folder: Path, config: ModelConfig, state: dict[str, Tensor], *, pickled: bool = False) -> Path:
    """A checkpoint as the hub lays it out: config.json as transformers 4 wrote it, and one weights file."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = {
        "architectures": ["VideoMAEForVideoClassification"],
        "model_type": "videomae",
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "num_frames": config.backbone_frames,
        "image_size": config.size_px,
        "patch_size": config.patch_px,
        "tubelet_size": config.tubelet,
        "qkv_bias": True,
        "layer_norm_eps": 1e-12,
        "torch_dtype": "float32",
        "transformers_version": "4.20.0",
        "use_mean_pooling": True,
    }
    (folder / "config.json").write_text(json.dumps(stated))
    if pickled:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


def hand_written_feature(
    state: dict[str, Tensor], config: ModelConfig, pixels: Array, *, final_norm: bool = False
) -> Array:
    """VideoMAE in float64 numpy, straight from the tensors of a published file: pixels (T, 3, H, W) -> (hidden,)."""
    w = {name.removeprefix("videomae."): tensor.double().numpy() for name, tensor in state.items()}
    t, p, side = config.tubelet, config.patch_px, config.size_px // config.patch_px
    tokens = []
    for time in range(len(pixels) // t):
        for row in range(side):
            for column in range(side):
                block = pixels[time * t : (time + 1) * t, :, row * p : (row + 1) * p, column * p : (column + 1) * p]
                kernel = w["embeddings.patch_embeddings.projection.weight"]  # (hidden, 3, t, p, p)
                tokens.append(np.einsum("hctij,tcij->h", kernel, block))
    x = np.array(tokens) + w["embeddings.patch_embeddings.projection.bias"] + _positions(len(tokens), config.hidden)
    for i in range(config.layers):
        layer = {n.removeprefix(f"encoder.layer.{i}."): v for n, v in w.items() if n.startswith(f"encoder.layer.{i}.")}
        x = x + hand_written_attention(_norm(x, layer, "layernorm_before"), layer, config.heads)
        inner = _linear(_norm(x, layer, "layernorm_after"), layer, "intermediate.dense")
        x = x + _linear(inner * 0.5 * (1 + erf(inner / np.sqrt(2))), layer, "output.dense")
    if final_norm:
        x = _norm(x, w, "layernorm")
    return x.mean(axis=0)


def hand_written_attention(x: Array, layer: dict[str, Array], n_heads: int) -> Array:
    """One self-attention by its formula, (N, h) -> (N, h), with the biases under their published names."""
    q = x @ layer["attention.attention.query.weight"].T + layer["attention.attention.q_bias"]
    k = x @ layer["attention.attention.key.weight"].T
    v = x @ layer["attention.attention.value.weight"].T + layer["attention.attention.v_bias"]
    width = x.shape[1] // n_heads
    heads = []
    for start in range(0, x.shape[1], width):
        cut = slice(start, start + width)
        scores = np.exp(q[:, cut] @ k[:, cut].T / np.sqrt(width))
        heads.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, cut])
    return _linear(np.concatenate(heads, axis=1), layer, "attention.output.dense")


_DECODER = "decoder.decoder_layers.0."


def _layer_shapes(prefix: str, h: int, m: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "attention.attention.q_bias": (h,),
        "attention.attention.v_bias": (h,),
        "attention.attention.query.weight": (h, h),
        "attention.attention.key.weight": (h, h),
        "attention.attention.value.weight": (h, h),
        "attention.output.dense.weight": (h, h),
        "attention.output.dense.bias": (h,),
        "intermediate.dense.weight": (m, h),
        "intermediate.dense.bias": (m,),
        "output.dense.weight": (h, m),
        "output.dense.bias": (h,),
    }
    for norm in ("layernorm_before", "layernorm_after"):
        shapes |= {f"{norm}.weight": (h,), f"{norm}.bias": (h,)}
    return {prefix + name: shape for name, shape in shapes.items()}


def _positions(n: int, width: int) -> Array:
    """The sine code: dimension 2i is sin(n / 10000^(2i/width)), 2i+1 its cosine."""
    table = np.zeros((n, width))
    for position in range(n):
        for i in range(width):
            angle = position / 10000 ** (2 * (i // 2) / width)
            table[position, i] = np.sin(angle) if i % 2 == 0 else np.cos(angle)
    return table


def _norm(x: Array, w: dict[str, Array], name: str) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt(x.var(axis=1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(x: Array, w: dict[str, Array], name: str) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
