"""`cgtool review --apply`: carries out what reviewers decided, and nothing else; a second time it finds nothing to do.

Frames whose boxes changed are blurred anew from the source with the recorded settings, so that they are as a build with
these boxes would have made them. Without the source a box can only be added. Dropped clips go for good: a tombstone
keeps later builds from bringing them back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from ..core.atomic import write_json
from ..core.errors import InputError
from ..review.decisions import Box, DecisionLog
from ..review.lock import review_lock
from ..review.places import Places
from ..review.progress import applied_marks, clips_of
from ..review.unblurred import Unblurred
from ..run.changelog import next_version, numbers, record_change, version_of
from ..run.compute import Compute
from ..run.executor import Listener
from ..run.store import Store
from ..vision.blur import BlurConfig
from ..vision.phash import phash
from .go import StageResult, finish, run_over
from .review_drops import take_out
from .review_plan import PlaceOf, UnitPlan, plan_unit
from .review_stage import ReblurStage, ReviewConfig
from .review_writer import LACKING_KEY, ReviewWriterConfig
from .units import frames_part, opened, read_units, work_items


@dataclass
class ApplyResult(StageResult):
    """What one run carried out. Units are videos with clips."""

    n_frames: int = 0
    """Frames that got other pixels."""
    n_relabelled: int = 0
    """Clips that got another city."""
    dropped: list[str] = field(default_factory=list)
    """Clip ids that went."""
    lacking: list[tuple[str, int, Box]] = field(default_factory=list)
    """(clip_id, position, box) that stay blurred though they are no face: their source is not at hand."""
    n_stale: int = 0
    """Decisions about earlier results of their clips, which count no more."""


def make_compute(config: ReviewWriterConfig) -> Compute:
    """The stage, opened: called in each worker process."""
    return Compute((ReblurStage(config.review),), config)


def apply_review(
    out: Path,
    listener: Listener,
    workers: int | None = None,
    taxonomy: Path | None = None,
    only: Collection[str] | None = None,
) -> ApplyResult:
    """Apply all decisions that hold, unit by unit; a unit is committed whole or stays as it was.

    Args:
        only: the units to apply them to; None: all.
        taxonomy: a file with the cities that reviewers named; None: cityguessr166 and those of the data set.
    Raises:
        InputError: no output directory, no decisions or those of another data set, frames that were never anonymised,
            a review that is open; nothing was started.
    """
    store, _ = opened(out)
    with review_lock(store), store.locked():
        return apply_held(store, listener, workers, taxonomy, only)


def apply_held(
    store: Store,
    listener: Listener,
    workers: int | None = None,
    taxonomy: Path | None = None,
    only: Collection[str] | None = None,
) -> ApplyResult:
    """The same, for who holds `review_lock` and `store.locked` already."""
    _, dataset = opened(store.out)
    store.recover()
    log = DecisionLog(store)
    config = ReviewWriterConfig(_recorded(store, dataset, Places.of(store, taxonomy)), phash)
    wanted = set(log.units()) if only is None else set(log.units()) & set(only)
    dropped = _dropped(store, log, wanted, config.review.place_of)
    begun = _version_begun(store)
    result = ApplyResult(0, 0, dropped=take_out(store, dropped))
    units = read_units(store)
    plans, unblurred = {}, Unblurred(store)
    for name in sorted({unit.name for unit in units} & wanted):
        plan = plan_unit(store, log, unblurred, name, config.review.place_of)
        result.lacking += [(clip.clip_id, *place) for clip in plan.clips for place in clip.lacking]
        result.n_stale += plan.n_stale
        if plan.changed or not _is_applied(store, plan):
            plans[name] = plan
    result.n_units, result.n_done_before = len(units), len(units) - len(plans)
    if any(plan.n_frames or any(clip.relabelled for clip in plan.clips) for plan in plans.values()):
        _begin_version(store)
    items = work_items([unit for unit in units if unit.name in plans], lambda unit: unit.asked)
    run_over(store, items, partial(frames_part, store), partial(make_compute, config), listener, result, workers)
    _count(store, result, plans)
    log.assemble()
    finish(store)
    if not (result.stopped or result.interrupted):
        _record(store, result, changed_before=begun is not None)
    return result


def _recorded(store: Store, dataset: dict[str, object], places: Places) -> ReviewConfig:
    """How the frames were blurred when they were made.

    Raises:
        InputError: they never were.
    """
    config = dataset.get("config")
    anonymised = config.get("anonymise") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(anonymised, dict):
        raise InputError(
            f"the frames of {store.out} were never anonymised", f"Run `cgtool anonymise {store.out}` first"
        )
    return ReviewConfig(store.out, BlurConfig(**anonymised["blur"]), int(config["jpeg_quality"]), places.find)


def _count(store: Store, result: ApplyResult, plans: Mapping[str, UnitPlan]) -> None:
    """Of the units that were committed in this run."""
    failed = {one.video_id for one in result.report.failed}
    for name, plan in plans.items():
        if name not in failed and _is_applied(store, plan):
            result.n_frames += plan.n_frames
            result.n_relabelled += sum(clip.relabelled for clip in plan.clips)


def _dropped(store: Store, log: DecisionLog, wanted: Collection[str], place_of: PlaceOf) -> dict[str, frozenset[str]]:
    """Unit -> its clips whose drop holds. A city that is not known is refused before any of them is taken out."""
    dropped: dict[str, frozenset[str]] = {}
    for name in sorted(set(wanted) & {path.stem for path in store.parts("clips")}):
        clips = list(clips_of(store, name, log.read(name)))
        dropped[name] = frozenset(clip.clip_id for clip in clips if clip.review.dropped)
        for clip in clips:
            if clip.review.city is not None and not clip.review.dropped:
                try:
                    place_of(clip.review.city)
                except InputError as exc:
                    raise InputError(
                        f"{clip.clip_id} was given a city that is not known here: {exc.message}",
                        "Name the review's --taxonomy FILE, or take the label back on the page",
                    ) from exc
    return {name: clip_ids for name, clip_ids in dropped.items() if clip_ids}


def _pending(store: Store) -> Path:
    return store.work / "review" / "applying.json"


def _version_begun(store: Store) -> str | None:
    """The version that an earlier run began and did not come to record: some of its videos may be others by now."""
    path = _pending(store)
    return str(json.loads(path.read_text(encoding="utf-8"))["version"]) if path.is_file() else None


def _begin_version(store: Store) -> None:
    """Note the version that the changes of this run will make, before the first of them."""
    write_json(_pending(store), {"version": next_version(version_of(store))})


def _record(store: Store, result: ApplyResult, *, changed_before: bool) -> None:
    """Raise the version and say why, where frames or labels are others now.

    Args:
        changed_before: an earlier run was cut off, which may have changed some.
    """
    version = _version_begun(store)
    if version is None:
        return
    told = [
        (result.n_frames, f"{result.n_frames:,} frames blurred anew after a review."),
        (result.n_relabelled, f"{result.n_relabelled:,} clips given another city in a review."),
    ]
    lines = [line for n, line in told if n]
    if changed_before:
        lines.append("Frames or labels changed after a review, in a run that was cut off.")
    if lines:
        later = numbers(version) > numbers(version_of(store))
        record_change(store, version if later else next_version(version_of(store)), lines)
    _pending(store).unlink(missing_ok=True)


def _is_applied(store: Store, plan: UnitPlan) -> bool:
    clips = [clip.clip_id for clip in plan.clips]
    return applied_marks(store, plan.unit, clips) == plan.marks and _lacked(store, plan.unit) == _lacks(plan)


def _lacks(plan: UnitPlan) -> int:
    return sum(len(clip.lacking) for clip in plan.clips)


def _lacked(store: Store, unit: str) -> int:
    """Boxes that stayed blurred for want of the source when the unit was last written."""
    metadata: dict[bytes, bytes] = pq.read_schema(store.part("clips", unit)).metadata or {}
    return int(metadata.get(LACKING_KEY, b"0"))
