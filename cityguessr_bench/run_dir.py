"""A run's folder: what was asked, what it was trained on, and where everything that a run leaves lies.

RUN/config.json           settings, the network's widths, and the record of the data; written last of the first four
RUN/taxonomy.parquet      the classes: what labels and the heads' columns mean
RUN/text_targets.npy      F_t of every city, where the run has TextLabel Alignment
RUN/metrics.jsonl         a line every few steps and one an epoch
RUN/checkpoints/          see checkpoints.py
RUN/tensorboard/          the same numbers, where TensorBoard is installed
RUN/predictions.parquet, results.json, report.html      by `cgtool bench evaluate`
RUN/fold0, fold1, ...     one such folder a fold, where the split is one of folds
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cityguessr_data.core.atomic import write_json
from cityguessr_data.core.errors import InputError

from .classes import Classes
from .models.config import ModelConfig
from .run_config import RunConfig

VERSION = "1"
_FOLD = re.compile(r"fold(\d+)")


@dataclass(frozen=True, eq=False)
class RunDir:
    """One run. Make one with `create` or `open`."""

    folder: Path
    config: RunConfig
    model_config: ModelConfig
    classes: Classes
    record: Mapping[str, Any]
    """`data`: folder, name, fingerprint and pixels (as pack.read.Pack has them), n_clips, encoder (of cached features:
    name, digest, size_px; else null).
    `split`: name, file (where it was named by its path, else null), digest, parts (clips by part). `text`: encoder and
    digest, or null. `scenes`: on, why (a sentence), n_without (clips without a label). `versions`: by package.
    `classes`: their digest."""

    @classmethod
    def create(
        cls,
        folder: Path,
        config: RunConfig,
        model_config: ModelConfig,
        classes: Classes,
        record: Mapping[str, Any],
    ) -> Self:
        """Write taxonomy.parquet, then config.json, which makes the folder a run.

        Raises:
            DiskFullError: no space left.
        """
        record = {**record, "classes": classes.digest}
        classes.write(folder / "taxonomy.parquet")
        about = {"config": config.to_dict(), "model": dataclasses.asdict(model_config), "record": record}
        write_json(folder / "config.json", {"version": VERSION, **about})
        return cls(folder, config, model_config, classes, record)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a run's settings and classes, and check that they belong together.

        Raises:
            InputError: no run, one of another version, a damaged config.json, or a taxonomy that is not the run's.
        """
        path = folder / "config.json"
        if not path.is_file():
            if folds := fold_folders(folder):
                raise InputError(f"{folder} holds {len(folds)} folds, each a run", f"Name one of them: {folds[0]}")
            raise InputError(
                f"{folder} is no run (it has no config.json)", "Name the --run folder of cgtool bench train"
            )
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            if about["version"] != VERSION:
                raise InputError(f"{path} is of version {about['version']}, not {VERSION}", _HINT)
            config = RunConfig.of(about["config"], str(path))
            model_config, record = ModelConfig(**about["model"]), about["record"]
            digest = record["classes"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise InputError(f"{path} is damaged ({type(exc).__name__}: {exc})", _HINT) from exc
        classes = Classes.read(folder / "taxonomy.parquet")
        if classes.digest != digest:
            raise InputError(
                f"{folder}/taxonomy.parquet is not the one that the run was trained with",
                "Put its own file back: labels and heads would mean other places",
            )
        return cls(folder, config, model_config, classes, record)

    @property
    def data_folder(self) -> Path:
        """The pack that the run was trained on."""
        return Path(self.record["data"]["folder"])

    @property
    def split(self) -> str | Path:
        """The split that the run was trained by, as data.read_split takes it: a name, or a file."""
        split = self.record["split"]
        return Path(split["file"]) if split["file"] else str(split["name"])

    @property
    def checkpoints(self) -> Path:
        """The folder of weights and training states."""
        return self.folder / "checkpoints"

    @property
    def metrics_path(self) -> Path:
        """One JSON object a line."""
        return self.folder / "metrics.jsonl"

    @property
    def text_targets_path(self) -> Path:
        """float32 (cities, d_t)."""
        return self.folder / "text_targets.npy"

    @property
    def predictions_path(self) -> Path:
        """Of `evaluate`, see predictions.py."""
        return self.folder / "predictions.parquet"

    @property
    def results_path(self) -> Path:
        """Of `evaluate`."""
        return self.folder / "results.json"

    @property
    def report_path(self) -> Path:
        """Of `evaluate`."""
        return self.folder / "report.html"


def fold_folders(folder: Path) -> tuple[Path, ...]:
    """RUN/fold0, RUN/fold1, ... that are runs, by number; empty where RUN is itself a run or nothing."""
    if not folder.is_dir():
        return ()
    found = [(int(m[1]), path) for path in folder.iterdir() if (m := _FOLD.fullmatch(path.name))]
    return tuple(path for _, path in sorted(found) if (path / "config.json").is_file())


_HINT = "Train again into another folder, or put the file back"
