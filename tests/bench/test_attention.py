"""Self-Cross Attention and the two feed-forward networks against their formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cityguessr_bench.models.scene_ffn import SceneFFN
from cityguessr_bench.models.self_cross_attention import SelfCrossAttention
from cityguessr_bench.models.text_alignment import TextAlignmentFFN


def _numbers(part: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy() for name, tensor in part.state_dict().items()}


def _count(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())


def test_attention_is_the_formula() -> None:
    """Every logit a token: softmax(q k' / sqrt(3)) v in two heads of 3, no residual and no norm."""
    torch.manual_seed(0)
    module = SelfCrossAttention().double()
    with torch.no_grad():
        for p in module.parameters():
            p.normal_()
    pv = torch.randn(2, 9, dtype=torch.float64) * 2
    w = _numbers(module)
    expected = []
    for row in pv.numpy():
        token = row[:, None]
        heads = []
        projected = []
        for i, part in enumerate(("query", "key", "value")):
            x = token @ w[f"{part}.weight"].T + w[f"{part}.bias"]
            cut = slice(6 * i, 6 * i + 6)
            projected.append(x @ w["attention.in_proj_weight"][cut].T + w["attention.in_proj_bias"][cut])
        q, k, v = projected
        for cut in (slice(0, 3), slice(3, 6)):
            scores = np.exp(q[:, cut] @ k[:, cut].T / np.sqrt(3))
            heads.append(scores / scores.sum(1, keepdims=True) @ v[:, cut])
        out = np.concatenate(heads, 1) @ w["attention.out_proj.weight"].T + w["attention.out_proj.bias"]
        expected.append((out @ w["project.weight"].T + w["project.bias"])[:, 0])
    np.testing.assert_allclose(module(pv).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_attention_has_211_parameters_and_takes_any_length() -> None:
    module = SelfCrossAttention()
    assert _count(module) == 3 * (1 * 6 + 6) + (18 * 6 + 18) + (6 * 6 + 6) + (6 * 1 + 1) == 211
    assert module(torch.randn(3, 420)).shape == (3, 420)
    assert module(torch.randn(1, 2)).shape == (1, 2)


def test_attention_treats_tokens_alike() -> None:
    """No position code: permuted logits give permuted results."""
    torch.manual_seed(1)
    module = SelfCrossAttention().double()
    pv, order = torch.randn(2, 11, dtype=torch.float64), torch.randperm(11)
    torch.testing.assert_close(module(pv[:, order]), module(pv)[:, order])


@pytest.mark.parametrize(("n_scenes", "count"), [(16, 151_808), (365, 151_808 - 17 * 16 + 17 * 365)])
def test_scene_ffn(n_scenes: int, count: int) -> None:
    ffn = SceneFFN(420, n_scenes)
    linear = [part for part in ffn.modules() if isinstance(part, nn.Linear)]
    assert [part.in_features for part in linear] == [420, 256, 128, 64, 32, 16]
    assert [part.out_features for part in linear] == [256, 128, 64, 32, 16, n_scenes]
    assert _count(ffn) == count


@pytest.mark.parametrize(("n_layers", "widths", "count"), [(2, [420, 466], 435_290), (3, [420, 466, 466], 652_912)])
def test_text_ffn(n_layers: int, widths: list[int], count: int) -> None:
    ffn = TextAlignmentFFN(420, 512, n_layers)
    linear = [part for part in ffn.modules() if isinstance(part, nn.Linear)]
    assert [part.in_features for part in linear] == widths
    assert linear[-1].out_features == 512
    assert _count(ffn) == count


@pytest.mark.parametrize("kind", ["s", "t2", "t3"])
def test_relu_between_layers_and_none_after_the_last(kind: str) -> None:
    torch.manual_seed(2)
    ffn = (SceneFFN(5, 4) if kind == "s" else TextAlignmentFFN(5, 4, int(kind[1]))).double()
    with torch.no_grad():
        for p in ffn.parameters():
            p.mul_(3)
    x = torch.randn(6, 5, dtype=torch.float64)
    y, linear = x.numpy(), [part for part in ffn.modules() if isinstance(part, nn.Linear)]
    for i, part in enumerate(linear):
        w = _numbers(part)
        y = y @ w["weight"].T + w["bias"]
        y = np.maximum(y, 0) if i < len(linear) - 1 else y
    np.testing.assert_allclose(ffn(x).detach().numpy(), y, rtol=0, atol=1e-9)
    assert (ffn(x) < 0).any()


def test_text_ffn_refuses_other_depths() -> None:
    with pytest.raises(ValueError, match="2 or 3"):
        TextAlignmentFFN(420, 512, 4)
