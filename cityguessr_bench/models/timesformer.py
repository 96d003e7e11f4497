"""TimeSformer and the four heads: the other video baseline of Table 5.

Bertasius et al. 2021, "Is space-time attention all you need for video understanding?".

Divided attention: in every layer a patch first attends to its own place in all frames, then to all of its frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import TimesformerConfig, TimesformerModel

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.errors import InputError

from .checkpoint_geometry import SPACE, Family, adopt_geometry, check_geometry, stated_config
from .checkpoint_state import put_state, read_encoder
from .config import ModelConfig
from .heads import HierarchyHeads
from .hub_folder import find_folder
from .pixels import ClipNormaliser
from .videomae import recompute_activations

FINE_TUNED = "facebook/timesformer-base-finetuned-k400"
"""TimeSformer ViT-B for 8 frames of 224 px, fine-tuned on Kinetics-400 as the VideoMAE is. No ViT-S is public."""

TIMESFORMER = Family(
    "timesformer",
    "TimeSformer",
    FINE_TUNED,
    TimesformerConfig,
    SPACE,
    {
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "num_channels": 3,
        "qkv_bias": True,
        "attention_type": "divided_space_time",
    },
)
"""Not its frames: the time code is stretched to those of the run."""
_TIMES = "embeddings.time_embeddings"


class TimesformerEncoder(nn.Module):
    """121,258,752 parameters for ViT-B and 8 frames, 768 more for every further one, with random weights.

    The clip's feature is the class token after the final norm. That is TimeSformer's own, and its checkpoints were
    fine-tuned through it alone: nothing asked the other tokens of the last layer for a summary, so a mean over tokens,
    as our VideoMAE takes it, would set this baseline back. The library computes attention in steps, so `attention` has
    no effect here.

    Raises:
        InputError: a tubelet of more than one frame.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.tubelet != 1:
            raise InputError(
                f"TimeSformer takes single frames, and network.tubelet is {config.tubelet}",
                "Give --set network.tubelet=1",
            )
        self.timesformer: Any = TimesformerModel(timesformer_config(config))
        if config.checkpointing:
            recompute_activations(self.timesformer)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised clips (B, T, 3, H, W) -> features (B, hidden)."""
        found: Tensor = self.timesformer(pixels).last_hidden_state[:, 0]
        return found


class Timesformer(nn.Module):
    """Encoder and heads, nothing frozen.

    Raises:
        InputError: a tubelet of more than one frame.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.normalise = ClipNormaliser(config)
        self.encoder = TimesformerEncoder(config)
        self.heads = HierarchyHeads(config.hidden, config.classes)

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Clips (B, T, 3, H, W), RGB, uint8 or floats in [0, 1], T = config.frames; scenes are not looked at."""
        return GeoOutput(self.heads(self.encoder(self.normalise(clips))))


def timesformer_config(config: ModelConfig) -> TimesformerConfig:
    """The library's configuration of our geometry."""
    return TimesformerConfig(
        image_size=config.size_px,
        patch_size=config.patch_px,
        num_frames=config.frames,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
    )


def adopt(source: str | Path, config: ModelConfig) -> ModelConfig:
    """`config` with the geometry of a TimeSformer checkpoint, and its own frames.

    Raises:
        WeightsError, InputError: as checkpoint_geometry.adopt_geometry.
    """
    return adopt_geometry(source, config, TIMESFORMER)


def load(model: Timesformer, source: str | Path, config: ModelConfig) -> None:
    """Put a checkpoint into the encoder.

    Args:
        source: a folder in the hub's layout, or a hub id.
    Raises:
        WeightsError: no such checkpoint, an unreadable one, or a tensor that is missing, unexpected or misshapen.
        InputError: the checkpoint is of another geometry.
    """
    folder = find_folder(source)
    check_geometry(folder, config, TIMESFORMER)
    state = read_encoder(folder, "timesformer.", ("classifier.",), lambda name: name)
    n_frames = stated_config(folder, TIMESFORMER)["num_frames"]
    if _TIMES in state and state[_TIMES].shape == (1, n_frames, config.hidden):
        state[_TIMES] = stretched(state[_TIMES], config.frames)
    put_state(model.encoder.timesformer, state, folder, TIMESFORMER.kind, FINE_TUNED)


def stretched(times: Tensor, n_frames: int) -> Tensor:
    """A time code (1, T, h) for another number of frames: each takes the nearest one, as the library does.

    There it happens in every pass; here once, so that each frame's code is then learnt by itself.
    """
    return functional.interpolate(times.transpose(1, 2), size=n_frames, mode="nearest").transpose(1, 2)
