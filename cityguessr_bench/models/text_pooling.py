"""One vector of a text from the vectors of its tokens: the ways that published encoders use, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pool = Callable[[Tensor, Tensor], Tensor]
"""Token vectors (n, T, d) and mask (n, T), 1 for a token and 0 for padding, which is on the right -> (n, d)."""


def mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Over every token, the special ones too."""
    return _summed(tokens, mask) / mask.sum(dim=1, keepdim=True)


def mean_sqrt_len(tokens: Tensor, mask: Tensor) -> Tensor:
    """The sum over the square root of the count."""
    return _summed(tokens, mask) / mask.sum(dim=1, keepdim=True).sqrt()


def weighted_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Weights 1, 2, 3 .. by position."""
    return mean(tokens, mask * torch.arange(1, mask.shape[1] + 1))


def largest(tokens: Tensor, mask: Tensor) -> Tensor:
    """The largest value of each dimension."""
    return tokens.masked_fill(mask[..., None] == 0, float("-inf")).amax(dim=1)


def first(tokens: Tensor, mask: Tensor) -> Tensor:
    """The first token, [CLS] where the tokeniser puts one."""
    return tokens[:, 0]


def last(tokens: Tensor, mask: Tensor) -> Tensor:
    """The last token that is no padding: the only one that has seen all others in GPT-2 and OPT."""
    return tokens[torch.arange(len(tokens)), mask.sum(dim=1).long() - 1]


POOLS: dict[str, Pool] = {
    "cls": first,
    "max": largest,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_sqrt_len,
    "weightedmean": weighted_mean,
    "lasttoken": last,
}
"""By the names of the sentence-transformers format, in the order in which it joins several."""


def _summed(tokens: Tensor, mask: Tensor) -> Tensor:
    return (tokens * mask[..., None]).sum(dim=1)
