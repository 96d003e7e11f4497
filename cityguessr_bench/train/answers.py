"""Whether a new model answers what the losses and the scoring read: it is asked once, before its run's folder is made.

A branch that the settings switch on and the model lacks would else be trained by nothing, and the run would say that it
has it; and the answers of a model of the user's own can be of any shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.core.types import LEVELS

from ..models.config import ModelConfig
from ..scores import GeoOutput

_N_SCENES = 16
"""Of the labels that a model may look at, whatever it predicts."""
_OWN = "Mend the model's file; docs/add-a-model.md says what a model promises"


def check_answer(model: nn.Module, config: ModelConfig, name: str) -> None:
    """Ask a model about one black clip, and raise unless its answer is of the run's classes and branches.

    Args:
        model: on the CPU; left as it was, for it is asked in evaluation mode and without gradients.
        name: its name in the registry.
    Raises:
        MachineError: one clip is too much for this machine's memory.
        InputError: it fails, a part of the answer is of another shape, or it lacks a branch that is switched on.
    """
    side = config.size_px
    clips = torch.zeros((1, config.frames, 3, side, side), dtype=torch.uint8)
    if config.feature_dim:
        clips = torch.zeros((1, config.frames, config.feature_dim))
    was_training = model.training
    try:
        with torch.no_grad():
            answer = model.eval()(clips, torch.full((1, _N_SCENES), 1 / _N_SCENES))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as exc:
        if is_out_of_memory(exc):
            raise MachineError(
                f"the machine has not enough memory for one clip of the model {name}", "Take a smaller network"
            ) from exc
        why = (str(exc).strip().splitlines() or [""])[0]
        raise InputError(f"the model {name} fails: {type(exc).__name__}: {why}", _OWN) from exc
    finally:
        model.train(was_training)
    if not isinstance(answer, GeoOutput) or set(answer.logits) != set(LEVELS):
        raise InputError(f"the model {name} does not answer a GeoOutput with logits of {', '.join(LEVELS)}", _OWN)
    for level, n_classes in config.classes.items():
        _check_shape(name, f"logits of {level}", answer.logits[level], n_classes)
    for part, setting, on, width in (
        ("scene_logits", "network.scenes", config.scenes, config.n_scenes),
        ("text_vector", "network.tla", config.tla, config.d_t),
    ):
        found = getattr(answer, part)
        if on and found is None:
            raise InputError(
                f"{setting} is true, and the model {name} has no such branch", f"Give --set {setting}=false"
            )
        if found is not None and not on:
            raise InputError(f"the model {name} answers {part}, and {setting} is false", _OWN)
        if found is not None:
            _check_shape(name, part, found, width)


def is_out_of_memory(exc: Exception) -> bool:
    """Whether torch could not have the memory it asked for, on a GPU or a CPU."""
    return isinstance(exc, torch.OutOfMemoryError) or "can't allocate memory" in str(exc)


def _check_shape(name: str, part: str, found: Any, width: int) -> None:
    """Of one clip: (1, width) floats."""
    if not isinstance(found, Tensor) or tuple(found.shape) != (1, width) or not found.is_floating_point():
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"the model {name}: {part} of one clip are {what}, not floats (1, {width})", _OWN)
