"""Tiny text encoders with random weights, of the four families that the paper compares: for tests and small tables.

Their vectors know nothing of places: two names are as near to each other as their letters make them, so what a table
says with them is that its command runs, never which encoder is better. Nothing is downloaded. Each is the real
architecture (of transformers) at width 32, reads a text byte by byte, and is pooled as its family is.

The weights are drawn by numpy, each tensor keyed by the family and its own name: the same on every machine and after
another library's change of its way to draw. Sums still round differently from one processor to another, in the last of
seven digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint

WIDTH = 32
_VERSION = 1
"""Raised when the same name would give other vectors."""
_PAD, _START, _END = 256, 257, 258
_N_TOKENS = 259  # CLIP finds the end of a text by the largest id, so that is the end token
_MOST_TOKENS = 128
_SPREAD = 0.2
"""Standard deviation of the weights: at transformers' own 0.02 every text would have nearly the same vector."""


@dataclass(frozen=True)
class ByteTokeniser:
    """Texts as their UTF-8 bytes, in the form in which a model takes them. Longer ones are cut."""

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def __call__(self, texts: Sequence[str], **_settings: Any) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, int64 (n, longest), padded on the right.

        Args:
            texts: none empty.
            _settings: those of a real tokeniser, which has more of them than there are choices here.
        """
        room = _MOST_TOKENS - len(self.starts) - len(self.ends)
        rows = [[*self.starts, *text.encode("utf-8")[:room], *self.ends] for text in texts]
        longest = max(map(len, rows))
        return {
            "input_ids": torch.tensor([row + [_PAD] * (longest - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]),
        }


def random_encoder(family: str) -> tuple[ByteTokeniser, Any]:
    """Tokeniser and model, float32, in evaluation mode.

    Args:
        family: a name of FAMILIES. CLIP's model gives projected vectors, the others those of every token.
    Raises:
        InputError: another family.
    """
    build, tokeniser = FAMILIES[known_family(family)]
    with torch.random.fork_rng(devices=[]):  # what the library draws is replaced
        model = build().float().eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            key = int.from_bytes(hashlib.sha256(f"{family} {name}".encode()).digest()[:8], "big")
            drawn = np.random.default_rng(key).standard_normal(tuple(tensor.shape)) * _SPREAD
            is_scale = tensor.ndim == 1 and name.endswith("weight")  # of a layer norm: it is about 1
            tensor.copy_(torch.from_numpy((drawn + 1 if is_scale else drawn).astype(np.float32)))
    return tokeniser, model


def known_family(family: str) -> str:
    """The same name.

    Raises:
        InputError: no name of FAMILIES.
    """
    if family not in FAMILIES:
        known = ", ".join(f"random-{name}" for name in FAMILIES)
        raise InputError(f"there is no text encoder random-{family}", f"Give one of: {known}")
    return family


def random_digest(family: str) -> str:
    """16 hex digits of what decides the vectors of `random_encoder(family)`: its settings and its tokens, by number."""
    return fingerprint([_VERSION, family, WIDTH, _N_TOKENS, _MOST_TOKENS, _SPREAD])


def _clip() -> Any:
    import transformers as t

    config: Any = t.CLIPTextConfig
    made = config(
        vocab_size=_N_TOKENS, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=WIDTH, max_position_embeddings=_MOST_TOKENS,
        pad_token_id=_PAD, bos_token_id=_START, eos_token_id=_END,
    )  # fmt: skip
    return t.CLIPTextModelWithProjection(made)


def _bert() -> Any:
    import transformers as t

    config: Any = t.BertConfig
    made = config(
        vocab_size=_N_TOKENS, hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=_MOST_TOKENS, pad_token_id=_PAD,
    )  # fmt: skip
    return t.BertModel(made, add_pooling_layer=False)


def _gpt2() -> Any:
    import transformers as t

    config: Any = t.GPT2Config
    made = config(
        vocab_size=_N_TOKENS, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=_MOST_TOKENS,
        bos_token_id=_END, eos_token_id=_END, use_cache=False,
    )  # fmt: skip
    return t.GPT2Model(made)


def _opt() -> Any:
    import transformers as t

    config: Any = t.OPTConfig
    made = config(
        vocab_size=_N_TOKENS, hidden_size=WIDTH, ffn_dim=2 * WIDTH, num_hidden_layers=2, num_attention_heads=2,
        word_embed_proj_dim=WIDTH, max_position_embeddings=_MOST_TOKENS,
        pad_token_id=_PAD, bos_token_id=_START, eos_token_id=_START, use_cache=False,
    )  # fmt: skip
    return t.OPTModel(made)


FAMILIES: dict[str, tuple[Callable[[], Any], ByteTokeniser]] = {
    "clip": (_clip, ByteTokeniser((_START,), (_END,))),
    "bert": (_bert, ByteTokeniser((_START,), (_END,))),
    "gpt2": (_gpt2, ByteTokeniser()),
    "opt": (_opt, ByteTokeniser((_START,))),  # begins every text with its end token
}
"""By family: the model, and the tokens that its real tokeniser puts around a text."""
