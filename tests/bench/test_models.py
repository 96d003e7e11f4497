"""What every model of the registry promises: one suite for all, those of today and those that are added later."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cityguessr_bench.losses import total_loss
from cityguessr_bench.models import MODELS, ModelConfig, build_model, parameter_counts
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RANDOM
from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.types import LEVELS
from tests.support_models import random_inputs, random_targets, small_model

PAPER = {"city": 166, "state": 157, "country": 91, "continent": 6}
ALL = sorted(MODELS)
OF_FRAMES = sorted(name for name in MODELS if MODELS[name].takes == "frames")

H, M, D = 768, 4 * 768, 166 + 157 + 91 + 6
ATTENTION = 4 * (H * H + H)
MLP = H * M + M + M * H + H
LAYER = ATTENTION + MLP + 2 * 2 * H
PATCHES = 3 * 16 * 16 * H + H
VIT_B = PATCHES + H + 12 * LAYER
"""Projection, class token, layers; MAE's position code is fixed, and the final norm is off."""
DIVIDED = LAYER + 2 * H + ATTENTION + H * H + H
"""A layer of TimeSformer: a norm, attention over time and a linear layer more."""
HEADS = D * H + D
DECODER = 64 * H + 6 * (2 * ATTENTION + MLP + 3 * 2 * H) + 2 * (2 * ATTENTION + 4 * MLP + 3 * 2 * H) + 2 * H
"""4 x 16 queries; 6 layers with one feed-forward network, 2 with four; the norm at the end."""

FULL_SIZE: dict[str, dict[str, int]] = {
    "videomae": {"backbone": 21_879_168, "heads": 161_700},
    "mae": {"encoder": VIT_B, "heads": HEADS},
    "planet": {"encoder": VIT_B, "heads": HEADS},
    "isns": {"networks": 3 * (VIT_B + HEADS)},
    "geodecoder": {"encoder": VIT_B + 2 * H, "decoder": DECODER, "heads": HEADS},
    "timesformer": {"encoder": PATCHES + H + 197 * H + 15 * H + 12 * DIVIDED + 2 * H, "heads": HEADS},
}
"""By hand, as the preset `paper` has them."""
ELSEWHERE = {"cityguessr": "test_model.py", "frozen": "test_frozen.py", "prototypes": "test_prototypes.py"}
"""Where the others are counted."""
WEIGHTS = {
    "cityguessr": "MCG-NJU/videomae-small-finetuned-kinetics",
    "videomae": "MCG-NJU/videomae-small-finetuned-kinetics",
    "timesformer": "facebook/timesformer-base-finetuned-k400",
    **dict.fromkeys(("mae", "planet", "isns", "geodecoder"), "facebook/vit-mae-base"),
}


def _built(name: str, seed: int = 0, **changes: Any) -> tuple[ModelConfig, nn.Module]:
    torch.manual_seed(seed)
    config = small_model(name, **changes)
    return config, build_model(name, config)


def _learns(name: str) -> bool:
    return any(p.requires_grad for p in build_model(name, small_model(name)).parameters())


LEARNT = [name for name in ALL if _learns(name)]
"""All but those that are fitted without gradients, whose own tests say how."""


def _parts(scores: GeoOutput) -> list[Tensor | None]:
    return [*scores.logits.values(), scores.pv_attended, scores.scene_logits, scores.text_vector]


def _same(a: GeoOutput, b: GeoOutput) -> bool:
    pairs = zip(_parts(a), _parts(b), strict=True)
    return all((x is None and y is None) or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs)


@pytest.mark.parametrize("name", FULL_SIZE)
def test_parameters_at_full_size(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, settings("paper", name).model_config(PAPER, 512, scenes=True))
    assert parameter_counts(model) == {**FULL_SIZE[name], "total": sum(FULL_SIZE[name].values())}
    assert all(p.requires_grad for p in model.parameters())


def test_every_model_is_counted_somewhere() -> None:
    assert set(MODELS) == set(FULL_SIZE) | set(ELSEWHERE)
    assert all((Path(__file__).parent / file).is_file() for file in ELSEWHERE.values())


def test_the_published_sizes() -> None:
    """ViT-B of MAE with its position code and norm, and TimeSformer for 8 frames without its classifier."""
    assert (VIT_B, VIT_B + 197 * H + 2 * H) == (85_645_824, 85_798_656)
    assert FULL_SIZE["timesformer"]["encoder"] - 7 * H == 121_258_752
    assert (HEADS, DECODER) == (322_980, 103_999_488)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_checkpoint_it_is_meant_to_start_from(name: str) -> None:
    run = settings("paper", name)
    assert run.network.weights == WEIGHTS[name]
    assert (run.network.hidden, run.network.heads) == ((384, 6) if "videomae" in WEIGHTS[name] else (768, 12))
    tiny = settings("tiny", name)
    assert (tiny.network.weights, tiny.network.hidden) == (RANDOM, 192)


