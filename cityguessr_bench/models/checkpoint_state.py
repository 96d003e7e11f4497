"""From a published file to an encoder of ours, and the proof that every tensor arrived.

The library's own loader is not used: it fills what a file lacks with random numbers and goes on. Here the file is read,
its names are those of the library's class or are mapped to them, every tensor must find its place, and all are compared
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import WeightsError

from .hub_folder import read_state, weights_file


def read_encoder(
    folder: Path,
    prefix: str,
    other_parts: Sequence[str],
    rename: Callable[[str], str],
    skip: Callable[[str], bool] = lambda _: False,
) -> dict[str, Tensor]:
    """The encoder's tensors of the file in `folder`, by the names of the library's encoder class.

    Args:
        prefix: what a file that holds more than the encoder puts before the encoder's names, e.g. `vit.`.
        other_parts: how the names of the other parts begin; they are left out. What is of neither is kept: the
            comparison of names reports it.
        rename: the encoder's name of a tensor, from its published one without the prefix.
        skip: by the encoder's name, what is left out too.
    Raises:
        WeightsError: unreadable, or two tensors for one place.
    """
    path = weights_file(folder)
    state: dict[str, Tensor] = {}
    for name, tensor in read_state(path).items():
        if name.startswith(tuple(other_parts)):
            continue
        place = rename(name.removeprefix(prefix))
        if skip(place):
            continue
        if place in state:
            raise WeightsError(f"{path} holds {place} twice, by an old and a new name", "Download the checkpoint again")
        state[place] = tensor
    return state


def put_state(encoder: nn.Module, state: Mapping[str, Tensor], folder: Path, kind: str, example: str) -> None:
    """Put a checkpoint's tensors into the encoder that they belong to.

    Args:
        encoder: the library's encoder, not what is around it.
        kind: what messages call such a checkpoint, e.g. `a VideoMAE checkpoint`.
        example: a hub id of one.
    Raises:
        WeightsError: tensors that are missing, unexpected or of another shape, all at once; or that did not arrive.
    """
    wanted = encoder.state_dict()
    shapes = {n: (tuple(state[n].shape), tuple(wanted[n].shape)) for n in state.keys() & wanted.keys()}
    faults = [
        *_named("missing", sorted(wanted.keys() - state.keys())),
        *_named("unexpected", sorted(state.keys() - wanted.keys())),
        *_named("of another shape", sorted(name for name, (file, ours) in shapes.items() if file != ours)),
    ]
    if faults:
        raise WeightsError(
            f"{folder} is no checkpoint of this backbone: {'; '.join(faults)}", f"Give {kind}, e.g. {example}"
        )
    encoder.load_state_dict(state, strict=True)
    check_state(encoder, state, str(folder))


def check_state(encoder: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise unless an encoder holds exactly the tensors of `state`.

    Raises:
        WeightsError: which tensors differ; query and value biases are named as such.
    """
    loaded = encoder.state_dict()
    wrong = [
        name
        for name, tensor in state.items()
        if name not in loaded or not torch.equal(loaded[name].cpu(), tensor.to(loaded[name].dtype))
    ]
    if not wrong:
        return
    biases = [name for name in wrong if is_query_or_value_bias(name)]
    what = f"{len(biases)} query and value biases" if biases else f"{len(wrong)} tensors"
    raise WeightsError(
        f"after loading {source}, {what} of the backbone are not those of the file (first: {(biases or wrong)[0]})",
        "Load it with this package's own loader, and report this if that is what you did",
    )


def is_query_or_value_bias(name: str) -> bool:
    """Of the three encoders that we know; TimeSformer keeps query, key and value in one tensor."""
    return name.endswith((".query.bias", ".value.bias", ".q_proj.bias", ".v_proj.bias", ".qkv.bias"))


def _named(fault: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"{names[0]}{more} {fault}"] if names else []
