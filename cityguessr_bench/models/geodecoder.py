"""GeoDecoder: queries by level and scene, the predicted scene's own answer at each level (Clark et al., CVPR 2023,
"Where we are and what we're looking at: query based worldwide image geo-localization using hierarchies and scenes").

An image encoder gives tokens; a decoder (query_decoder.py) turns 4 x n_scenes learned queries into as many vectors. The
first number of a query is its confidence that this is its scene; the scene with the largest mean over the levels is
chosen, and the four queries of it go to the four heads. Different from there: the encoder is that of the other frame
models, not a Swin, since the paper keeps everything else the same; the classes are the levels of the data; and the
products of probabilities over levels are an evaluation mode here, for every model alike.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS

from .config import ModelConfig
from .heads import HierarchyHeads
from .mae_checkpoint import load_mae
from .mae_encoder import MAEEncoder
from .pixels import ClipNormaliser
from .query_decoder import QueryDecoder


class GeoDecoder(nn.Module):
    """Encoder, decoder, heads; nothing frozen. With scenes off there is one query a level, and no scene is predicted.

    The decoder reads tokens after the encoder's final norm, as MAE's own decoder does: network.final_norm is on.

    Raises:
        InputError: settings for more than one frame.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scenes = config.scenes
        self.normalise = ClipNormaliser(config)
        self.encoder = MAEEncoder(config)
        n_each = config.n_scenes if config.scenes else 1
        self.decoder = QueryDecoder(
            len(LEVELS), n_each, config.hidden, config.heads, config.intermediate, config.decoder_layers
        )
        self.heads = HierarchyHeads(config.hidden, config.classes)

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Clips of one frame (B, 1, 3, H, W), RGB, uint8 or floats in [0, 1].

        `scenes` are not looked at: the scene is predicted, in training too, and L_scene (Eq. 2) teaches it.
        """
        decoded = self.decoder(self.encoder.tokens(self.normalise(clips)))
        confidence = decoded[..., 0].mean(dim=1)  # (B, n_scenes)
        chosen = decoded[torch.arange(len(decoded), device=decoded.device), :, confidence.argmax(dim=1)]
        by_level = self.heads.by_level
        logits = {level: by_level[level](query) for level, query in zip(LEVELS, chosen.unbind(dim=1), strict=True)}
        return GeoOutput(logits, scene_logits=confidence if self.scenes else None)


def load(model: GeoDecoder, source: str | Path, config: ModelConfig) -> None:
    """Put a checkpoint into the encoder (mae_checkpoint.load_mae)."""
    load_mae(model.encoder, source, config)
