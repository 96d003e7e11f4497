"""The models of one frame: nothing dropped or shuffled, the right network for a scene, the right queries."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cityguessr_bench.losses import total_loss
from cityguessr_bench.models import build_model
from cityguessr_bench.models.isns import GROUPS, shares
from cityguessr_bench.models.mae_encoder import MAEEncoder
from cityguessr_bench.models.query_decoder import DecoderLayer
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.types import LEVELS
from tests.support_models import random_clips, random_inputs, random_targets, small_model


def _encoder(**changes: Any) -> MAEEncoder:
    torch.manual_seed(0)
    return MAEEncoder(small_model("mae", size_px=32, **changes))


def _pixels(n: int = 2, size_px: int = 32) -> Tensor:
    return torch.randn(n, 1, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("train", [False, True])
def test_every_patch_is_kept_in_its_order(train: bool) -> None:
    """With layers that add nothing, a token is its patch through the projection, plus its place's code."""
    encoder = _encoder().train(train)
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if ".o_proj." in name or ".fc2." in name:
                p.zero_()
        tokens = encoder.tokens(_pixels()).double().numpy()
    start = encoder.vit.embeddings
    kernel = start.patch_embeddings.projection.weight.detach().double().numpy()
    bias = start.patch_embeddings.projection.bias.detach().double().numpy()
    picture = _pixels().double().numpy()[:, 0]
    for at in range(16):
        row, column = divmod(at, 4)
        patch = picture[:, :, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        expected = np.einsum("hcij,bcij->bh", kernel, patch) + bias + _place(row, column, 12)
        np.testing.assert_allclose(tokens[:, at], expected, atol=1e-5)


def _place(row: int, column: int, width: int) -> np.ndarray[Any, Any]:
    """MAE's code of a place: a quarter each of sin and cos of the column, then of the row."""
    rates = [10000 ** -(i / (width // 4)) for i in range(width // 4)]
    return np.array([f(x * rate) for x in (column, row) for f in (np.sin, np.cos) for rate in rates])


def test_the_mean_does_not_depend_on_the_order_of_the_patches() -> None:
    encoder = _encoder()
    with torch.no_grad():
        shuffled = encoder.vit(_pixels()[:, 0], noise=torch.rand(2, 16)).last_hidden_state
        torch.testing.assert_close(encoder(_pixels()), shuffled[:, 1:].mean(1))
        assert not torch.allclose(encoder(_pixels()), shuffled.mean(1))  # the class token does not count


def test_each_patch_moves_the_feature() -> None:
    """None of the 16 is dropped: the library's own default would lose 12 of them."""
    encoder = _encoder().train()
    whole = encoder(_pixels(1))
    for at in range(16):
        row, column = divmod(at, 4)
        other = _pixels(1)
        other[..., row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] += 1
        assert not torch.allclose(encoder(other), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 4}, "takes one frame of a clip, and is to be given 4"),
        ({"tubelet": 2}, "takes one frame of a clip, and is to be given 1 in tubelets of 2"),
        ({"hidden": 6}, r"hidden \(6\) is no multiple of 4"),
    ],
)
@pytest.mark.parametrize("name", ["mae", "planet", "isns", "geodecoder"])
def test_settings_of_another_kind_are_refused(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_model(name, small_model(name, **change))


def test_timesformer_takes_no_tubelets() -> None:
    with pytest.raises(InputError, match=r"network\.tubelet is 2"):
        build_model("timesformer", small_model("timesformer", tubelet=2))


def test_the_groups_are_those_of_the_manifest() -> None:
    with manifest_path("places365/classes.csv").open(newline="", encoding="utf-8") as f:
        by_group: dict[str, list[int]] = {}
        for row in csv.DictReader(f):
            by_group.setdefault(row["group"], []).append(int(row["index"]))
    ours = {group: list(range(16))[places] for group, places in GROUPS.items()}
    assert ours == {
        "indoor": by_group["indoor"],
        "natural": by_group["outdoor_natural"],
        "urban": by_group["outdoor_manmade"],
    }


def test_the_largest_group_chooses() -> None:
    """Not the largest class: 0.3 of forest is less than 0.2 and 0.2 of two kinds of city."""
    scenes = torch.zeros(5, 16)
    scenes[0, 8], scenes[0, 10], scenes[0, 15], scenes[0, 0] = 0.3, 0.2, 0.2, 0.3
    scenes[1, 5] = 1.0
    scenes[2, 6] = 1.0
    scenes[3] = torch.nan
    scenes[4, 0], scenes[4, 10] = 0.5, 0.5  # a tie: the first
    third = [1 / 3] * 3
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], third, [1, 0, 0]])
    torch.testing.assert_close(shares(5, scenes), expected)
    torch.testing.assert_close(shares(2, None), torch.tensor([third, third]))
    with pytest.raises(ValueError, match=r"expected scenes \(5, 16\), got \(5, 365\)"):
        shares(5, torch.zeros(5, 365))


