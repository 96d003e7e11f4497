"""The decoder of GeoDecoder: learned queries, one for each level and scene, that look at an image's tokens.

From the description of Clark et al. (CVPR 2023, "Where we are and what we're looking at"): the first layers let all
queries attend to each other; the last ones only those of one level, and have a feed-forward network for each level.
Chosen here, like the encoder's layers: no dropout, and a norm before each part instead of after it. Chosen too: how the
layers divide (a quarter of them, at least one, are of the second kind).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class QueryDecoder(nn.Module):
    """`n_groups` x `n_each` queries through `layers` layers and a final norm.

    With h = hidden and m = 4 h: 16 h^2 + 19 h parameters a layer of the first kind; each further feed-forward network
    of the second kind adds 8 h^2 + 5 h.
    """

    def __init__(self, n_groups: int, n_each: int, hidden: int, heads: int, mlp: int, layers: int) -> None:
        super().__init__()
        self.n_groups, self.n_each = n_groups, n_each
        self.queries = nn.Parameter(torch.randn(n_groups * n_each, hidden) * 0.02)
        n_apart = max(1, layers // 4)
        groups = [1] * (layers - n_apart) + [n_groups] * n_apart
        self.layers = nn.ModuleList([DecoderLayer(n, hidden, heads, mlp) for n in groups])
        self.norm = nn.LayerNorm(hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """Image tokens (B, N, hidden) -> what became of the queries (B, n_groups, n_each, hidden)."""
        queries = self.queries.expand(len(tokens), -1, -1)
        for layer in self.layers:
            queries = layer(queries, tokens)
        found: Tensor = self.norm(queries)
        return found.reshape(len(tokens), self.n_groups, self.n_each, -1)


class DecoderLayer(nn.Module):
    """Self-attention within each of `n_groups` equal groups, attention to the image, a feed-forward network a group."""

    def __init__(self, n_groups: int, hidden: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.n_groups = n_groups
        self.norm_self, self.norm_cross, self.norm_feed = (nn.LayerNorm(hidden) for _ in range(3))
        self.attend_self = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.attend_cross = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.feed = nn.ModuleList(
            [nn.Sequential(nn.Linear(hidden, mlp), nn.GELU(), nn.Linear(mlp, hidden)) for _ in range(n_groups)]
        )

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries (B, Q, hidden), group after group, and image tokens (B, N, hidden) -> (B, Q, hidden)."""
        n_clips, n_queries, hidden = queries.shape
        each = n_queries // self.n_groups
        # a group is an item of the batch for its self-attention, so no other can be seen
        mine = self.norm_self(queries).reshape(n_clips * self.n_groups, each, hidden)
        attended, _ = self.attend_self(mine, mine, mine, need_weights=False)
        queries = queries + attended.reshape(queries.shape)
        seen, _ = self.attend_cross(self.norm_cross(queries), tokens, tokens, need_weights=False)
        queries = queries + seen
        groups = self.norm_feed(queries).split(each, dim=1)
        return queries + torch.cat([feed(group) for feed, group in zip(self.feed, groups, strict=True)], dim=1)
