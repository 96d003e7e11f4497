"""FFN_s: the attended logits become scene logits, "gradually reducing the dimension" (paper 4.3, six layers by 5.2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

WIDTHS = (256, 128, 64, 32, 16)


class SceneFFN(nn.Module):
    """d-256-128-64-32-16-n_scenes, ReLU between: six linear layers; 151,808 parameters for 420 and 16.

    Only the last width follows the number of scenes, so with 365 the bottleneck of 16 stays (as released).
    """

    def __init__(self, d: int, n_scenes: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for width_in, width_out in pairwise((d, *WIDTHS, n_scenes)):
            steps += [nn.Linear(width_in, width_out), nn.ReLU()]
        self.layers = nn.Sequential(*steps[:-1])

    def forward(self, pv_attended: Tensor) -> Tensor:
        """PV' (B, d) -> scene logits PV'_s (B, n_scenes) of Eq. 2."""
        scene_logits: Tensor = self.layers(pv_attended)
        return scene_logits
