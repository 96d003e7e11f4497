"""Tiny image encoders as the hub lays them out, and the small data set's pack of their features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from cityguessr_bench.data import make_pack
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RunConfig
from tests.support_runs import SMALL, write_small_out

SIZE_PX, PATCH_PX, HIDDEN, LAYERS, DIM = 28, 14, 8, 2, 6
"""Of both encoders; DIM is CLIP's projection, DINOv2's vectors are of HIDDEN numbers."""
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def clip_state(seed: int = 0, hidden: int = HIDDEN, layers: int = LAYERS, dim: int = DIM) -> dict[str, Tensor]:
    """Random tensors by the names of openai/clip-vit-large-patch14: a whole CLIPModel, saved in 2021."""
    side = SIZE_PX // PATCH_PX
    shapes: dict[str, tuple[int, ...]] = {"logit_scale": ()}
    shapes |= {"visual_projection.weight": (dim, hidden), "text_projection.weight": (dim, 4)}
    v = "vision_model."
    shapes |= {
        v + "embeddings.class_embedding": (hidden,),
        v + "embeddings.patch_embedding.weight": (hidden, 3, PATCH_PX, PATCH_PX),
        v + "embeddings.position_embedding.weight": (side * side + 1, hidden),
    }
    for norm in ("pre_layrnorm", "post_layernorm"):  # their spelling
        shapes |= {f"{v}{norm}.weight": (hidden,), f"{v}{norm}.bias": (hidden,)}
    t = "text_model."
    shapes |= {t + "embeddings.token_embedding.weight": (9, 4), t + "embeddings.position_embedding.weight": (5, 4)}
    shapes |= {t + "final_layer_norm.weight": (4,), t + "final_layer_norm.bias": (4,)}
    for half, width, n in ((v, hidden, layers), (t, 4, 1)):
        for i in range(n):
            layer = f"{half}encoder.layers.{i}."
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes |= {f"{layer}self_attn.{name}.weight": (width, width), f"{layer}self_attn.{name}.bias": (width,)}
            for norm in ("layer_norm1", "layer_norm2"):
                shapes |= {f"{layer}{norm}.weight": (width,), f"{layer}{norm}.bias": (width,)}
            shapes |= {f"{layer}mlp.fc1.weight": (2 * width, width), f"{layer}mlp.fc1.bias": (2 * width,)}
            shapes |= {f"{layer}mlp.fc2.weight": (width, 2 * width), f"{layer}mlp.fc2.bias": (width,)}
    state = _random(shapes, seed)
    state[v + "embeddings.position_ids"] = torch.arange(side * side + 1)[None]
    state[t + "embeddings.position_ids"] = torch.arange(5)[None]
    return state


def dinov2_state(seed: int = 0, hidden: int = HIDDEN, layers: int = LAYERS) -> dict[str, Tensor]:
    """Random tensors by the names of facebook/dinov2-large; its position code is of another size than its frames."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, hidden),
        "embeddings.mask_token": (1, hidden),
        "embeddings.position_embeddings": (1, 3 * 3 + 1, hidden),
        "embeddings.patch_embeddings.projection.weight": (hidden, 3, PATCH_PX, PATCH_PX),
        "embeddings.patch_embeddings.projection.bias": (hidden,),
        "layernorm.weight": (hidden,),
        "layernorm.bias": (hidden,),
    }
    for i in range(layers):
        layer = f"encoder.layer.{i}."
        for name in ("attention.query", "attention.key", "attention.value", "output.dense"):
            shapes |= {f"{layer}attention.{name}.weight": (hidden, hidden), f"{layer}attention.{name}.bias": (hidden,)}
        for name in ("norm1", "norm2"):
            shapes |= {f"{layer}{name}.weight": (hidden,), f"{layer}{name}.bias": (hidden,)}
        shapes |= {f"{layer}layer_scale1.lambda1": (hidden,), f"{layer}layer_scale2.lambda1": (hidden,)}
        shapes |= {f"{layer}mlp.fc1.weight": (4 * hidden, hidden), f"{layer}mlp.fc1.bias": (4 * hidden,)}
        shapes |= {f"{layer}mlp.fc2.weight": (hidden, 4 * hidden), f"{layer}mlp.fc2.bias": (hidden,)}
    return _random(shapes, seed)


def write_clip(folder: Path, state: dict[str, Tensor] | None = None, **prepared: Any) -> Path:
    """A CLIP folder; `prepared` changes its preprocessor_config.json."""
    text = {"hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    text |= {"vocab_size": 9, "max_position_embeddings": 5}
    vision = {"hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN, "num_hidden_layers": LAYERS}
    vision |= {"num_attention_heads": 2, "image_size": SIZE_PX, "patch_size": PATCH_PX}
    config = {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": DIM, "torch_dtype": "float32"}
    config |= {"text_config": text, "vision_config": vision, "transformers_version": None}
    preparation = {"crop_size": SIZE_PX, "do_center_crop": True, "do_normalize": True, "do_resize": True}
    preparation |= {"feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP_MEAN, "image_std": CLIP_STD}
    preparation |= {"resample": 3, "size": SIZE_PX}
    return _write(folder, config, {**preparation, **prepared}, clip_state() if state is None else state)


def write_dinov2(folder: Path, state: dict[str, Tensor] | None = None, **prepared: Any) -> Path:
    """A DINOv2 folder."""
    config = {"architectures": ["Dinov2Model"], "model_type": "dinov2", "hidden_size": HIDDEN, "image_size": 42}
    config |= {"num_hidden_layers": LAYERS, "num_attention_heads": 2, "patch_size": PATCH_PX, "mlp_ratio": 4}
    config |= {"layerscale_value": 1.0, "use_swiglu_ffn": False, "transformers_version": "4.31.0.dev0"}
    preparation = {"crop_size": {"height": SIZE_PX, "width": SIZE_PX}, "do_center_crop": True, "do_rescale": True}
    preparation |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    preparation |= {"rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 32}}
    return _write(folder, config, {**preparation, **prepared}, dinov2_state() if state is None else state)


def feature_config(encoder: Path | str, model: str = "frozen", **sections: dict[str, Any]) -> RunConfig:
    """The preset tiny with a model of features at a small size."""
    small = {"data": {**SMALL["data"], "features": str(encoder)}, "network": {"hidden": 12, "heads": 3}}
    more = {"train": {"batch": 7, "watch": "test", "report": "best"} | ({"epochs": 2} if model == "frozen" else {})}
    return settings("tiny", model).changed(small | more, "small").changed(sections, "the test")


def make_feature_pack(folder: Path, encoder: Path, **out: Any) -> Path:
    """`folder`/out, and the features of its clips in `folder`/features, which is returned."""
    write_small_out(folder / "out", **out)
    make_pack(folder / "out", folder / "features", feature_config(encoder).data.pack, workers=1)
    return folder / "features"


def _random(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=g) * 0.9 for name, shape in shapes.items()}


def _write(folder: Path, config: dict[str, Any], preparation: dict[str, Any], state: dict[str, Tensor]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preparation))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder
