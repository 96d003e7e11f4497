"""What a run tells while it trains: metrics.jsonl, TensorBoard where it is installed, and a listener."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.errors import disk_full_stops


class Listener(Protocol):
    """Who is told how a run goes on; called in the main process alone."""

    def said(self, message: str) -> None:
        """A sentence for a person."""

    def begun(self, name: str, step: int, n_steps: int, n_epochs: int) -> None:
        """A run starts, or goes on, after `step` of `n_steps`; `name` is its folder's."""

    def stepped(self, step: int, losses: Mapping[str, float], clips_per_s: float, memory_bytes: int) -> None:
        """After some steps: the losses of the last one (none where a model is fitted without), the rate since, the most
        memory of the GPU so far (0: none)."""

    def scored(self, epoch: int, part: str, top1: Mapping[str, float]) -> None:
        """After an epoch, from 1: accuracy by level on the watched part."""

    def ended(self) -> None:
        """The run has ended, or stopped."""


class Silent:
    """A listener that tells nobody."""

    def said(self, message: str) -> None:
        """See Listener."""

    def begun(self, name: str, step: int, n_steps: int, n_epochs: int) -> None:
        """See Listener."""

    def stepped(self, step: int, losses: Mapping[str, float], clips_per_s: float, memory_bytes: int) -> None:
        """See Listener."""

    def scored(self, epoch: int, part: str, top1: Mapping[str, float]) -> None:
        """See Listener."""

    def ended(self) -> None:
        """See Listener."""


class MetricsLog:
    """Appends to metrics.jsonl and to TensorBoard. Lines of what is after `step` steps and `epochs` ended epochs are
    cut: they will be made again."""

    def __init__(self, path: Path, tensorboard: Path, step: int, epochs: int) -> None:
        if path.is_file():
            lines = path.read_bytes().splitlines(True)
            write_bytes(path, b"".join(line for line in lines if _is_until(line, step, epochs)))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._board: Any = _board(tensorboard, step)

    @property
    def has_tensorboard(self) -> bool:
        """Whether the numbers go there too."""
        return self._board is not None

    def write(self, line: Mapping[str, Any]) -> None:
        """One object; it has `step`. Numbers go to TensorBoard by their names."""
        with disk_full_stops(str(self._path)):
            self._file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in line.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, line["step"])

    def flush(self) -> None:
        """Have all lines in the file."""
        with disk_full_stops(str(self._path)):
            self._file.flush()

    def close(self) -> None:
        """Flush, and let go of the files."""
        with disk_full_stops(str(self._path)):
            self._file.close()
        if self._board is not None:
            self._board.close()


def _is_until(line: bytes, step: int, epochs: int) -> bool:
    """Whether a line is whole, and of a step up to `step` or of the end of an epoch up to `epochs`."""
    try:
        about = json.loads(line)
        of_step = "lr" in about  # the end of an epoch has the step of the last of these
        return bool(about["step"] <= step and (of_step or about["epoch"] <= epochs)) and line.endswith(b"\n")
    except (ValueError, KeyError, TypeError):
        return False


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
