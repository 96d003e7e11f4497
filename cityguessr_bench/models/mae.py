"""One frame of a clip, ViT-MAE and the four heads: the image baseline of Table 2, and PlaNet's row of Table 5.

The paper's PlaNet (Weyand et al. 2016, a classifier on single images) has the numbers of its MAE with the random frame
to the digit: with the encoder and the classes of all the others, that is what is left of it. Hence one class for both.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from cityguessr_bench.scores import GeoOutput

from .config import ModelConfig
from .heads import HierarchyHeads
from .mae_checkpoint import load_mae
from .mae_encoder import MAEEncoder
from .pixels import ClipNormaliser


class FrameMAE(nn.Module):
    """Encoder and heads, nothing frozen; which frame of the clip it is, data.pick says.

    Raises:
        InputError: settings for more than one frame.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.normalise = ClipNormaliser(config)
        self.encoder = MAEEncoder(config)
        self.heads = HierarchyHeads(config.hidden, config.classes)

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Clips of one frame (B, 1, 3, H, W), RGB, uint8 or floats in [0, 1]; scenes are not looked at."""
        return GeoOutput(self.heads(self.encoder(self.normalise(clips))))


def load(model: FrameMAE, source: str | Path, config: ModelConfig) -> None:
    """Put a checkpoint into the encoder (mae_checkpoint.load_mae)."""
    load_mae(model.encoder, source, config)
