"""Reads tensors out of PyTorch files of any age without executing what a pickle could hold (weights_only=True)."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cityguessr_data.core.errors import WeightsError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """See weights.load_state_dict, which is the public name of this."""
    try:
        loaded = _load(_inner_file(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, OSError) as exc:
        why = (str(exc).strip().splitlines() or ["unreadable"])[0][:200]
        raise WeightsError(f"{path} cannot be read as PyTorch weights ({why})", "Fetch the file again") from exc
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path} holds no state dict", "Fetch the file again")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def _inner_file(path: Path) -> Path | io.BytesIO:
    """The only member of a plain zip archive; the file itself otherwise (a new torch file is a zip of many members)."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) == 1:
                return io.BytesIO(archive.read(members[0]))
    return path


def _load(file: Path | io.BytesIO) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnicodeDecodeError:
        # Python 2 wrote its strings as bytes; latin-1 reads any of them
        if isinstance(file, io.BytesIO):
            file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True, encoding="latin1")
