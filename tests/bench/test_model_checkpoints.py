"""Published ViT-MAE and TimeSformer files arrive whole in every model that starts from them; anything else stops."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TimesformerConfig, TimesformerForVideoClassification, ViTMAEConfig, ViTMAEForPreTraining
from transformers import logging as library_logging

from cityguessr_bench.models import MODELS, ModelConfig, build_model
from cityguessr_bench.models.checkpoint_state import check_state, put_state
from cityguessr_bench.models.mae_checkpoint import VIT_B, read_mae_state
from cityguessr_bench.models.timesformer import FINE_TUNED
from cityguessr_data.core.errors import InputError, WeightsError
from tests.support_checkpoints import (
    mae_shapes,
    random_state,
    timesformer_shapes,
    write_mae,
    write_timesformer,
)
from tests.support_models import small_model

OF_MAE = ("mae", "planet", "isns", "geodecoder")
N_FILE = 8
"""Frames of the TimeSformer file; the run's are 4."""


def _write(name: str, folder: Path, config: ModelConfig, state: dict[str, Tensor] | None = None, **stated: Any) -> Path:
    if name in OF_MAE:
        return write_mae(folder, config, state, **stated)
    return write_timesformer(folder, config, N_FILE, state, **stated)


def _shapes(name: str, config: ModelConfig) -> dict[str, tuple[int, ...]]:
    return mae_shapes(config) if name in OF_MAE else timesformer_shapes(config, N_FILE)


def _pixels(config: ModelConfig, n: int = 3) -> Tensor:
    shape = (n, config.frames, 3, config.size_px, config.size_px)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def _encoders(name: str, model: Any) -> list[Any]:
    return [network["encoder"] for network in model.networks.values()] if name == "isns" else [model.encoder]


def _librarys(architecture: Any, folder: Path, **changes: Any) -> Any:
    """By the library's own loader: it must know every name of the file, so the names above are the published ones."""
    log: Any = library_logging
    log.disable_progress_bar()
    model, info = architecture.from_pretrained(folder, output_loading_info=True, **changes)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    return model.eval()


