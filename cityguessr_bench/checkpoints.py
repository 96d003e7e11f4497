"""Checkpoints of a run: whole or absent, so that `kill -9` at any moment leaves one to go on from.

checkpoints/00000120-0003/weights.safetensors   the network alone, by the names of its own modules
checkpoints/00000120-0003/state.pt              what training needs besides; plain tensors and numbers
checkpoints/00000120-0003/about.json            Progress

A folder's name is the steps done and the epochs ended (an epoch ends when its watched part is scored). It is written
beside, and renamed when all of it is on the disk. The last and the best are kept.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from cityguessr_data.core.atomic import sync_file, sync_folder
from cityguessr_data.core.errors import InputError, WeightsError, disk_full_stops

_NAME = re.compile(r"\d{8,}-\d{4,}")
_HINT = "Train again into another folder"


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int = 0
    """Steps done."""
    epochs: int = 0
    """Epochs ended."""
    best: str | None = None
    """Folder of the best checkpoint so far; None: nothing was watched."""
    best_top1: float | None = None
    """Its city top-1 on the watched part."""
    best_epoch: int | None = None
    """After which epoch, from 1."""

    @property
    def name(self) -> str:
        """Of the checkpoint's folder."""
        return f"{self.step:08d}-{self.epochs:04d}"


def save(folder: Path, progress: Progress, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint, and remove those that are neither the last nor the best.

    Raises:
        DiskFullError: no space left; the checkpoint before it is kept.
    """
    from safetensors.torch import save as packed

    target = folder / progress.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{progress.name}.{os.getpid()}.{secrets.token_hex(4)}.partial"
        try:
            with disk_full_stops(str(target)):
                partial.mkdir()
                whole = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
                (partial / "weights.safetensors").write_bytes(packed(whole))
                torch.save(dict(state), partial / "state.pt")
                (partial / "about.json").write_text(json.dumps(asdict(progress)), encoding="utf-8")
                for path in partial.iterdir():
                    sync_file(path)
                sync_folder(partial)
                partial.rename(target)
            sync_folder(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for path in folder.iterdir():
        if path.name not in (progress.name, progress.best):
            shutil.rmtree(path, ignore_errors=True)


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint; None where there is none."""
    names = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []
    return names[-1] if names else None


def read_progress(checkpoint: Path) -> Progress:
    """How far the run was when this was written.

    Raises:
        InputError: a damaged about.json.
    """
    try:
        return Progress(**json.loads((checkpoint / "about.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(f"{checkpoint}/about.json is damaged ({exc})", _HINT) from exc


def read_training_state(checkpoint: Path) -> dict[str, Any]:
    """What `save` was given as `state`, on the CPU; read as plain tensors and numbers alone.

    Raises:
        WeightsError: a damaged file.
    """
    try:
        state: dict[str, Any] = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    except Exception as exc:  # torch raises many kinds for a file that is not fit
        why = (str(exc).splitlines() or [type(exc).__name__])[0][:160]
        raise WeightsError(f"{checkpoint}/state.pt cannot be read ({why})", _HINT) from exc
    return state


def weights_of(folder: Path, which: Literal["last", "best"]) -> Path:
    """The weights file of the last or the best checkpoint.

    Raises:
        InputError: the run has no such checkpoint.
    """
    newest = last(folder)
    if newest is None:
        raise InputError(f"{folder.parent} has no checkpoint yet", "Train it: cgtool bench train ... --resume")
    if which == "last":
        return newest / "weights.safetensors"
    best = read_progress(newest).best
    if best is None:
        raise InputError(
            f"{folder.parent} has no best checkpoint: no part was watched, or no epoch has ended",
            "Take the last one, or train with train.watch=val",
        )
    return folder / best / "weights.safetensors"
