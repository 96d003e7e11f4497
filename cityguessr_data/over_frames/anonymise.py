"""`cgtool anonymise`: blurred copies of imported frames under OUT, which the tables then speak of.

The originals are opened for reading only. Where they are is kept in OUT/.cgtool/originals, so that other settings
start from them again and never from a copy that is blurred already (paper, supplementary section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..build_config import digests, find_detector
from ..build_record import recorded_anonymise, tool_versions
from ..core.errors import InputError
from ..core.fingerprint import fingerprint
from ..run.compute import Compute
from ..run.executor import Listener
from ..run.frame_sink import LAYOUTS, Layout, chosen_layout
from ..stages.anonymise import AnonymiseConfig, AnonymiseStage
from ..vision.phash import phash
from .copies import CopiesConfig
from .go import StageResult, finish, run_over
from .read_stage import ReadStage
from .units import Unit, opened, originals, read_units, work_items


@dataclass(frozen=True)
class AnonymiseRun:
    """Everything that `anonymise` can be told."""

    out: Path
    anonymise: AnonymiseConfig = AnonymiseConfig()
    jpeg_quality: int = 95
    layout: Layout | None = None
    """How copies are kept: a folder a clip or a tar a video; None: as earlier ones are, the first in folders."""
    workers: int | None = None
    """Processes that read, detect and blur."""

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"a JPEG quality of {self.jpeg_quality} makes no sense", "Give 1 to 100")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"--layout {self.layout} is none", f"Choose {' or '.join(LAYOUTS)}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers cannot work", "Give --workers 1 or more")


def make_compute(config: AnonymiseRun, detector: Path) -> Compute:
    """The stages, opened: called in each worker process."""
    stages = (ReadStage(config.out, outside=True), AnonymiseStage(config.anonymise, detector))
    blur, layout = config.anonymise.blur.mode, config.layout or "folder"
    return Compute(stages, CopiesConfig(config.out, blur, phash, config.jpeg_quality, layout))


def anonymise(config: AnonymiseRun, listener: Listener) -> StageResult:
    """Anonymise every unit of imported data that is not yet, or was with other settings.

    Raises:
        InputError, MachineError: nothing was started.
    """
    store, dataset = opened(config.out)
    if "imported" not in dataset:
        raise InputError(
            f"{config.out} was built from links: its frames were blurred before they were saved",
            "For other settings run `cgtool build-dataset` with them and another --out, from the same cache",
        )
    detector = find_detector(config.anonymise)
    recorded = _recorded(config, detector)
    with store.locked():
        store.recover()
        for leftover in store.originals("x").parent.glob(".*.partial"):
            leftover.unlink()
        units = {unit.name: unit for unit in read_units(store)}
        copied = any(unit.anonymised for unit in units.values())
        layout = chosen_layout(store.out, store.dataset(), config.layout, any_frames=copied)
        missing = [unit for unit in units.values() if unit.anonymised != _fingerprint(unit, recorded)]
        result = StageResult(len(units), len(units) - len(missing))
        if missing:
            _note(store, recorded, layout)
        items = work_items(missing, partial(_fingerprint, recorded=recorded))
        factory = partial(make_compute, replace(config, layout=layout), detector)
        run_over(store, items, lambda name: originals(store, units[name]), factory, listener, result, config.workers)
        finish(store)
    return result


def _recorded(config: AnonymiseRun, detector: Path) -> dict[str, Any]:
    """What determines copies and boxes, as dataset.json keeps it."""
    versions = {stage.name: stage.version for stage in (ReadStage, AnonymiseStage)}
    return {
        "config": {
            "anonymise": recorded_anonymise(config.anonymise),
            "jpeg_quality": config.jpeg_quality,
            "stage_versions": versions,
        },
        "models": {"detector": digests((detector,))},
    }


def _fingerprint(unit: Unit, recorded: dict[str, Any]) -> str:
    return fingerprint(["anonymise", unit.asked, recorded])


def _note(store: Any, recorded: dict[str, Any], layout: Layout) -> None:
    """Put `recorded` into dataset.json, beside what the import wrote there."""
    dataset = store.dataset() or {}
    merged = {part: {**dataset.get(part, {}), **value} for part, value in recorded.items()}
    store.write_dataset({**dataset, "layout": layout, **merged, "tools": tool_versions()})
