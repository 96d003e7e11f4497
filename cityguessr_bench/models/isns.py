"""Individual Scenery Networks: one network each for indoor, natural and urban scenes (Müller-Budack et al., ECCV 2018).

There a scene classifier chooses, of three networks, the one whose photos were of such scenes. Here the clip's Places365
label chooses, by the same three groups of its 16 classes, and each network has its own encoder and its own heads.
Different from there: the encoder is that of the other frame models, since the paper keeps everything else the same
(5.7), and a clip trains only the network of its largest group, where a photo trained each of a probability over 0.3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS, Level

from .config import ModelConfig
from .heads import HierarchyHeads
from .mae_checkpoint import load_mae
from .mae_encoder import MAEEncoder
from .pixels import ClipNormaliser

GROUPS = {"indoor": slice(0, 6), "natural": slice(6, 10), "urban": slice(10, 16)}
"""Of the 16 scene classes (manifests/places365/classes.csv); `natural` and `urban` are its outdoor groups."""
_N_CLASSES = 16


class SceneNetworks(nn.Module):
    """Three times an encoder and heads, nothing frozen. A clip without a scene label gets the mean of the three.

    Raises:
        InputError: settings for more than one frame.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = ClipNormaliser(config)
        self.networks = nn.ModuleDict(
            {
                group: nn.ModuleDict(
                    {"encoder": MAEEncoder(config), "heads": HierarchyHeads(config.hidden, config.classes)}
                )
                for group in GROUPS
            }
        )

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """What the network of each clip's scene says of it.

        Every network runs in every step, so that processes always exchange the same gradients: where no clip is its
        own, on the first clip, with weight 0.

        Args:
            clips: of one frame (B, 1, 3, H, W), RGB, uint8 or floats in [0, 1].
            scenes: (B, 16) soft labels, rows of NaN where unknown; None: all are unknown.
        Raises:
            ValueError: clips or scenes of another shape.
        """
        pixels = self.normalise(clips)
        share = shares(len(pixels), scenes).to(pixels)
        known = share.cpu()  # the one wait for a GPU; to ask it for each network's clips would be three
        logits: dict[Level, Tensor] = {}
        for weights, its_clips, network in zip(share.T, known.T, self.networks.values(), strict=True):
            rows = its_clips.nonzero().squeeze(1)
            if not len(rows):
                rows = torch.zeros(1, dtype=torch.long)
            rows = rows.to(weights.device, non_blocking=True)
            said = _say(network, pixels[rows])
            for level in LEVELS:
                mine = said[level] * weights[rows, None]
                whole = mine.new_zeros(len(pixels), mine.shape[1]).index_copy(0, rows, mine)
                logits[level] = logits[level] + whole if level in logits else whole
        return GeoOutput(logits)


def shares(n_clips: int, scenes: Tensor | None) -> Tensor:
    """How much each network counts for each clip: (B, 3), one 1 in a row, or three 1/3 where the scene is unknown.

    Of equal groups the first counts, in the order of GROUPS.

    Raises:
        ValueError: scenes of another shape.
    """
    if scenes is None:
        return torch.full((n_clips, len(GROUPS)), 1 / len(GROUPS))
    if tuple(scenes.shape) != (n_clips, _N_CLASSES):
        raise ValueError(f"expected scenes ({n_clips}, {_N_CLASSES}), got {tuple(scenes.shape)}")
    by_group = torch.stack([scenes[:, group].sum(dim=1) for group in GROUPS.values()], dim=1)
    chosen = nn.functional.one_hot(by_group.argmax(dim=1), len(GROUPS)).to(by_group)
    unknown = by_group.isnan().any(dim=1, keepdim=True)
    return torch.where(unknown, torch.full_like(chosen, 1 / len(GROUPS)), chosen)


def load(model: SceneNetworks, source: str | Path, config: ModelConfig) -> None:
    """Put a checkpoint into each of the three encoders (mae_checkpoint.load_mae)."""
    for network in model.networks.values():
        parts: Any = network
        load_mae(parts["encoder"], source, config)


def _say(network: Any, pixels: Tensor) -> dict[Level, Tensor]:
    said: dict[Level, Tensor] = network["heads"](network["encoder"](pixels))
    return said
