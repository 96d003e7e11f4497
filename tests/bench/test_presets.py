"""The presets: the paper's own numbers, settings that survive TOML, and a document that names all that differs."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from cityguessr_bench.config_text import to_toml
from cityguessr_bench.models import build_model, parameter_counts
from cityguessr_bench.presets import PRESETS, preset
from cityguessr_bench.run_config import RunConfig
from cityguessr_data.core.errors import InputError

CHOICES = Path(__file__).parents[2] / "docs" / "choices.md"
PAPER = {"city": 166, "state": 157, "country": 91, "continent": 6}


def flat(config: RunConfig) -> dict[str, object]:
    """Settings by their full names."""
    return {
        f"{section.name}.{name}": value
        for section in dataclasses.fields(config)[1:]
        for name, value in dataclasses.asdict(getattr(config, section.name)).items()
    }


def test_paper_is_the_papers() -> None:
    """Section 5.2: 15 frames of 224x224, Adam at 0.001, batches of 12, 10 epochs, an FFN of three layers."""
    paper = preset("paper")
    assert (paper.data.frames, paper.data.size_px, paper.network.ffn_t_layers) == (15, 224, 3)
    assert (paper.train.optimiser, paper.train.lr, paper.train.batch, paper.train.epochs) == ("adam", 1e-3, 12, 10)
    assert (paper.text.encoder, paper.text.strategy, paper.network.n_scenes) == ("clip", "all", 16)


def test_authors_has_the_released_codes_size() -> None:
    config = preset("authors").model_config(PAPER, 512, scenes=True)
    counts = parameter_counts(build_model("cityguessr", config))
    assert {counts[name] for name in ("heads", "self_cross_attention", "ffn_s", "ffn_t")} == {
        *(161_700, 211),
        *(151_808, 435_290),
    }
    assert (config.frames, config.mean, config.local_contrast) == (16, None, False)


def test_improved_never_looks_at_the_test_part() -> None:
    assert preset("improved").train.watch == "val"


@pytest.mark.parametrize("name", PRESETS)
def test_toml_gives_the_same_settings(name: str) -> None:
    assert RunConfig.of(tomllib.loads(to_toml(PRESETS[name])), name) == PRESETS[name]
    odd = PRESETS[name].changed({"text": {"encoder": 'a "b" \\ \n é'}}, "test")
    assert RunConfig.of(tomllib.loads(to_toml(odd)), name) == odd


def test_the_document_names_every_setting_in_which_presets_differ() -> None:
    text = CHOICES.read_text(encoding="utf-8")
    settings = [flat(config) for config in PRESETS.values()]
    geometry = {"network.hidden", "network.layers", "network.heads"}  # "the same architecture for two cores"
    differing = {name for name in settings[0] if len({repr(values[name]) for values in settings}) > 1} - geometry
    assert len(differing) > 15
    missing = [name for name in differing if f"`{name}`" not in text and f"`{name.partition('.')[2]}`" not in text]
    assert missing == []


def test_settings_that_no_run_can_have() -> None:
    for settings, told in [
        ({"train": {"report": "best"}}, "train.watch"),
        ({"data": {"frames": 7}}, "multiple of data.frames"),
        ({"data": {"frames": 0}}, "data.frames must be over 0"),
        ({"data": {"stored_frames": 0}}, "data.stored_frames must be over 0"),
        ({"data": {"size_px": 7}}, "data.size_px must be 8 or more"),
        ({"data": {"sampling": "authors", "frames": 8, "stored_frames": 8}}, "16 frames"),
        ({"train": {"lr": float("nan")}}, "train.lr"),
        ({"train": {"epochs": True}}, "train.epochs"),
        ({"train": {"augment": "flip"}}, "train.augment"),
        ({"network": {"normalise": False}}, "network.normalise"),
    ]:
        with pytest.raises(InputError, match=told.replace(".", r"\.")):
            RunConfig().changed(settings, "test")
