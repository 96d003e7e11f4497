"""FFN_t: the attended logits become a vector in the text encoder's space (paper 4.4).

The paper says 3 layers, counted as FFN_s's six are; the released code has two. The hidden width is (d + d_t) // 2 in
both forms: it is the released width (466 for 420 and 512), and the third layer repeats it, since nothing says where
else a middle width would lie.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class TextAlignmentFFN(nn.Module):
    """ReLU between; with h = (d + d_t) // 2:

    two layers: d-h-d_t, 435,290 parameters for 420 and 512; three: d-h-h-d_t, 652,912.
    """

    def __init__(self, d: int, d_t: int, n_layers: int) -> None:
        super().__init__()
        if n_layers not in (2, 3):
            raise ValueError(f"expected 2 or 3 layers, got {n_layers}")
        hidden = (d + d_t) // 2
        steps: list[nn.Module] = []
        for width_in, width_out in pairwise((d, *[hidden] * (n_layers - 1), d_t)):
            steps += [nn.Linear(width_in, width_out), nn.ReLU()]
        self.layers = nn.Sequential(*steps[:-1])

    def forward(self, pv_attended: Tensor) -> Tensor:
        """PV' (B, d) -> PV'_t (B, d_t) of Eq. 3."""
        text_vector: Tensor = self.layers(pv_attended)
        return text_vector
