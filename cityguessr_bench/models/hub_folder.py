"""Where a published model lies on this machine: a folder given, one under $CGTOOL_WEIGHTS, or the hub's cache.

A source is a local folder in the hub's layout, or a hub id such as MCG-NJU/videomae-small-finetuned-kinetics. Only an
id is ever fetched, and only by its own name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cityguessr_data.core.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""The first that is there is read; a pickle only ever as plain tensors."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def find_folder(source: str | Path, other_files: Sequence[str] = ()) -> Path:
    """The folder that holds config.json and the weights of `source`.

    Args:
        source: a folder, or a hub id. An id is looked up in $CGTOOL_WEIGHTS/<its last part> first.
        other_files: patterns of what else to fetch of an id, e.g. the tokenizer's files.

    Raises:
        WeightsError: no such folder, it lacks a file, or the hub cannot be reached; with what to do.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _checked(folder)
    name = str(source)
    if not _HUB_ID.fullmatch(name):
        raise WeightsError(
            f"there is no folder {name}", "Give a folder that holds config.json and model.safetensors, or a hub id"
        )
    shelf = os.environ.get("CGTOOL_WEIGHTS")
    if shelf and (kept := Path(shelf) / name.rsplit("/")[-1]).is_dir():
        return _checked(kept)
    fetched = _fetch(name, ["config.json", WEIGHTS_FILES[0], *other_files])
    if not (fetched / WEIGHTS_FILES[0]).is_file():
        fetched = _fetch(name, ["config.json", WEIGHTS_FILES[1], *other_files])
    return _checked(fetched)


def weights_file(folder: Path) -> Path:
    """The weights in a folder that `find_folder` gave."""
    return next(folder / name for name in WEIGHTS_FILES if (folder / name).is_file())


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, on the CPU; a pickle is read as plain tensors alone.

    Raises:
        WeightsError: not there, or not such a file.
    """
    if path.suffix != ".safetensors":
        from cityguessr_data.vision.weights_load import read_tensors

        return read_tensors(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as exc:
        raise WeightsError(f"{path} cannot be read as safetensors ({exc})", "Fetch the file again") from exc


def _checked(folder: Path) -> Path:
    if (folder / "modules.json").is_file():
        return folder  # a chain: what is where is in that file
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in WEIGHTS_FILES):
        missing.append(" or ".join(WEIGHTS_FILES))
    if missing:
        raise WeightsError(
            f"{folder} lacks {' and '.join(missing)}", "Give the folder of a whole checkpoint, as the hub lays it out"
        )
    return folder


def _fetch(name: str, patterns: list[str]) -> Path:
    """From the hub, or its cache where there is no network."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, OSError, ValueError) as exc:
        why = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:160]
        last = name.rsplit("/")[-1]
        raise WeightsError(
            f"the weights {name} are not on this machine and cannot be fetched ({why})",
            f"Run `hf download {name} --local-dir {last}` where there is a network, then give that folder "
            f"or put it into $CGTOOL_WEIGHTS as {last}",
        ) from exc
