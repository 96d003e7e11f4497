"""Self-Cross Attention: every class logit of every level attends to every other (paper 4.3, 5.2).

The paper gives 2 heads and an embedding dimension of 6. Released code: the raw logits of the four levels, one after
the other, are a sequence of d tokens of one number each; no residual, norm or dropout.
"""

from __future__ import annotations

from torch import Tensor, nn

EMBED_DIM = 6
N_HEADS = 2


class SelfCrossAttention(nn.Module):
    """PV' = MHA(PV), PV in R^d (4.3). 211 parameters, whatever d is.

    q, k, v: 3 x Linear(1, 6) = 36; the attention's own projections: 126 in, 42 out; Linear(6, 1) = 7.
    """

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(1, EMBED_DIM)
        self.key = nn.Linear(1, EMBED_DIM)
        self.value = nn.Linear(1, EMBED_DIM)
        self.attention = nn.MultiheadAttention(EMBED_DIM, N_HEADS, batch_first=True)
        self.project = nn.Linear(EMBED_DIM, 1)

    def forward(self, pv: Tensor) -> Tensor:
        """PV (B, d), raw logits in the order city, state, country, continent -> PV' (B, d)."""
        tokens = pv.unsqueeze(-1)
        # need_weights=False: the fused kernel, which never builds the d x d matrix where the device has one
        attended, _ = self.attention(self.query(tokens), self.key(tokens), self.value(tokens), need_weights=False)
        pv_attended: Tensor = self.project(attended)
        return pv_attended.squeeze(-1)
