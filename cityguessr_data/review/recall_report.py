"""What a sample has come to so far: which of its frames were looked at, what was drawn in them, and the figures.

The figures are of the anonymisation as the build made it, whatever a review changed since. They are worked out from the
decisions each time; OUT/.cgtool/review/recall.json is a copy for whoever reads it without us.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..core.atomic import write_json
from ..run.store import Store, read_part
from .decisions import Box, Decision, DecisionLog
from .faces import as_built, rows_by_clip
from .recall import Boxes, LookedFrame, Recall, measure
from .sample import Sample, SampledFrame, newest_sample
from .state import Row, box_of


@dataclass(frozen=True)
class FrameSeen:
    """What people did in one frame of a sample."""

    looked: bool = False
    drawn: tuple[tuple[str, Box], ...] = ()
    """(decision id, box) that hold, in the order they were drawn."""
    reviewers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RecallReport:
    """The state of a sample with its figures."""

    sample: str
    """Its name."""
    n_asked: int
    n_frames: int
    """Frames in the sample."""
    n_looked: int
    n_gone: int
    """Frames of clips that were removed or made anew since the sample was drawn; they are not asked for again."""
    n_eligible: int
    """Frames it was drawn from; at most so many, unless `all_known`."""
    left_out: dict[str, int]
    """Why frames could not be drawn -> how many; at least so many, unless `all_known`."""
    all_known: bool
    """Whether the source of every clip was looked at; else that of those clips alone which were drawn."""
    seed: int
    reviewers: tuple[str, ...]
    lowest_score: float | None
    """Down to which detections are kept; None: it is not recorded."""
    measured: Recall | None
    """None: nobody has looked at a frame yet."""

    @property
    def n_left(self) -> int:
        """Frames that nobody has looked at."""
        return self.n_frames - self.n_gone - self.n_looked

    def as_json(self) -> dict[str, Any]:
        """Everything, with a value for each share."""
        value = asdict(self) | {"n_left": self.n_left}
        measured = value["measured"]
        for row in () if measured is None else (measured["all"], *measured["by_height"]):
            for name in ("recall", "hidden", "within_reach", "precision"):
                share = row[name]
                share["value"] = share["hits"] / share["n"] if share["n"] else None
        return value


def frame_seen(decisions: Iterable[Decision], frame: SampledFrame) -> FrameSeen:
    """What holds of one frame.

    Args:
        decisions: of its unit, in their order; those about other frames and of a review are passed over.
    """
    here = [one for one in decisions if one.clip_id == frame.clip_id and one.fingerprint == frame.fingerprint]
    undone = {one.undoes for one in here if one.action == "undo"}
    holding = [one for one in here if one.position == frame.position and one.decision_id not in undone]
    ours = [one for one in holding if one.action in ("drawn", "looked")]
    return FrameSeen(
        looked=any(one.action == "looked" for one in ours),
        drawn=tuple((one.decision_id, one.box) for one in ours if one.action == "drawn" and one.box),
        reviewers=frozenset(one.reviewer for one in ours),
    )


def make_report(store: Store, sample: Sample) -> RecallReport:
    """The state of a sample and its figures.

    Raises:
        InputError: the decisions that lie there are about another data set.
    """
    log = DecisionLog(store)
    by_unit: dict[str, list[SampledFrame]] = defaultdict(list)
    for frame in sample.frames:
        by_unit[frame.unit].append(frame)
    looked: list[LookedFrame] = []
    reviewers: set[str] = set()
    n_gone = 0
    for unit, frames in sorted(by_unit.items()):
        clips = clip_rows(store, unit)
        present = [frame for frame in frames if is_present(frame, clips)]
        n_gone += len(frames) - len(present)
        decisions = log.read(unit)
        seen = {frame: frame_seen(decisions, frame) for frame in present}
        if not any(one.looked for one in seen.values()):
            continue
        faces = rows_by_clip(as_built(store, unit))
        for frame, one in seen.items():
            if one.looked:
                looked.append(looked_frame(frame, one, clips[frame.clip_id], faces.get(frame.clip_id, [])))
                reviewers |= one.reviewers
    config = (store.dataset() or {}).get("config", {}).get("anonymise", {})
    return RecallReport(
        sample=sample.name,
        n_asked=sample.n_asked,
        n_frames=len(sample.frames),
        n_looked=len(looked),
        n_gone=n_gone,
        n_eligible=sample.n_eligible,
        left_out=dict(sample.left_out),
        all_known=sample.all_known,
        seed=sample.seed,
        reviewers=tuple(sorted(reviewers)),
        lowest_score=config.get("detector", {}).get("keep_score"),
        measured=measure(looked) if looked else None,
    )


def read_report(store: Store) -> RecallReport | None:
    """Of the newest sample; None where none was drawn or nobody has looked at a frame of it.

    Raises:
        InputError: a sample or decisions that are damaged or about another data set.
    """
    sample = newest_sample(store)
    report = make_report(store, sample) if sample is not None else None
    return report if report is not None and report.measured is not None else None


def keep_report(store: Store, report: RecallReport) -> None:
    """Write OUT/.cgtool/review/recall.json."""
    write_json(store.work / "review" / "recall.json", report.as_json())


def is_present(frame: SampledFrame, clips: dict[str, Row]) -> bool:
    """Whether a sampled frame is still what it was when it was drawn.

    Args:
        clips: of its unit, by id.
    """
    clip = clips.get(frame.clip_id)
    return clip is not None and clip["fingerprint"] == frame.fingerprint


def clip_rows(store: Store, unit: str) -> dict[str, Row]:
    """The clips of a unit by id, with what a sample needs of them; none where the unit is gone."""
    part = store.part("clips", unit)
    if not part.is_file():
        return {}
    columns = ["clip_id", "video_id", "city", "fingerprint"]
    return {row["clip_id"]: row for row in read_part(part, columns).to_pylist()}


def looked_frame(frame: SampledFrame, seen: FrameSeen, clip: Row, faces: list[Row]) -> LookedFrame:
    """A frame ready to be judged.

    Args:
        clip: its row of `clip_rows`.
        faces: of the clip, as built.
    """
    here = [face for face in faces if face["position"] == frame.position]
    return LookedFrame(
        video=clip["video_id"],
        city=clip["city"],
        frame=(frame.clip_id, frame.position),
        drawn=as_boxes([box for _, box in seen.drawn]),
        blurred=as_boxes([box_of(face) for face in here if face["blurred"]]),
        detected=as_boxes([box_of(face) for face in here]),
    )


def as_boxes(boxes: list[Box]) -> Boxes:
    """float64 (N, 4)."""
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)
