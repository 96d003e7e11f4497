"""The presets: the paper as its text has it, as its released code does, as one would do it today, and a tiny one.

docs/choices.md says for every setting where paper and released code differ, and why each preset is as it is.
"""

from __future__ import annotations

from cityguessr_data.core.errors import InputError

from .models import find_model
from .run_config import RANDOM, DataConfig, NetworkConfig, RunConfig, TextConfig, TrainConfig

PRESETS: dict[str, RunConfig] = {
    "paper": RunConfig(
        data=DataConfig(frames=15, stored_frames=15),
        train=TrainConfig(watch="test"),
    ),
    "authors": RunConfig(
        data=DataConfig(sampling="authors"),
        network=NetworkConfig(ffn_t_layers=2, normalise="none"),
        train=TrainConfig(epochs=12, tla_reduction="sum", watch="test", report="best"),
    ),
    "improved": RunConfig(
        train=TrainConfig(
            optimiser="adamw",
            lr=5e-5,
            weight_decay=0.05,
            schedule="cosine",
            warmup=0.05,
            grad_clip=1.0,
            augment="light",
            precision="bf16",
            watch="val",
            report="best",
        ),
    ),
    "tiny": RunConfig(
        data=DataConfig(frames=8, stored_frames=32, size_px=112),
        network=NetworkConfig(weights=RANDOM, hidden=192, layers=4, heads=3, decoder_layers=2, normalise="local"),
        text=TextConfig(encoder="minilm"),
        train=TrainConfig(
            epochs=150,
            batch=8,
            optimiser="adamw",
            lr=7e-4,
            weight_decay=0.05,
            schedule="cosine",
            warmup=0.05,
            grad_clip=1.0,
            augment="strong",
        ),
    ),
}


def settings(preset_name: str, model: str) -> RunConfig:
    """A preset as a model takes it: with its frames and branches, and its own checkpoint where the preset has one.

    Raises:
        InputError: no such preset or model.
    """
    entry, chosen = find_model(model), preset(preset_name)
    made = chosen.changed({"model": model, **entry.settings}, f"the model {model}")
    return made if chosen.network.weights == RANDOM else made.changed(entry.full_size, f"the model {model}")


def preset(name: str) -> RunConfig:
    """A preset by its name.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}", f"Give one of: {', '.join(PRESETS)}")
    return PRESETS[name]
