"""Temporal attention over cached features: by hand in numpy, its size by arithmetic, and a run of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import erf

from cityguessr_bench.checkpoints import last
from cityguessr_bench.inference import load_model, predict_part
from cityguessr_bench.losses import total_loss
from cityguessr_bench.models import ModelConfig, build_model, parameter_counts
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import settings
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_features import feature_config, make_feature_pack, write_dinov2
from tests.support_models import random_targets, small_config

SMALL: dict[str, Any] = {"feature_dim": 6, "scenes": False, "tla": False}


def _features(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 4, 6, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def _by_hand(state: dict[str, torch.Tensor], config: ModelConfig, clip: np.ndarray) -> dict[str, np.ndarray]:
    """One clip (T, D) in float64, as the module's own words have it: norm, width, time, attention, mean, heads."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = norm(clip.astype(np.float64), "project.0") @ w["project.1.weight"].T + w["project.1.bias"] + w["time"]
    width = config.hidden // config.heads
    for i in range(config.layers):
        layer = f"attention.layers.{i}"
        qkv = norm(x, f"{layer}.norm1") @ w[f"{layer}.self_attn.in_proj_weight"].T
        q, k, v = np.split(qkv + w[f"{layer}.self_attn.in_proj_bias"], 3, axis=1)
        heads = []
        for start in range(0, config.hidden, width):
            cut = slice(start, start + width)
            scores = np.exp(q[:, cut] @ k[:, cut].T / np.sqrt(width))
            heads.append(scores / scores.sum(1, keepdims=True) @ v[:, cut])
        out = np.concatenate(heads, 1) @ w[f"{layer}.self_attn.out_proj.weight"].T
        x = x + out + w[f"{layer}.self_attn.out_proj.bias"]
        inner = norm(x, f"{layer}.norm2") @ w[f"{layer}.linear1.weight"].T + w[f"{layer}.linear1.bias"]
        x = x + (inner * 0.5 * (1 + erf(inner / np.sqrt(2)))) @ w[f"{layer}.linear2.weight"].T
        x = x + w[f"{layer}.linear2.bias"]
    feature = norm(x, "attention.norm").mean(0)
    return {n: feature @ w[f"heads.by_level.{n}.weight"].T + w[f"heads.by_level.{n}.bias"] for n in LEVELS}


def test_its_layers_start_apart() -> None:
    """torch's own stack starts all layers as copies of one."""
    model = build_model("frozen", small_config(**SMALL))
    first, second = (part.linear1.weight for part in model.get_submodule("attention.layers").children())
    assert not torch.equal(first, second)


def test_it_is_what_it_says_by_hand() -> None:
    config = small_config(**SMALL)
    torch.manual_seed(0)
    model = build_model("frozen", config)
    with torch.no_grad():  # norms start at 1 and 0, where their places cannot be told
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    clips = _features(3)
    for training in (True, False):  # torch has two ways through its encoder
        with torch.no_grad():
            logits = model.train(training)(clips.half()).logits
        for row, clip in enumerate(clips.half().numpy()):
            expected = _by_hand(model.state_dict(), config, clip)
            for level in LEVELS:
                assert logits[level].shape == (3, config.classes[level])
                assert logits[level][row].numpy() == pytest.approx(expected[level], abs=2e-5)


def test_the_order_of_frames_counts() -> None:
    torch.manual_seed(0)
    model, clips = build_model("frozen", small_config(**SMALL)), _features(2)
    with torch.no_grad():
        turned = model(clips.flip(1)).logits["city"]
        assert (model(clips).logits["city"] - turned).abs().max() > 1e-4
        model.time.zero_()  # type: ignore[operator]
        assert torch.allclose(model(clips).logits["city"], model(clips.flip(1)).logits["city"], atol=1e-6)


def test_every_parameter_learns() -> None:
    config = small_config(**SMALL)
    torch.manual_seed(0)
    model = build_model("frozen", config)
    total_loss(model(_features(5)), random_targets(config, 5)).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_its_size_by_arithmetic() -> None:
    """With the widths that every preset of published weights gives it, CLIP's 768 numbers and the paper's classes."""
    run = settings("authors", "frozen")
    config = run.model_config(dict(zip(LEVELS, (166, 157, 91, 6), strict=True)), 512, scenes=True)
    model = build_model("frozen", ModelConfig(**{**vars(config), "feature_dim": 768}))
    norm, project, time = 2 * 768, 768 * 512 + 512, 16 * 512
    attention = 3 * 512 * 512 + 3 * 512 + 512 * 512 + 512
    mlp = 512 * 2048 + 2048 + 2048 * 512 + 512
    heads = (166 + 157 + 91 + 6) * (512 + 1)
    expected = norm + project + time + 2 * (attention + mlp + 2 * 2 * 512) + 2 * 512 + heads
    assert parameter_counts(model)["total"] == expected == 6_924_708
    assert "6,924,708" in (type(model).__doc__ or "")


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match="takes cached features"):
        build_model("frozen", small_config())
    for branch in ("scenes", "tla"):
        with pytest.raises(InputError, match=rf"network\.{branch} is true"):
            build_model("frozen", small_config(**{**SMALL, branch: True}))
    model = build_model("frozen", small_config(**SMALL))
    for wrong in (torch.zeros(1, 3, 6), torch.zeros(1, 4, 7), torch.zeros(4, 6), torch.zeros(1, 4, 6).int()):
        with pytest.raises(ValueError, match=r"expected features \(B, 4, 6\) of floats"):
            model(wrong)