def _scenes_of(*groups: str) -> Tensor:
    """Labels that lie whole in a group; an unknown one for `?`."""
    scenes = torch.full((len(groups), 16), torch.nan)
    for at, group in enumerate(groups):
        if group != "?":
            scenes[at] = 0
            scenes[at, GROUPS[group].start] = 1
    return scenes


def test_a_clip_is_answered_by_its_scenes_network() -> None:
    torch.manual_seed(0)
    config = small_model("isns")
    model: Any = build_model("isns", config)
    groups = ("urban", "?", "indoor", "natural", "urban")
    clips = random_clips(config, 5)
    with torch.no_grad():
        pixels = model.normalise(clips)
        by_network = {g: net["heads"](net["encoder"](pixels)) for g, net in model.networks.items()}
        scores = model(clips, _scenes_of(*groups))
    for level in LEVELS:
        for at, group in enumerate(groups):
            mean = torch.stack([said[level][at] for said in by_network.values()]).mean(0)
            expected = mean if group == "?" else by_network[group][level][at]
            torch.testing.assert_close(scores.logits[level][at], expected)


def test_a_network_without_a_clip_takes_part_and_learns_nothing() -> None:
    torch.manual_seed(0)
    config = small_model("isns")
    model: Any = build_model("isns", config)
    scores = model(random_clips(config, 3), _scenes_of("urban", "urban", "urban"))
    total_loss(scores, random_targets(config, 3)).total.backward()
    for group, network in model.networks.items():
        gradients = [p.grad for p in network.parameters()]
        assert all(g is not None for g in gradients)
        assert any(bool(g.any()) for g in gradients) == (group == "urban")


def _torchs_layer(ours: Any, group: int, hidden: int, heads: int, mlp: int) -> nn.TransformerDecoderLayer:
    """torch's own decoder layer with the weights of ours, and the feed-forward network of one group."""
    theirs = nn.TransformerDecoderLayer(hidden, heads, mlp, 0.0, "gelu", batch_first=True, norm_first=True)
    pairs = {
        "self_attn": ours.attend_self,
        "multihead_attn": ours.attend_cross,
        "linear1": ours.feed[group][0],
        "linear2": ours.feed[group][2],
        "norm1": ours.norm_self,
        "norm2": ours.norm_cross,
        "norm3": ours.norm_feed,
    }
    for name, part in pairs.items():
        theirs.get_submodule(name).load_state_dict(part.state_dict())
    return theirs


@pytest.mark.parametrize("n_groups", [1, 4])
def test_a_decoder_layer_is_torchs_for_each_group(n_groups: int) -> None:
    torch.manual_seed(0)
    layer = DecoderLayer(n_groups, 12, 3, 24)
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_()
        queries, tokens = torch.randn(2, 12, 12), torch.randn(2, 5, 12)
        found = layer(queries, tokens)
        each = 12 // n_groups
        for group in range(n_groups):
            mine = slice(group * each, (group + 1) * each)
            expected = _torchs_layer(layer, group, 12, 3, 24)(queries[:, mine], tokens)
            torch.testing.assert_close(found[:, mine], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("layers", "groups"), [(1, [4]), (2, [1, 4]), (8, [1] * 6 + [4] * 2)])
def test_the_last_quarter_of_the_layers_keeps_levels_apart(layers: int, groups: list[int]) -> None:
    model: Any = build_model("geodecoder", small_model("geodecoder", decoder_layers=layers))
    assert [len(layer.feed) for layer in model.decoder.layers] == groups


@pytest.mark.parametrize("n_scenes", [16, 365])
def test_the_predicted_scenes_queries_answer(n_scenes: int) -> None:
    torch.manual_seed(0)
    config = small_model("geodecoder", n_scenes=n_scenes)
    model: Any = build_model("geodecoder", config)
    with torch.no_grad():
        model.decoder.queries.normal_()  # as far apart as after training: the scenes of clips differ
        clips = random_clips(config, 8)
        decoded = model.decoder(model.encoder.tokens(model.normalise(clips)))
        scores = model(clips)
        assert decoded.shape == (8, 4, n_scenes, 12)
        for clip in range(8):
            confidence = [sum(float(decoded[clip, level, s, 0]) for level in range(4)) / 4 for s in range(n_scenes)]
            np.testing.assert_allclose(scores.scene_logits[clip].numpy(), confidence, atol=1e-5)
            best = int(np.argmax(confidence))
            for at, level in enumerate(LEVELS):
                expected = model.heads.by_level[level](decoded[clip, at, best])
                torch.testing.assert_close(scores.logits[level][clip], expected)


def test_geodecoder_without_scenes_has_one_query_a_level() -> None:
    config = small_model("geodecoder", scenes=False)
    model: Any = build_model("geodecoder", config)
    assert model.decoder.queries.shape == (4, 12)
    scores = model(*random_inputs(config, 2))
    assert scores.scene_logits is None
    total_loss(scores, random_targets(config, 2)).total.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_random_frame_is_what_image_models_get() -> None:
    from cityguessr_bench.presets import settings

    for name in ("mae", "planet", "isns", "geodecoder"):
        for preset in ("paper", "tiny"):
            data = settings(preset, name).data
            assert (data.frames, data.pick) == (1, "random")
            assert data.stored_frames > 1
