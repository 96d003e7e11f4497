"""Published VideoMAE weights into our backbone, and the proof that they arrived.

The published files name the query and value biases `q_bias` and `v_bias`. Releases of transformers 5 before a fix of
September 2026 have no such names, and leave those biases at zero without an error. So the library's own loader is not
used: the file is read, its names are mapped, every tensor must find its place, and all are compared afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import WeightsError

from .checkpoint_geometry import FINE_TUNED, check_geometry
from .config import ModelConfig
from .hub_folder import find_folder, read_state, weights_file
from .videomae import VideoMAEBackbone

_OTHER_PARTS = ("classifier.", "fc_norm.", "decoder.", "encoder_to_decoder.", "mask_token")
"""What fine-tuned and pre-trained files hold beside the encoder."""
_BIAS = re.compile(r"attention\.attention\.([qv])_bias$")
_BIAS_NAME = {"q": "query", "v": "value"}


def load_backbone(source: str | Path, config: ModelConfig) -> VideoMAEBackbone:
    """The backbone of `config` with the weights of a checkpoint, float32, on the CPU.

    Args:
        source: a folder in the hub's layout, or a hub id. Fine-tuned and pre-trained files both serve.
        config: its geometry must be the checkpoint's; checkpoint_geometry.adopt_geometry makes it so.

    Raises:
        WeightsError: no such checkpoint, an unreadable one, a tensor that is missing, unexpected or of another shape,
            or biases that are all zero.
        InputError: the checkpoint is of another geometry.
    """
    folder = find_folder(source)
    check_geometry(folder, config)
    state = read_backbone_state(folder, final_norm=config.final_norm)
    backbone = VideoMAEBackbone(config)
    _compare_names(folder, backbone, state)
    backbone.videomae.load_state_dict(state, strict=True)
    check_backbone(backbone, state, str(folder))
    return backbone


def read_backbone_state(folder: Path, *, final_norm: bool = False) -> dict[str, Tensor]:
    """The encoder's tensors of a file, by the names of VideoMAEModel in transformers 5.

    Heads, decoder and key biases (no effect, see videomae.py) are left out; so is the final norm unless asked for.

    Raises:
        WeightsError: unreadable, two tensors for one place, or query and value biases that are all zero.
    """
    path = weights_file(folder)
    raw = read_state(path)
    prefixed = any(name.startswith("videomae.") for name in raw)
    state: dict[str, Tensor] = {}
    for name, tensor in raw.items():
        if name.startswith(_OTHER_PARTS):
            continue
        place = _BIAS.sub(lambda m: f"attention.attention.{_BIAS_NAME[m[1]]}.bias", name.removeprefix("videomae."))
        if prefixed and not name.startswith("videomae."):
            place = name  # beside the encoder, and unknown: the comparison of names reports it
        if place.endswith("attention.attention.key.bias") or (place.startswith("layernorm.") and not final_norm):
            continue
        if place in state:
            raise WeightsError(f"{path} holds {place} twice, by an old and a new name", "Download the checkpoint again")
        state[place] = tensor
    biases = [tensor for name, tensor in state.items() if _is_query_or_value_bias(name)]
    if biases and not any(bool(tensor.any()) for tensor in biases):
        raise WeightsError(
            f"{path}: every query and value bias is zero, as faulty releases of transformers 5 save them",
            f"Download the checkpoint again: hf download {FINE_TUNED}",
        )
    return state


def check_backbone(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise unless the backbone holds exactly the tensors of `state` (names as `read_backbone_state` gives them).

    Raises:
        WeightsError: which tensors differ; query and value biases are named as such.
    """
    loaded = backbone.videomae.state_dict() if isinstance(backbone, VideoMAEBackbone) else backbone.state_dict()
    wrong = [
        name
        for name, tensor in state.items()
        if name not in loaded or not torch.equal(loaded[name].cpu(), tensor.to(loaded[name].dtype))
    ]
    if not wrong:
        return
    biases = [name for name in wrong if _is_query_or_value_bias(name)]
    what = f"{len(biases)} query and value biases" if biases else f"{len(wrong)} tensors"
    raise WeightsError(
        f"after loading {source}, {what} of the backbone are not those of the file (first: {(biases or wrong)[0]})",
        "Load it with checkpoint.load_backbone, and report this if that is what you did",
    )


def _is_query_or_value_bias(name: str) -> bool:
    return name.endswith(("attention.attention.query.bias", "attention.attention.value.bias"))


def _compare_names(folder: Path, backbone: VideoMAEBackbone, state: Mapping[str, Tensor]) -> None:
    """Missing, unexpected and misshapen tensors, all at once, by the file's side of the story."""
    wanted = backbone.videomae.state_dict()
    shapes = {n: (tuple(state[n].shape), tuple(wanted[n].shape)) for n in state.keys() & wanted.keys()}
    faults = [
        *_named("missing", sorted(wanted.keys() - state.keys())),
        *_named("unexpected", sorted(state.keys() - wanted.keys())),
        *_named("of another shape", sorted(name for name, (file, ours) in shapes.items() if file != ours)),
    ]
    if faults:
        raise WeightsError(
            f"{folder} is no checkpoint of this backbone: {'; '.join(faults)}",
            f"Give a VideoMAE checkpoint, e.g. {FINE_TUNED}",
        )


def _named(fault: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"{names[0]}{more} {fault}"] if names else []
