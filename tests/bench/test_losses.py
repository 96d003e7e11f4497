"""Eq. 1 to 4 against numpy by hand and torch's own losses; gradients against finite differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from cityguessr_bench.losses import LossParts, Targets, geo_losses, scene_loss, tla_loss, total_loss
from cityguessr_bench.models import build_model
from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS
from tests.support_models import random_clips, random_targets, small_config

B = 6
SIZES = dict(zip(LEVELS, (7, 5, 4, 3), strict=True))


def _scores(seed: int = 0) -> GeoOutput:
    g = torch.Generator().manual_seed(seed)
    logits = {level: torch.randn(B, n, generator=g, dtype=torch.float64) * 3 for level, n in SIZES.items()}
    scene, text = torch.randn(B, 16, generator=g).double(), torch.randn(B, 8, generator=g).double()
    return GeoOutput(logits, torch.zeros(B, 19), scene, text)


def _targets(seed: int = 1) -> Targets:
    g = torch.Generator().manual_seed(seed)
    labels = {level: torch.randint(0, n, (B,), generator=g) for level, n in SIZES.items()}
    scenes = torch.rand(B, 16, generator=g).double()
    return Targets(labels, scenes / scenes.sum(1, keepdim=True), None, torch.randn(B, 8, generator=g).double())


def _log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def test_geo_is_the_sum_of_four_cross_entropies() -> None:
    scores, targets = _scores(), _targets()
    by_level = geo_losses(scores.logits, targets.labels)
    assert list(by_level) == list(LEVELS)
    for level in LEVELS:
        log_probs = _log_softmax(scores.logits[level].numpy())
        by_hand = -np.mean([log_probs[i, label] for i, label in enumerate(targets.labels[level].tolist())])
        assert by_level[level].item() == pytest.approx(by_hand, abs=1e-12)
    assert total_loss(scores, targets).geo.item() == pytest.approx(sum(v.item() for v in by_level.values()), abs=1e-12)


def test_scene_is_cross_entropy_with_a_soft_label() -> None:
    scores, targets = _scores(), _targets()
    assert scores.scene_logits is not None and targets.scenes is not None
    loss = scene_loss(scores.scene_logits, targets.scenes).item()
    by_hand = -(targets.scenes.numpy() * _log_softmax(scores.scene_logits.numpy())).sum(axis=1).mean()
    assert loss == pytest.approx(by_hand, abs=1e-12)
    assert loss == pytest.approx(functional.cross_entropy(scores.scene_logits, targets.scenes).item(), abs=1e-12)
    hard = torch.eye(16, dtype=torch.float64)[torch.arange(B)]  # a majority label is a soft label of one class
    expected = functional.cross_entropy(scores.scene_logits, torch.arange(B)).item()
    assert scene_loss(scores.scene_logits, hard).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("filler", [0.0, float("nan"), float("inf")])
def test_clips_without_scene_labels_do_not_count(filler: float) -> None:
    scores, targets = _scores(), _targets()
    assert scores.scene_logits is not None and targets.scenes is not None
    has = torch.tensor([True, False, True, True, False, False])
    logits = scores.scene_logits.clone().requires_grad_()
    scenes = targets.scenes.clone()
    scenes[~has] = filler
    loss = scene_loss(logits, scenes, has)
    expected = functional.cross_entropy(scores.scene_logits[has], targets.scenes[has])
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[~has] == 0).all() and (logits.grad[has] != 0).any(dim=1).all()


def test_a_batch_without_any_scene_label_adds_nothing() -> None:
    scores, targets = _scores(), _targets()
    assert scores.scene_logits is not None
    for none in (
        dataclasses.replace(targets, scenes=None),
        dataclasses.replace(targets, has_scenes=torch.zeros(B, dtype=torch.bool)),
    ):
        logits = scores.scene_logits.clone().requires_grad_()
        parts = total_loss(dataclasses.replace(scores, scene_logits=logits), none)
        assert parts.scene is not None and parts.tla is not None
        assert parts.scene.item() == 0
        assert parts.total.item() == pytest.approx((parts.geo + parts.tla).item(), abs=1e-12)
        parts.total.backward()
        assert logits.grad is not None and (logits.grad == 0).all()  # there, so that processes can exchange it


def test_tla_is_minus_the_cosine() -> None:
    scores, targets = _scores(), _targets()
    assert scores.text_vector is not None and targets.text is not None
    a, b = scores.text_vector.numpy(), targets.text.numpy()
    cosines = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in zip(a, b, strict=True)]
    assert tla_loss(scores.text_vector, targets.text).item() == pytest.approx(-np.mean(cosines), abs=1e-12)
    assert tla_loss(scores.text_vector, targets.text, "sum").item() == pytest.approx(-np.sum(cosines), abs=1e-12)
    same = tla_loss(scores.text_vector, 5 * scores.text_vector).item()
    assert same == pytest.approx(-1, abs=1e-12)
    with pytest.raises(ValueError, match=r"\(6, 8\).*\(6, 7\)"):
        tla_loss(scores.text_vector, targets.text[:, :7])


def test_total_is_the_sum_of_the_terms_that_exist() -> None:
    scores, targets = _scores(), _targets()
    whole = total_loss(scores, targets, tla_reduction="sum")
    assert whole.scene is not None and whole.tla is not None
    assert whole.total.item() == pytest.approx((whole.geo + whole.scene + whole.tla).item(), abs=1e-12)
    alone = total_loss(GeoOutput(scores.logits), Targets(targets.labels))
    assert (alone.scene, alone.tla) == (None, None)
    assert alone.total.item() == whole.geo.item()
    assert list(alone.by_name()) == ["total", "geo", *(f"geo/{level}" for level in LEVELS)]
    assert whole.by_name()["tla"].item() == pytest.approx(whole.tla.item())
    with pytest.raises(ValueError, match="text targets"):
        total_loss(scores, dataclasses.replace(targets, text=None))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_averaged_gradients_of_two_processes_are_those_of_one(reduction: str) -> None:
    """Unequal numbers of scene labels on the two sides, and the sum of Eq. 3 over the whole batch."""
    scores, targets = _scores(), _targets()
    has = torch.tensor([True, True, True, False, False, True])
    targets = dataclasses.replace(targets, has_scenes=has)

    def gradient(rows: slice, **options: float) -> list[Tensor]:
        leaves = [scores.logits["city"], scores.scene_logits, scores.text_vector]
        leaves = [leaf[rows].clone().requires_grad_() for leaf in leaves if leaf is not None]
        logits = {**{level: scores.logits[level][rows] for level in LEVELS}, "city": leaves[0]}
        assert targets.scenes is not None and targets.text is not None
        part = Targets(
            {level: targets.labels[level][rows] for level in LEVELS},
            targets.scenes[rows],
            has[rows],
            targets.text[rows],
        )
        parts = total_loss(GeoOutput(logits, None, leaves[1], leaves[2]), part, tla_reduction=reduction, **options)  # type: ignore[arg-type]
        parts.total.backward()
        return [leaf.grad for leaf in leaves if leaf.grad is not None]

    one = gradient(slice(None))
    count = has.sum().item() / 2
    halves = [gradient(rows, scene_count=count, n_processes=2) for rows in (slice(0, 3), slice(3, 6))]
    for whole, first, second in zip(one, *halves, strict=True):
        torch.testing.assert_close(torch.cat([first, second]) / 2, whole)


def test_fewer_labels_than_processes_still_weigh_one() -> None:
    logits, scenes = torch.zeros(2, 16), torch.full((2, 16), 1 / 16)
    has = torch.tensor([True, False])
    loss = scene_loss(logits, scenes, has, count=0.25)
    assert loss.item() == pytest.approx(4 * np.log(16), rel=1e-6)


def test_half_precision_scores_lose_no_more_than_their_own_rounding() -> None:
    scores, targets = _scores(), _targets()
    exact = total_loss(scores, targets)

    def half(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.bfloat16()

    rounded = GeoOutput(
        {level: x.bfloat16() for level, x in scores.logits.items()},
        None,
        half(scores.scene_logits),
        half(scores.text_vector),
    )
    parts = total_loss(rounded, targets)
    assert parts.total.dtype == torch.float32
    raised = GeoOutput({level: x.float() for level, x in rounded.logits.items()})
    assert parts.geo.item() == total_loss(raised, Targets(targets.labels)).geo.item()
    assert parts.total.item() == pytest.approx(exact.total.item(), rel=0.02)


def test_gradients_of_the_whole_model_are_those_of_finite_differences() -> None:
    """Float64, every parameter at once (gradcheck projects them on random directions)."""
    torch.manual_seed(0)
    config = small_config(hidden=8, heads=2, layers=1, frames=2, d_t=5)
    model = build_model("cityguessr", config).double()
    names = [name for name, _ in model.named_parameters()]
    clips = random_clips(config, 3).double() / 255
    targets = random_targets(config, 3)

    def loss(*values: Tensor) -> Tensor:
        parts: LossParts = total_loss(functional_call(model, dict(zip(names, values, strict=True)), (clips,)), targets)
        return parts.total

    values = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(loss, values, fast_mode=True)
