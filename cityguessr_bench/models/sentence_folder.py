"""Reads the folder format of sentence-transformers (modules.json) with transformers and torch alone.

A folder is a chain: a transformer, then pooling, then dense layers and normalisation. What the chain holds beyond
these is refused by name: half a chain would give other vectors without an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import WeightsError

from .hub_folder import WEIGHTS_FILES, read_state
from .text_pooling import POOLS, Pool

_ACTIVATIONS: dict[str, nn.Module] = {
    "Tanh": nn.Tanh(),
    "Identity": nn.Identity(),
    "ReLU": nn.ReLU(),
    "GELU": nn.GELU(),
}
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def is_sentence_folder(folder: Path) -> bool:
    """True where the folder is a sentence-transformers chain."""
    return (folder / "modules.json").is_file()


def read_chain(folder: Path) -> tuple[Path, Pool]:
    """The transformer's folder, and what turns its token vectors into a text's vector.

    Raises:
        WeightsError: a module or a setting that we do not know, or a file that is missing or broken.
    """
    modules = _json(folder / "modules.json")
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise WeightsError(f"{folder} begins with {' and '.join(kinds[:2])}, not Transformer and Pooling", _OTHER)
    settings = folder / "config_sentence_transformers.json"
    if settings.is_file() and _json(settings).get("default_prompt_name"):
        raise WeightsError(f"{folder} puts a prompt before every text, which is not supported", _OTHER)
    pool = _pooling(folder / modules[1]["path"])
    steps: list[Callable[[Tensor], Tensor]] = []
    for kind, module in zip(kinds[2:], modules[2:], strict=True):
        if kind == "Normalize":
            steps.append(lambda vectors: nn.functional.normalize(vectors, dim=1))
        elif kind == "Dense":
            steps.append(_dense(folder / module["path"]))
        else:
            raise WeightsError(f"{folder} holds a {kind} module, which is not supported", _OTHER)

    def run(tokens: Tensor, mask: Tensor) -> Tensor:
        vectors = pool(tokens, mask)
        for step in steps:
            vectors = step(vectors)
        return vectors

    return folder / modules[0]["path"], run


def text_settings(transformer_folder: Path) -> tuple[int | None, bool]:
    """The most tokens of a text (None: the model's own limit), and whether texts are lower-cased first."""
    path = transformer_folder / "sentence_bert_config.json"
    settings = _json(path) if path.is_file() else {}
    return settings.get("max_seq_length"), bool(settings.get("do_lower_case", False))


def _pooling(folder: Path) -> Pool:
    config = _json(folder / "config.json")
    named = config.get("pooling_mode") or [mode for key, mode in _OLD_KEYS.items() if config.get(key)] or ["mean"]
    modes = [named] if isinstance(named, str) else list(named)
    if unknown := [mode for mode in modes if mode not in POOLS]:
        raise WeightsError(f"{folder} pools by {unknown[0]}, which is not supported", _OTHER)
    return lambda tokens, mask: torch.cat([POOLS[mode](tokens, mask) for mode in modes], dim=1)


def _dense(folder: Path) -> nn.Module:
    config = _json(folder / "config.json")
    activation = str(config.get("activation_function", "Tanh")).rsplit(".", 1)[-1]
    if activation not in _ACTIVATIONS:
        raise WeightsError(f"{folder} has the activation {activation}, which is not supported", _OTHER)
    state = read_state(next((p for name in WEIGHTS_FILES if (p := folder / name).is_file()), folder / WEIGHTS_FILES[0]))
    try:
        linear = nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
        linear.load_state_dict({name.removeprefix("linear."): tensor for name, tensor in state.items()})
    except (KeyError, RuntimeError) as exc:
        raise WeightsError(f"{folder} does not fit its own config.json ({exc})", "Fetch the folder again") from exc
    return nn.Sequential(linear, _ACTIVATIONS[activation]).requires_grad_(False)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{path} cannot be read ({exc})", "Fetch the folder again, whole") from exc


_OTHER = "Use another encoder"
