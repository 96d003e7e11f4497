"""Ablations by name: every one changes what it says and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from cityguessr_bench.ablations import ABLATIONS, apply
from cityguessr_bench.presets import preset
from cityguessr_bench.run_config import RunConfig
from cityguessr_data.core.errors import InputError

PAPER = preset("paper")
EXPECTED: dict[str, dict[str, Any]] = {
    "frame-first": {"data.frames": 1, "data.pick": "first"},
    "frame-middle": {"data.frames": 1, "data.pick": "middle"},
    "frame-last": {"data.frames": 1, "data.pick": "last"},
    "frame-random": {"data.frames": 1, "data.pick": "random"},
    "scenes-none": {"network.scenes": False},
    "scenes-majority": {"train.scene_target": "majority"},
    "scenes-soft": {},
    "scenes-365": {"network.n_scenes": 365},
    "tla-none": {"network.tla": False},
    "tla-city": {"text.strategy": "city"},
    "tla-all": {},
    "text-clip": {},
    "text-bert": {"text.encoder": "bert"},
    "text-gpt2": {"text.encoder": "gpt2"},
    "text-opt": {"text.encoder": "opt"},
    "text-minilm": {"text.encoder": "minilm"},
}


def _changes(before: RunConfig, after: RunConfig) -> dict[str, Any]:
    old, new = before.to_dict(), after.to_dict()
    sections = [name for name, value in old.items() if isinstance(value, dict)]
    assert old["model"] == new["model"]
    return {f"{s}.{k}": new[s][k] for s in sections for k in old[s] if old[s][k] != new[s][k]}


def test_each_changes_what_it_says_in_the_preset_of_the_paper() -> None:
    assert set(EXPECTED) == set(ABLATIONS) and all(one.about for one in ABLATIONS.values())
    for name, expected in EXPECTED.items():
        assert _changes(PAPER, apply(PAPER, [name])) == expected, name


def test_each_sets_its_value_whatever_was_set_before() -> None:
    """What equals the paper's default is set too: the row must not depend on what --set did to the preset."""
    other = PAPER.changed(
        {
            "network": {"scenes": False, "tla": False, "n_scenes": 365},
            "text": {"encoder": "opt", "strategy": "city"},
            "train": {"scene_target": "majority"},
        },
        "the test",
    )
    soft = apply(other, ["scenes-soft", "tla-all", "text-clip"])
    assert (soft.network.scenes, soft.network.n_scenes, soft.train.scene_target) == (True, 16, "soft")
    assert (soft.network.tla, soft.text.strategy, soft.text.encoder) == (True, "all", "clip")
    assert apply(other, ["scenes-365"]).train.scene_target == "soft"


def test_several_together() -> None:
    made = apply(PAPER, ["scenes-majority", "tla-none", "frames-4"])
    assert _changes(PAPER, made) == {
        "train.scene_target": "majority",
        "network.tla": False,
        "data.frames": 4,
        "data.stored_frames": 4,
    }
    assert apply(PAPER, []) == PAPER


def test_frames_keep_how_many_stored_ones_stand_for_one() -> None:
    tiny = preset("tiny")  # 8 of 32
    assert _changes(tiny, apply(tiny, ["frames-2"])) == {"data.frames": 2, "data.stored_frames": 8}


def test_text_encoders_of_a_network_from_random_weights_are_tiny_and_random() -> None:
    tiny = preset("tiny")
    for family in ("clip", "bert", "gpt2", "opt"):
        assert apply(tiny, [f"text-{family}"]).text.encoder == f"random-{family}"
    assert apply(tiny, ["text-minilm"]).text.encoder == "minilm"


@pytest.mark.parametrize("names", [["scenes-none", "scenes-soft"], ["tla-none", "tla-city"], ["frames-4", "frames-8"]])
def test_two_that_want_different_things(names: list[str]) -> None:
    with pytest.raises(InputError, match=f"the ablations {names[0]} and {names[1]} want "):
        apply(PAPER, names)


@pytest.mark.parametrize("name", ["tla", "frames-0", "frames-x", "frames-", "text-t5", ""])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="there is no ablation") as found:
        apply(PAPER, [name])
    assert "frame-first" in found.value.hint and "frames-N" in found.value.hint