@pytest.mark.parametrize("preset", ["paper", "authors", "improved", "tiny"])
def test_every_preset_suits_it(preset: str) -> None:
    """No pixels are changed, no checkpoint is looked for; what else the preset says stays."""
    run = settings(preset, "frozen")
    assert (run.data.features, run.network.weights, run.train.augment) == ("clip", "random", "none")
    assert not run.network.scenes and not run.network.tla and run.network.layers == 2
    assert (run.network.hidden, run.network.heads) == ((192, 3) if preset == "tiny" else (512, 8))
    assert run.train.lr == settings(preset, "videomae").train.lr


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    return make_feature_pack(folder, write_dinov2(folder / "dino"))


def test_a_run_of_it(pack: Path, tmp_path: Path) -> None:
    """Trained, stopped and taken up again: the same weights. What it learns shows on the clips it has seen."""
    config = feature_config(pack.parent / "dino", train={"epochs": 30, "lr": 3e-3, "watch": "none", "report": "last"})
    train(TrainRequest(pack, tmp_path / "run", "v", config, device="cpu"))
    run = RunDir.open(tmp_path / "run")
    about = Pack.open(pack).config
    assert run.model_config.feature_dim == 8
    assert run.record["data"]["encoder"] == {
        "name": str(pack.parent / "dino"),
        "digest": about.encoder_digest,
        "size_px": 28,
    }
    seen = predict_part(run, "train", device="cpu")
    right = (seen.log_probs["city"].argmax(1) == seen.truth["city"]).mean()
    assert right > 0.9
    state = load_file(last(run.checkpoints) / "weights.safetensors")  # type: ignore[operator]
    assert {name: tuple(t.shape) for name, t in load_model(run).state_dict().items()} == {
        name: tuple(t.shape) for name, t in state.items()
    }
    with pytest.raises(InputError, match="there are no pixels to change"):
        predict_part(run, "test", device="cpu", change=lambda clips, _: clips)


def test_it_goes_on_where_it_stopped(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = feature_config(pack.parent / "dino")
    train(TrainRequest(pack, tmp_path / "whole", "v", config, device="cpu"))
    monkeypatch.setattr("cityguessr_bench.train.loop.CHECKPOINT_EVERY_S", 0.0)

    class Stop(Exception):
        pass

    saved: list[int] = []

    def die(*_: object) -> None:
        saved.append(1)
        if len(saved) == 4:  # in the second epoch
            raise Stop

    from cityguessr_bench.train import loop

    monkeypatch.setattr(loop.Trainer, "_descend", _then(loop.Trainer._descend, die))
    with pytest.raises(Stop):
        train(TrainRequest(pack, tmp_path / "cut", "v", config, device="cpu"))
    train(TrainRequest(pack, tmp_path / "cut", "v", config, resume=True, device="cpu"))
    ends = [load_file(last(tmp_path / n / "checkpoints") / "weights.safetensors") for n in ("whole", "cut")]  # type: ignore[operator]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def _then(first: Any, second: Any) -> Any:
    def both(*given: Any) -> Any:
        answer = first(*given)
        second()
        return answer

    return both


def test_settings_and_data_that_do_not_fit(pack: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    frozen, run = feature_config(pack.parent / "dino"), tmp_path / "run"
    for config, words in (
        (frozen.changed({"data": {"features": ""}}, "x"), "frozen takes cached features"),
        (frozen.changed({"model": "videomae"}, "x"), "videomae takes frames, and data.features is"),
        (frozen.changed({"train": {"augment": "light"}}, "x"), "light changes pixels, and the run is of features"),
        (frozen.changed({"data": {"features": "dinov2"}}, "x"), "the run wants features of facebook/dinov2-large"),
        (frozen.changed({"network": {"scenes": True}}, "x"), r"network\.scenes is true"),
        (frozen.changed({"network": {"weights": str(pack.parent / "dino")}}, "x"), "starts from no checkpoint"),
    ):
        with pytest.raises(InputError, match=words):
            train(TrainRequest(pack, run, "v", config, device="cpu"))
        assert not run.exists() or not any(run.iterdir())