@pytest.mark.parametrize("name", OF_MAE)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_an_mae_gives_the_librarys_own_features(tmp_path: Path, name: str, attention: str) -> None:
    """With every patch kept, in whatever order the library draws: the mean does not depend on it."""
    config = small_model(name, attention=attention)
    folder = _write(name, tmp_path, config)
    theirs = _librarys(ViTMAEForPreTraining, folder, mask_ratio=0.0).vit
    if not config.final_norm:
        theirs.layernorm = torch.nn.Identity()
    model = build_model(name, config)
    MODELS[name].load(model, str(folder), config)
    pixels = _pixels(config)
    with torch.no_grad():
        expected = theirs(pixels[:, 0]).last_hidden_state[:, 1:].mean(1)
        for encoder in _encoders(name, model):
            torch.testing.assert_close(encoder(pixels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [4, N_FILE, 15])
def test_timesformer_gives_the_librarys_own_features(tmp_path: Path, frames: int) -> None:
    """The library stretches the time code in its forward pass, where its layers are told the number of frames."""
    config = small_model("timesformer", frames=frames)
    folder = _write("timesformer", tmp_path, config)
    theirs = _librarys(TimesformerForVideoClassification, folder).timesformer
    theirs.config.num_frames = frames
    for layer in theirs.encoder.layer:
        layer.config.num_frames = frames
    model: Any = build_model("timesformer", config)
    MODELS["timesformer"].load(model, str(folder), config)
    with torch.no_grad():
        expected = theirs(_pixels(config)).last_hidden_state[:, 0]
        torch.testing.assert_close(model.encoder(_pixels(config)), expected, rtol=1e-4, atol=1e-5)
    file = random_state(timesformer_shapes(config, N_FILE))["timesformer.embeddings.time_embeddings"][0]
    ours = model.encoder.timesformer.embeddings.time_embeddings[0]
    for at in range(frames):
        assert torch.equal(ours[at], file[at * N_FILE // frames])


@pytest.mark.parametrize("name", OF_MAE)
def test_a_file_that_the_library_of_today_writes(tmp_path: Path, name: str) -> None:
    """Of the encoder alone, without the prefix."""
    config = small_model(name)
    theirs = _librarys(ViTMAEForPreTraining, write_mae(tmp_path / "old", config), mask_ratio=0.0)
    theirs.vit.save_pretrained(tmp_path / "new")
    model = build_model(name, config)
    MODELS[name].load(model, str(tmp_path / "new"), config)
    for encoder in _encoders(name, model):
        check_state(encoder.vit, read_mae_state(tmp_path / "old", final_norm=config.final_norm), "old")


@pytest.mark.parametrize("name", [*OF_MAE, "timesformer"])
@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape"])
def test_a_tensor_that_does_not_fit_stops(tmp_path: Path, name: str, fault: str) -> None:
    config = small_model(name)
    shapes = _shapes(name, config)
    prefix = "vit." if name in OF_MAE else "timesformer."
    place = f"{prefix}encoder.layer.1.output.dense.weight"
    if fault == "missing":
        del shapes[place]
    elif fault == "unexpected":
        place = f"{prefix}encoder.surprise.weight"
        shapes[place] = (3,)
    else:
        shapes[place] = (5, 5)
    folder = _write(name, tmp_path, config, random_state(shapes))
    named = r"layers\.1\.mlp\.fc2\.weight" if name in OF_MAE and fault != "unexpected" else place.removeprefix(prefix)
    with pytest.raises(WeightsError, match=rf"{named} {fault}") as caught:
        MODELS[name].load(build_model(name, config), str(folder), config)
    assert (VIT_B if name in OF_MAE else FINE_TUNED) in caught.value.hint


@pytest.mark.parametrize("name", [*OF_MAE, "timesformer"])
def test_another_part_beside_the_encoder_is_reported(tmp_path: Path, name: str) -> None:
    config = small_model(name)
    folder = _write(name, tmp_path, config, random_state({**_shapes(name, config), "surprise.weight": (3,)}))
    with pytest.raises(WeightsError, match=r"surprise\.weight unexpected"):
        MODELS[name].load(build_model(name, config), str(folder), config)


def test_a_time_code_of_another_length_than_the_file_says(tmp_path: Path) -> None:
    config = small_model("timesformer")
    shapes = {**timesformer_shapes(config, N_FILE), "timesformer.embeddings.time_embeddings": (1, 7, config.hidden)}
    folder = _write("timesformer", tmp_path, config, random_state(shapes))
    with pytest.raises(WeightsError, match="time_embeddings of another shape"):
        MODELS["timesformer"].load(build_model("timesformer", config), str(folder), config)


@pytest.mark.parametrize("place", ["layers.1.attention.q_proj", "layers.0.attention.v_proj"])
def test_a_bias_that_did_not_arrive_is_found(tmp_path: Path, place: str) -> None:
    config = small_model("mae")
    folder = _write("mae", tmp_path, config)
    model: Any = build_model("mae", config)
    MODELS["mae"].load(model, str(folder), config)
    state = read_mae_state(folder)
    check_state(model.encoder.vit, state, "x")
    with torch.no_grad():
        model.encoder.vit.get_submodule(place).bias.zero_()
    with pytest.raises(WeightsError, match=rf"1 query and value biases .*{place}\.bias"):
        check_state(model.encoder.vit, state, "x")


class _Faulty(torch.nn.Linear):
    """Takes a state without a word, and forgets its bias: what a faulty release did to VideoMAE's."""

    def load_state_dict(self, *given: Any, **how: Any) -> Any:
        done = super().load_state_dict(*given, **how)
        torch.nn.init.zeros_(self.bias)
        return done


def test_all_is_compared_after_loading(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    put_state(torch.nn.Linear(3, 2), state, tmp_path, "a checkpoint", "some/model")
    with pytest.raises(WeightsError, match=r"after loading .*, 1 tensors .* \(first: bias\)"):
        put_state(_Faulty(3, 2), state, tmp_path, "a checkpoint", "some/model")


def test_every_encoder_of_isns_starts_from_the_file(tmp_path: Path) -> None:
    config = small_model("isns")
    folder = _write("isns", tmp_path, config)
    model: Any = build_model("isns", config)
    MODELS["isns"].load(model, str(folder), config)
    for encoder in _encoders("isns", model):
        check_state(encoder.vit, read_mae_state(folder), "x")


@pytest.mark.parametrize("name", [*OF_MAE, "timesformer"])
@pytest.mark.parametrize(("field", "value"), [("heads", 4), ("size_px", 24), ("layers", 3), ("mlp_ratio", 2)])
def test_another_geometry_is_refused_and_can_be_adopted(tmp_path: Path, name: str, field: str, value: int) -> None:
    """The number of attention heads leaves no trace in the tensors: only config.json tells."""
    config, written = small_model(name), small_model(name, **{field: value})
    folder = _write(name, tmp_path, written)
    entry = MODELS[name]
    with pytest.raises(InputError, match=rf"{field} {value} \(the model's settings say {getattr(config, field)}\)"):
        entry.load(build_model(name, config), str(folder), config)
    adopted = entry.adopt(str(folder), config)
    assert adopted == written
    entry.load(build_model(name, adopted), str(folder), adopted)


@pytest.mark.parametrize("name", [*OF_MAE, "timesformer"])
@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"model_type": "vit"}, "is not of a (ViT-MAE|TimeSformer) model"),
        ({"hidden_act": "relu"}, "hidden_act is relu, and this backbone has gelu"),
        ({"layer_norm_eps": 0.1}, "layer_norm_eps is 0.1"),
        ({"qkv_bias": False}, "qkv_bias is False"),
    ],
)
def test_a_checkpoint_of_something_else(tmp_path: Path, name: str, stated: dict[str, Any], message: str) -> None:
    config = small_model(name)
    folder = _write(name, tmp_path, config, **stated)
    with pytest.raises(WeightsError, match=message):
        MODELS[name].adopt(str(folder), config)


