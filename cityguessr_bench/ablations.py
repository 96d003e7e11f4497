"""The ablations by name: what each changes in the settings of a run (paper 5.3 to 5.5, supplement 1 and 2).

Only what is trained is here. The evaluation mode (5.6) is no setting of a run: every mode is computed from the same
predictions, and every table shows all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cityguessr_data.core.errors import InputError

from .run_config import RANDOM, RunConfig

Settings = Mapping[str, Mapping[str, Any]]
_FRAMES = re.compile(r"frames-([1-9]\d{0,3})")
_RANDOM_TEXT = "random-"
_FAMILIES = ("clip", "bert", "gpt2", "opt")
"""Text encoders that also come tiny and random (models/random_text.py)."""


@dataclass(frozen=True)
class Ablation:
    """One named change."""

    about: str
    settings: Settings


def _text(encoder: str) -> Ablation:
    return Ablation(f"TextLabel Alignment with {encoder}", {"network": {"tla": True}, "text": {"encoder": encoder}})


def _frame(pick: str) -> Ablation:
    return Ablation(f"one frame of a clip: {pick}", {"data": {"frames": 1, "pick": pick}})


ABLATIONS: dict[str, Ablation] = {
    "frame-first": _frame("first"),
    "frame-middle": _frame("middle"),
    "frame-last": _frame("last"),
    "frame-random": _frame("random"),
    "scenes-none": Ablation("no scene branch", {"network": {"scenes": False}}),
    "scenes-majority": Ablation(
        "16 scenes, a clip's majority class alone",
        {"network": {"scenes": True, "n_scenes": 16}, "train": {"scene_target": "majority"}},
    ),
    "scenes-soft": Ablation(
        "16 scenes, soft labels", {"network": {"scenes": True, "n_scenes": 16}, "train": {"scene_target": "soft"}}
    ),
    "scenes-365": Ablation(
        "365 scenes, soft labels", {"network": {"scenes": True, "n_scenes": 365}, "train": {"scene_target": "soft"}}
    ),
    "tla-none": Ablation("no TextLabel Alignment", {"network": {"tla": False}}),
    "tla-city": Ablation(
        "TextLabel Alignment with the city's name alone", {"network": {"tla": True}, "text": {"strategy": "city"}}
    ),
    "tla-all": Ablation(
        "TextLabel Alignment with the names of all four levels",
        {"network": {"tla": True}, "text": {"strategy": "all"}},
    ),
    **{f"text-{name}": _text(name) for name in (*_FAMILIES, "minilm")},
}
"""`frames-N` is not in the table: N frames of a clip, any number (`ablation`)."""


def ablation(name: str, config: RunConfig) -> Settings:
    """What an ablation changes in `config`.

    Where a network starts from random weights, as in the preset tiny, `text-clip`, `-bert`, `-gpt2` and `-opt` mean the
    tiny random encoder of that family: nothing is downloaded, and its vectors know nothing of places. `frames-N` keeps
    how many stored frames stand for one.

    Raises:
        InputError: no such ablation.
    """
    if found := _FRAMES.fullmatch(name):
        n = int(found[1])
        return {"data": {"frames": n, "stored_frames": n * (config.data.stored_frames // config.data.frames)}}
    if name not in ABLATIONS:
        raise InputError(f"there is no ablation {name!r}", f"Give one of: {', '.join(ABLATIONS)}, frames-N")
    settings = ABLATIONS[name].settings
    family = name.removeprefix("text-")
    if name.startswith("text-") and family in _FAMILIES and config.network.weights == RANDOM:
        return {**settings, "text": {"encoder": f"{_RANDOM_TEXT}{family}"}}
    return settings


def apply(config: RunConfig, names: Sequence[str]) -> RunConfig:
    """`config` with several ablations.

    Raises:
        InputError: no such ablation, or two that want different values of one setting.
    """
    by: dict[tuple[str, str], tuple[str, Any]] = {}
    merged: dict[str, dict[str, Any]] = {}
    for name in names:
        for section, values in ablation(name, config).items():
            for key, value in values.items():
                other, before = by.setdefault((section, key), (name, value))
                if before != value:
                    raise InputError(
                        f"the ablations {other} and {name} want {section}.{key} {before} and {value}",
                        "Give one of them",
                    )
                merged.setdefault(section, {})[key] = value
    return config.changed(merged, "--ablation") if merged else config