@pytest.mark.parametrize("name", ALL)
def test_an_entry_is_whole(name: str) -> None:
    entry = MODELS[name]
    assert entry.about
    assert "\n" not in entry.about
    assert (entry.adopt is None) == (entry.load is None)


@pytest.mark.parametrize("name", ALL)
def test_forward_and_backward(name: str) -> None:
    """Shapes by the classes, nothing that is not finite, a gradient for every parameter; with and without scenes."""
    config, model = _built(name)
    clips, scenes = random_inputs(config, 5)
    targets = random_targets(config, 5)
    for given in (scenes, None):
        model.zero_grad(set_to_none=True)
        scores = model.train()(clips, given)
        assert {level: tuple(x.shape) for level, x in scores.logits.items()} == {
            level: (5, n) for level, n in config.classes.items()
        }
        assert list(scores.logits) == list(LEVELS)
        assert scores.scene_logits is None or tuple(scores.scene_logits.shape) == (5, config.n_scenes)
        assert all(bool(part.isfinite().all()) for part in _parts(scores) if part is not None)
        if name not in LEARNT:
            continue
        total_loss(scores, targets).total.backward()
        for parameter, p in ((n, p) for n, p in model.named_parameters() if p.requires_grad):
            assert p.grad is not None, parameter
            assert bool(p.grad.isfinite().all()), parameter


@pytest.mark.parametrize("name", LEARNT)
def test_it_learns(name: str) -> None:
    """Six clips of noise by heart: the loss of the four heads falls to under half."""
    config, model = _built(name)
    inputs, targets = random_inputs(config, 6), random_targets(config, 6)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        parts = total_loss(model(*inputs), targets)
        losses.append(float(parts.geo.detach()))
        optimiser.zero_grad()
        parts.total.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0], losses


@pytest.mark.parametrize("name", ALL)
def test_save_and_load(tmp_path: Path, name: str) -> None:
    """Safetensors holds all that is learnt; what it does not hold, the config makes again."""
    config, model = _built(name)
    inputs = random_inputs(config, 3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)  # as if trained: none is what every build starts from
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    again = ModelConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
    torch.manual_seed(1)
    other = build_model(name, again)
    assert not _same(model.eval()(*inputs), other.eval()(*inputs))
    other.load_state_dict(load_file(tmp_path / "m.safetensors"), strict=True)
    assert _same(model(*inputs), other(*inputs))


@pytest.mark.parametrize("name", ALL)
def test_two_passes_are_equal_to_the_bit_and_draw_nothing(name: str) -> None:
    config, model = _built(name)
    inputs = random_inputs(config, 4)
    before = torch.get_rng_state()
    first = model.train()(*inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert _same(first, model.eval()(*inputs))


@pytest.mark.parametrize("name", ALL)
def test_clips_of_a_batch_do_not_touch_each_other(name: str) -> None:
    config, model = _built(name)
    clips, scenes = random_inputs(config, 4)
    with torch.no_grad():
        together = model.eval()(clips, scenes).logits["city"]
        for at in range(4):
            alone = model(clips[at : at + 1], scenes[at : at + 1]).logits["city"]
            torch.testing.assert_close(alone[0], together[at], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OF_FRAMES)
def test_recomputed_activations_change_no_gradient(name: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        config, model = _built(name, checkpointing=checkpointing)
        passes: list[int] = []
        for part in model.modules():
            if isinstance(part, nn.Linear):
                part.register_forward_hook(lambda *_, passes=passes: passes.append(1))
        loss = total_loss(model.train()(*random_inputs(config, 3)), random_targets(config, 3)).total
        n_forward = len(passes)
        loss.backward()
        assert (len(passes) > n_forward) == checkpointing
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("name", OF_FRAMES)
def test_half_precision_gives_finite_scores(name: str) -> None:
    config, model = _built(name)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        scores = model(*random_inputs(config, 3))
    assert all(bool(part.isfinite().all()) for part in _parts(scores) if part is not None)


@pytest.mark.parametrize("name", OF_FRAMES)
def test_clips_of_another_shape_are_refused(name: str) -> None:
    config, model = _built(name)
    clips, scenes = random_inputs(config, 2)
    with pytest.raises(ValueError, match="expected clips"):
        model(clips[:, :, :, 1:], scenes)