def test_timesformer_of_joint_attention_is_refused(tmp_path: Path) -> None:
    config = small_model("timesformer")
    folder = _write("timesformer", tmp_path, config, attention_type="joint_space_time")
    with pytest.raises(WeightsError, match="attention_type is joint_space_time"):
        MODELS["timesformer"].adopt(str(folder), config)


FULL = {"hidden": 768, "layers": 12, "heads": 12, "tubelet": 1, "scenes": False, "tla": False}


def test_the_full_mae_file_is_the_published_one() -> None:
    """Names by our map, and shapes, are those of the library's class at the published configuration."""
    config = ModelConfig(166, 157, 91, 6, frames=1, final_norm=True, **FULL)
    shapes = mae_shapes(config, width=512, layers=8)
    with torch.device("meta"):
        theirs = ViTMAEForPreTraining(ViTMAEConfig()).state_dict()
        ours: Any = build_model("mae", config)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == sum(t.numel() for t in theirs.values())
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 111_907_840
    wanted = {name.removeprefix("vit."): t.shape for name, t in theirs.items() if name.startswith("vit.")}
    assert {name: t.shape for name, t in ours.encoder.vit.state_dict().items()} == wanted


def test_the_full_timesformer_file_is_the_published_one() -> None:
    config = ModelConfig(166, 157, 91, 6, frames=15, **FULL)
    with torch.device("meta"):
        theirs = TimesformerForVideoClassification(TimesformerConfig(num_labels=400)).state_dict()
    assert {name: tuple(t.shape) for name, t in theirs.items()} == timesformer_shapes(config, 8)
    assert dataclasses.asdict(config)["frames"] == 15
