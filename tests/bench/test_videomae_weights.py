"""Published VideoMAE weights arrive whole, biases too; anything else stops with one line."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import Tensor

from cityguessr_bench.models.checkpoint import check_backbone, load_backbone, read_backbone_state
from cityguessr_bench.models.checkpoint_geometry import FINE_TUNED, adopt_geometry
from cityguessr_bench.models.config import ModelConfig
from cityguessr_bench.models.hub_folder import find_folder
from cityguessr_data.core.errors import InputError, WeightsError
from tests.support_models import hand_written_feature, hub_state, small_config, write_hub_folder

CONFIG = small_config()
FIRST = "encoder.layer.0.attention.attention."


def _pixels(config: ModelConfig) -> Tensor:
    shape = (2, config.backbone_frames, 3, config.size_px, config.size_px)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def _agrees(backbone: torch.nn.Module, state: dict[str, Tensor], config: ModelConfig) -> None:
    """The backbone's features are those of the hand-written computation."""
    pixels = _pixels(config)
    with torch.no_grad():
        ours = backbone(pixels).numpy()
    by_hand = [hand_written_feature(state, config, p, final_norm=config.final_norm) for p in pixels.double().numpy()]
    np.testing.assert_allclose(ours, np.array(by_hand), rtol=0, atol=2e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("pickled", [False, True])
def test_fine_tuned_checkpoint_gives_the_features_of_the_formula(tmp_path: Path, pickled: bool, attention: Any) -> None:
    state = hub_state(CONFIG)
    config = small_config(attention=attention)
    backbone = load_backbone(write_hub_folder(tmp_path, CONFIG, state, pickled=pickled), config)
    _agrees(backbone, state, config)


def test_query_and_value_biases_are_those_of_the_file(tmp_path: Path) -> None:
    state = hub_state(CONFIG)
    backbone = load_backbone(write_hub_folder(tmp_path, CONFIG, state), CONFIG)
    for i in range(CONFIG.layers):
        attention = backbone.videomae.encoder.layer[i].attention.attention
        old = f"videomae.encoder.layer.{i}.attention.attention."
        assert torch.equal(attention.query.bias, state[old + "q_bias"])
        assert torch.equal(attention.value.bias, state[old + "v_bias"])
        assert attention.key.bias is None


def test_pre_trained_checkpoint_with_and_without_its_final_norm(tmp_path: Path) -> None:
    state = hub_state(CONFIG, kind="pre-trained")
    folder = write_hub_folder(tmp_path, CONFIG, state)
    _agrees(load_backbone(folder, CONFIG), state, CONFIG)
    normed = small_config(final_norm=True)
    _agrees(load_backbone(folder, normed), state, normed)


def test_fine_tuned_checkpoint_has_no_final_norm_to_give(tmp_path: Path) -> None:
    folder = write_hub_folder(tmp_path, CONFIG, hub_state(CONFIG))
    with pytest.raises(WeightsError, match=r"layernorm\.bias and 1 more missing"):
        load_backbone(folder, small_config(final_norm=True))


def test_a_folder_that_transformers_itself_wrote(tmp_path: Path) -> None:
    """The library's present names, with and without the prefix; its own forward is the reference."""
    from transformers import VideoMAEForVideoClassification

    from cityguessr_bench.models.videomae import videomae_config

    theirs = VideoMAEForVideoClassification(videomae_config(CONFIG)).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith(("query.bias", "value.bias", "key.bias")):
                parameter.normal_()
        expected = theirs.videomae(_pixels(CONFIG)).last_hidden_state.mean(1)
    for part in (theirs, theirs.videomae):
        folder = tmp_path / type(part).__name__
        part.save_pretrained(folder)
        with torch.no_grad():
            torch.testing.assert_close(load_backbone(folder, CONFIG)(_pixels(CONFIG)), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"videomae.{FIRST}q_bias": None}, r"query\.bias missing"),
        ({f"videomae.{FIRST}key.weight": None}, r"key\.weight missing"),
        ({"videomae.embeddings.cls_token": (1, 1, 12)}, r"embeddings\.cls_token unexpected"),
        ({"surprise.weight": (3,)}, r"surprise\.weight unexpected"),
        ({f"videomae.{FIRST}v_bias": (11,)}, r"value\.bias of another shape"),
        ({f"videomae.{FIRST}query.bias": (12,)}, r"query\.bias twice"),
    ],
)
def test_a_tensor_that_does_not_fit_stops(
    tmp_path: Path, change: dict[str, tuple[int, ...] | None], message: str
) -> None:
    state = hub_state(CONFIG)
    for name, shape in change.items():
        if shape is None:
            del state[name]
        else:
            state[name] = torch.ones(shape)
    with pytest.raises(WeightsError, match=message):
        load_backbone(write_hub_folder(tmp_path, CONFIG, state), CONFIG)


@pytest.mark.parametrize("which", ["query", "value"])
def test_biases_that_did_not_arrive_are_found(tmp_path: Path, which: str) -> None:
    """What faulty releases of transformers do: the model is loaded, its biases are zero."""
    folder = write_hub_folder(tmp_path, CONFIG, hub_state(CONFIG))
    backbone = load_backbone(folder, CONFIG)
    state = read_backbone_state(folder)
    check_backbone(backbone, state, "x")
    with torch.no_grad():
        getattr(backbone.videomae.encoder.layer[1].attention.attention, which).bias.zero_()
    with pytest.raises(WeightsError, match=rf"1 query and value biases .* encoder\.layer\.1\..*{which}\.bias"):
        check_backbone(backbone, state, "x")


