"""Published VideoMAE weights into our backbone, biases too.

The published files name the query and value biases `q_bias` and `v_bias`. Releases of transformers 5 before a fix of
September 2026 have no such names, and leave those biases at zero without an error. Hence our own reading of the file
(checkpoint_state.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from cityguessr_data.core.errors import WeightsError

from .checkpoint_geometry import FINE_TUNED, VIDEOMAE, check_geometry
from .checkpoint_state import check_state, is_query_or_value_bias, put_state, read_encoder
from .config import ModelConfig
from .hub_folder import find_folder, weights_file
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
    put_state(backbone.videomae, state, folder, VIDEOMAE.kind, FINE_TUNED)
    return backbone


def read_backbone_state(folder: Path, *, final_norm: bool = False) -> dict[str, Tensor]:
    """The encoder's tensors of a file, by the names of VideoMAEModel in transformers 5.

    Heads, decoder and key biases (no effect, see videomae.py) are left out; so is the final norm unless asked for.

    Raises:
        WeightsError: unreadable, two tensors for one place, or query and value biases that are all zero.
    """
    state = read_encoder(
        folder,
        "videomae.",
        _OTHER_PARTS,
        lambda name: _BIAS.sub(lambda m: f"attention.attention.{_BIAS_NAME[m[1]]}.bias", name),
        lambda place: (
            place.endswith("attention.attention.key.bias") or (place.startswith("layernorm.") and not final_norm)
        ),
    )
    biases = [tensor for name, tensor in state.items() if is_query_or_value_bias(name)]
    if biases and not any(bool(tensor.any()) for tensor in biases):
        raise WeightsError(
            f"{weights_file(folder)}: every query and value bias is zero, as faulty releases of transformers 5 save "
            "them",
            f"Download the checkpoint again: hf download {FINE_TUNED}",
        )
    return state


def check_backbone(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise unless the backbone holds exactly the tensors of `state` (names as `read_backbone_state` gives them).

    Raises:
        WeightsError: which tensors differ; query and value biases are named as such.
    """
    check_state(backbone.videomae if isinstance(backbone, VideoMAEBackbone) else backbone, state, source)
