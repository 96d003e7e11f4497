"""The paper's model (Fig. 5): backbone -> four heads -> Self-Cross Attention -> FFN_s and FFN_t.

With scenes and TLA off it is the VideoMAE baseline of Tables 2, 3 and 5: the attention then does not exist either.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS

from .config import ModelConfig
from .heads import HierarchyHeads
from .pixels import ClipNormaliser
from .scene_ffn import SceneFFN
from .self_cross_attention import SelfCrossAttention
from .text_alignment import TextAlignmentFFN
from .videomae import VideoMAEBackbone


class CityGuessr(nn.Module):
    """Paper section 4. The backbone is random unless given (checkpoint.load_backbone); nothing is frozen."""

    def __init__(self, config: ModelConfig, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.normalise = ClipNormaliser(config)
        self.backbone = backbone if backbone is not None else VideoMAEBackbone(config)
        self.heads = HierarchyHeads(config.hidden, config.classes)
        self.self_cross_attention = SelfCrossAttention() if config.scenes or config.tla else None
        self.ffn_s = SceneFFN(config.d, config.n_scenes) if config.scenes else None
        self.ffn_t = TextAlignmentFFN(config.d, config.d_t, config.ffn_t_layers) if config.tla else None

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        """Clips (B, T, 3, H, W), RGB, uint8 in 0..255 or floats in [0, 1], T = config.frames; scenes are not looked at.

        Raises:
            ValueError: clips of another shape or type.
        """
        logits = self.heads(self.backbone(self.normalise(clips)))
        if self.self_cross_attention is None:
            return GeoOutput(logits)
        pv_attended = self.self_cross_attention(torch.cat([logits[level] for level in LEVELS], dim=1))
        return GeoOutput(
            logits,
            pv_attended,
            self.ffn_s(pv_attended) if self.ffn_s is not None else None,
            self.ffn_t(pv_attended) if self.ffn_t is not None else None,
        )