def test_another_tensor_that_did_not_arrive_is_found(tmp_path: Path) -> None:
    folder = write_hub_folder(tmp_path, CONFIG, hub_state(CONFIG))
    backbone = load_backbone(folder, CONFIG)
    with torch.no_grad():
        backbone.videomae.encoder.layer[0].output.dense.weight[0, 0] += 1
    with pytest.raises(WeightsError, match=r"1 tensors .*output\.dense\.weight"):
        check_backbone(backbone, read_backbone_state(folder), "x")


def test_a_file_whose_biases_are_all_zero_is_refused(tmp_path: Path) -> None:
    state = {name: t * 0 if name.endswith(("q_bias", "v_bias")) else t for name, t in hub_state(CONFIG).items()}
    with pytest.raises(WeightsError, match="every query and value bias is zero"):
        load_backbone(write_hub_folder(tmp_path, CONFIG, state), CONFIG)


@pytest.mark.parametrize(
    ("field", "value"), [("heads", 4), ("frames", 6), ("size_px", 24), ("layers", 3), ("mlp_ratio", 2), ("hidden", 24)]
)
def test_another_geometry_is_refused_and_can_be_adopted(tmp_path: Path, field: str, value: int) -> None:
    """Heads, frames and size leave no trace in the tensors' shapes: only config.json tells."""
    written = small_config(**{field: value})
    state = hub_state(written)
    folder = write_hub_folder(tmp_path, written, state)
    with pytest.raises(InputError, match=rf"{field} {value} \(the model's settings say {getattr(CONFIG, field)}\)"):
        load_backbone(folder, CONFIG)
    adopted = adopt_geometry(folder, CONFIG)
    assert adopted == written
    _agrees(load_backbone(folder, adopted), state, adopted)


def test_an_odd_number_of_frames_fits_the_even_checkpoint(tmp_path: Path) -> None:
    folder = write_hub_folder(tmp_path, CONFIG, hub_state(CONFIG))
    odd = small_config(frames=3)
    load_backbone(folder, odd)
    assert adopt_geometry(folder, odd) == odd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('{"model_type": "vit"}', "not of a VideoMAE model"),
        ("[]", "not of a VideoMAE model"),
        ("{", "cannot be read"),
        ('{"model_type": "videomae", "hidden_act": "relu"}', "hidden_act is relu"),
    ],
)
def test_a_config_of_something_else(tmp_path: Path, change: str, message: str) -> None:
    folder = write_hub_folder(tmp_path, CONFIG, hub_state(CONFIG))
    (folder / "config.json").write_text(change)
    with pytest.raises(WeightsError, match=message):
        load_backbone(folder, CONFIG)


def test_broken_and_missing_files(tmp_path: Path) -> None:
    folder = write_hub_folder(tmp_path / "a", CONFIG, hub_state(CONFIG))
    cut = (folder / "model.safetensors").read_bytes()[:-100]
    (folder / "model.safetensors").write_bytes(cut)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_backbone(folder, CONFIG)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors or pytorch_model\.bin"):
        load_backbone(folder, CONFIG)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"lacks config\.json and"):
        load_backbone(folder, CONFIG)
    with pytest.raises(WeightsError, match="there is no folder"):
        load_backbone(tmp_path / "none", CONFIG)


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("trap-was-sprung"),))


def test_a_pickle_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_hub_folder(tmp_path / "a", CONFIG, hub_state(CONFIG), pickled=True)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Trap()}, protocol=2))
    with pytest.raises(WeightsError):
        load_backbone(folder, CONFIG)
    assert not (tmp_path / "trap-was-sprung").exists()


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub's own offline switch, and an empty cache: nothing is asked of the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)
    with pytest.raises(WeightsError) as caught:
        load_backbone(FINE_TUNED, CONFIG)
    assert caught.value.message.startswith(f"the weights {FINE_TUNED} are not on this machine")
    assert f"hf download {FINE_TUNED}" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_where_an_id_is_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$CGTOOL_WEIGHTS first; then the hub, safetensors before the pickle."""
    asked: list[list[str]] = []

    def snapshot(name: str, *, allow_patterns: list[str]) -> str:
        assert name == "some/model"
        asked.append(allow_patterns)
        if "model.safetensors" in allow_patterns:
            (tmp_path / "hub").mkdir()
            return str(tmp_path / "hub")
        return str(write_hub_folder(tmp_path / "hub", CONFIG, hub_state(CONFIG), pickled=True))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setenv("CGTOOL_WEIGHTS", str(tmp_path / "shelf"))
    assert find_folder("some/model", ["vocab.txt"]) == tmp_path / "hub"
    assert asked == [
        ["config.json", "model.safetensors", "vocab.txt"],
        ["config.json", "pytorch_model.bin", "vocab.txt"],
    ]
    kept = write_hub_folder(tmp_path / "shelf" / "model", CONFIG, hub_state(CONFIG))
    assert find_folder("some/model") == kept
    assert len(asked) == 2


def test_a_hub_that_answers_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(name: str, *, allow_patterns: list[str]) -> str:
        raise LocalEntryNotFoundError("no connection\nand a second line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(WeightsError, match=re.escape("cannot be fetched (no connection)")):
        find_folder("some/model")


def test_the_full_geometry_is_the_published_one() -> None:
    """Names and shapes of ViT-S as the conversion of the published files gives them: 21,879,168 numbers."""
    full = ModelConfig(166, 157, 91, 6)
    state = {k: v for k, v in hub_state(full).items() if k.startswith("videomae.")}
    assert sum(t.numel() for t in state.values()) == 21_879_168
    assert dataclasses.asdict(full)["hidden"] == 384
