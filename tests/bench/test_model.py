"""The whole model at tiny size, and its parameter counts at full size."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cityguessr_bench.losses import total_loss
from cityguessr_bench.models import MODELS, ModelConfig, build_model, parameter_counts, register
from cityguessr_bench.models.config import widths_of
from cityguessr_bench.models.pixels import ClipNormaliser
from cityguessr_bench.scores import GeoOutput
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_models import SMALL, random_clips, random_targets, small_config


def _same(a: GeoOutput, b: GeoOutput) -> bool:
    pairs = [(a.logits[level], b.logits[level]) for level in LEVELS]
    pairs += [(a.pv_attended, b.pv_attended), (a.scene_logits, b.scene_logits), (a.text_vector, b.text_vector)]
    return all(x is y is None or torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(("ffn_t_layers", "ffn_t"), [(2, 435_290), (3, 652_912)])
def test_parameters_at_full_size(ffn_t_layers: int, ffn_t: int) -> None:
    """The counts of the released model; `meta` makes the shapes without the memory."""
    with torch.device("meta"):
        model = build_model("cityguessr", ModelConfig(166, 157, 91, 6, ffn_t_layers=ffn_t_layers))
    parts = {
        "backbone": 21_879_168,
        "heads": 161_700,
        "self_cross_attention": 211,
        "ffn_s": 151_808,
        "ffn_t": ffn_t,
    }
    assert parameter_counts(model) == {**parts, "total": sum(parts.values())}
    assert all(p.requires_grad for p in model.parameters())


def test_shapes_and_parts() -> None:
    config = small_config()
    scores = build_model("cityguessr", config)(random_clips(config, 3))
    assert list(scores.logits) == list(LEVELS)
    assert {level: tuple(x.shape) for level, x in scores.logits.items()} == {
        level: (3, n) for level, n in config.classes.items()
    }
    assert scores.pv_attended.shape == (3, 5 + 4 + 3 + 2)
    assert scores.scene_logits.shape == (3, 16)
    assert scores.text_vector.shape == (3, 7)


@pytest.mark.parametrize(("scenes", "tla"), [(True, False), (False, True), (False, False)])
def test_a_branch_that_is_off_does_not_exist(scenes: bool, tla: bool) -> None:
    torch.manual_seed(0)
    config = small_config(scenes=scenes, tla=tla)
    model = build_model("cityguessr", config)
    names = set(parameter_counts(model))
    assert ("ffn_s" in names, "ffn_t" in names) == (scenes, tla)
    assert ("self_cross_attention" in names) == (scenes or tla)
    scores = model(random_clips(config, 2))
    assert (scores.scene_logits is not None, scores.text_vector is not None) == (scenes, tla)
    assert (scores.pv_attended is not None) == (scenes or tla)
    total_loss(scores, random_targets(config, 2)).total.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_every_parameter(checkpointing: bool) -> None:
    torch.manual_seed(0)
    config = small_config(checkpointing=checkpointing)
    model = build_model("cityguessr", config).train()
    for name, p in model.named_parameters():
        if name.endswith("bias") and "norm" not in name:
            torch.nn.init.normal_(p, std=0.1)  # no ReLU layer of a few units is dead as a whole
    total_loss(model(random_clips(config, 6)), random_targets(config, 6)).total.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_checkpointing_and_attention_kind_change_no_gradient() -> None:
    gradients = []
    for options in ({}, {"checkpointing": True}, {"attention": "eager"}):
        torch.manual_seed(0)
        config = small_config(**options)
        model = build_model("cityguessr", config).train()
        total_loss(model(random_clips(config, 3)), random_targets(config, 3)).total.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.equal(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("attention", "of_backbone"), [("sdpa", 2), ("eager", 0)])
def test_fused_attention_is_used_as_asked(monkeypatch: pytest.MonkeyPatch, attention: Any, of_backbone: int) -> None:
    """One call a layer of the backbone, and one of Self-Cross Attention, which always takes the fused kernel."""
    fused, calls = torch.nn.functional.scaled_dot_product_attention, []
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: (calls.append(1), fused(*a, **k))[1]
    )
    config = small_config(attention=attention)
    build_model("cityguessr", config)(random_clips(config, 1))
    assert len(calls) == of_backbone + 1


@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_runs_every_layer_again(checkpointing: bool) -> None:
    config = small_config(checkpointing=checkpointing)
    model, passes = build_model("cityguessr", config).train(), []
    for layer in model.backbone.videomae.encoder.layer:
        layer.intermediate.register_forward_hook(lambda *_: passes.append(1))
    loss = total_loss(model(random_clips(config, 2)), random_targets(config, 2)).total
    assert len(passes) == config.layers
    loss.backward()
    assert len(passes) == config.layers * (2 if checkpointing else 1)


def test_save_and_load(tmp_path: Path) -> None:
    """Safetensors holds all that is learnt; what it does not hold, the config makes again."""
    config = small_config(frames=3)
    torch.manual_seed(0)
    model, clips = build_model("cityguessr", config).eval(), random_clips(config, 2)
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    torch.manual_seed(1)
    other = build_model("cityguessr", ModelConfig(**json.loads(json.dumps(dataclasses.asdict(config))))).eval()
    assert not _same(model(clips), other(clips))
    other.load_state_dict(load_file(tmp_path / "m.safetensors"), strict=True)
    assert _same(model(clips), other(clips))
    buffers = dict(other.named_buffers())
    assert set(buffers) == {"normalise.mean", "normalise.std", "backbone.videomae.embeddings.position_embeddings"}
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name])
    assert not set(buffers) & set(model.state_dict())


def test_two_builds_and_two_passes_are_equal_to_the_bit() -> None:
    config, clips = small_config(), random_clips(small_config(), 3)
    scores = []
    for _ in range(2):
        torch.manual_seed(7)
        model = build_model("cityguessr", config)
        scores += [model(clips), model(clips)]
    assert all(_same(scores[0], other) for other in scores[1:])


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    config, clips = small_config(), random_clips(small_config(), 3)
    model = build_model("cityguessr", config).eval()
    torch.testing.assert_close(model(clips[1:2]).text_vector, model(clips).text_vector[1:2])


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_gives_numbers(autocast: bool) -> None:
    torch.manual_seed(0)
    config = small_config()
    model, clips = build_model("cityguessr", config), random_clips(config, 3)
    exact = model(clips).logits["city"]
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(clips)
    else:
        scores = model.bfloat16()(clips)
    found = [*scores.logits.values(), scores.pv_attended, scores.scene_logits, scores.text_vector]
    assert all(x.dtype == torch.bfloat16 and torch.isfinite(x).all() for x in found)
    torch.testing.assert_close(scores.logits["city"].float(), exact, rtol=0.1, atol=0.05)
    loss = total_loss(scores, random_targets(config, 3)).total
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_an_odd_clip_is_completed_by_its_last_frame() -> None:
    odd, even = small_config(frames=3), small_config(frames=4)
    assert (odd.backbone_frames, ModelConfig(1, 1, 1, 1, frames=15).backbone_frames) == (4, 16)
    torch.manual_seed(0)
    model = build_model("cityguessr", odd)
    twin = build_model("cityguessr", even)
    twin.load_state_dict(model.state_dict())
    clips = random_clips(odd, 2)
    assert _same(model(clips), twin(torch.cat([clips, clips[:, 2:]], dim=1)))
    assert not _same(model(clips), twin(torch.cat([clips, clips[:, :1]], dim=1)))


def test_pixels_are_normalised_as_the_config_says() -> None:
    config = small_config(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    clips = random_clips(config, 2)
    normalised = ClipNormaliser(config)(clips)
    for channel, (mean, std) in enumerate(zip(config.mean, config.std, strict=True)):
        expected = (clips[:, :, channel].double() / 255 - mean) / std
        torch.testing.assert_close(normalised[:, :, channel].double(), expected, rtol=0, atol=1e-6)
    plain = ClipNormaliser(small_config(mean=None, std=None))
    torch.testing.assert_close(plain(clips).double(), clips.double() / 255, rtol=0, atol=1e-7)
    torch.testing.assert_close(plain(clips.float() / 255), plain(clips))


def test_local_contrast_takes_out_light_and_keeps_edges() -> None:
    config = small_config(size_px=56, mean=None, std=None, local_contrast=True)
    clips = random_clips(config, 1)
    found = ClipNormaliser(config)(clips)
    # by hand at the centre of a cell that touches no border: the window is the 3 x 3 cells of 4 px around it
    frame = clips[0, 0, 0].double().numpy() / 255
    means, squares = (x.reshape(14, 4, 14, 4).mean((1, 3)) for x in (frame, frame**2))
    at = lambda x: np.array([[x[r - 1 : r + 2, c - 1 : c + 2].mean() for c in (6, 7)] for r in (6, 7)])  # noqa: E731
    # pixel 27 lies between the centres of cells 6 (25.5) and 7 (29.5): 3/8 of the way
    blend = np.array([0.625, 0.375])
    mean, square = blend @ at(means) @ blend, blend @ at(squares) @ blend
    expected = (frame[27, 27] - mean) / (np.sqrt(square - mean**2) + 0.03)
    assert float(found[0, 0, 0, 27, 27]) == pytest.approx(expected, abs=1e-4)
    light = torch.tensor([0.5, 0.8, 0.6]).view(3, 1, 1) * (clips.float() / 255) + 0.2
    torch.testing.assert_close(ClipNormaliser(config)(light), found, rtol=0.2, atol=0.02)
    flat = torch.full_like(clips, 7)
    assert float(ClipNormaliser(config)(flat).abs().max()) < 0.01  # nothing to divide by, and no NaN
    with pytest.raises(InputError, match="local_contrast"):
        small_config(local_contrast=True)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, 5, 3, 16, 16), torch.uint8, r"expected clips \(B, 4, 3, 16, 16\), got \(2, 5, 3, 16, 16\)"),
        ((2, 4, 16, 16, 3), torch.uint8, "expected clips"),
        ((4, 3, 16, 16), torch.uint8, "expected clips"),
        ((2, 4, 3, 16, 16), torch.int64, "uint8 or of floats"),
    ],
)
def test_other_clips_are_refused(shape: tuple[int, ...], dtype: torch.dtype, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model("cityguessr", small_config())(torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_city": 0}, "n_city is 0"),
        ({"layers": 1.5}, "layers is 1.5"),
        ({"n_scenes": True}, "n_scenes is True"),
        ({"heads": 5}, r"hidden \(12\) is no multiple of heads \(5\)"),
        ({"size_px": 20}, r"size_px \(20\) is no multiple"),
        ({"ffn_t_layers": 4}, "ffn_t_layers is 4"),
        ({"attention": "flash"}, "attention is 'flash'"),
        ({"mean": None}, "only one of mean and std"),
        ({"mean": (0.1, 0.2)}, "one number for each"),
        ({"std": (1.0, 0.0, 1.0)}, "must be over 0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_config(**change)


def test_widths_follow_the_classes() -> None:
    config = ModelConfig(**widths_of({"city": 166, "state": 157, "country": 91, "continent": 6}))
    assert (config.d, list(config.classes.values()), config.intermediate) == (420, [166, 157, 91, 6], 1536)


def test_the_registry() -> None:
    assert "cityguessr" in MODELS
    with pytest.raises(ValueError, match="'cityguessr' is registered twice"):
        register("cityguessr", MODELS["cityguessr"])
    with pytest.raises(InputError, match=r"Give one of: .*cityguessr"):
        build_model("citygesser", small_config())


def test_names_and_settings_need_no_torch() -> None:
    code = (
        "import sys; from cityguessr_bench.models import MODELS, ModelConfig; ModelConfig(1, 1, 1, 1);"
        "bad = {'torch', 'transformers'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_eight_clips_are_learnt_by_heart() -> None:
    """The preset `tiny`'s geometry: 192 wide, 4 layers, 8 frames of 112 px; every clip another city."""
    torch.manual_seed(0)
    config = ModelConfig(8, 6, 4, 2, hidden=192, layers=4, heads=3, frames=8, size_px=112, d_t=32)
    model = build_model("cityguessr", config)
    clips, targets = random_clips(config, 8), random_targets(config, 8)
    labels = {**targets.labels, "city": torch.arange(8)}
    targets = dataclasses.replace(targets, labels=labels)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for _ in range(60):
        scores = model(clips)
        if all((scores.logits[level].argmax(1) == labels[level]).all() for level in LEVELS):
            break
        optimiser.zero_grad()
        total_loss(scores, targets).total.backward()
        optimiser.step()
    assert (model.eval()(clips).logits["city"].argmax(1) == labels["city"]).all()


assert SMALL["hidden"] % SMALL["heads"] == 0
