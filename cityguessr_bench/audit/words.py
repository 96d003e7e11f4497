"""The audit in plain sentences: what may be said of the numbers, and no more.

A difference whose interval holds 0 is called inside the noise. No sentence says that a cue does not matter: what was
not found at this many clips may be found with more. The intervals are of the luck of the tested clips alone; another
seed of training moves the figures too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..results import Estimate
from ..tables.compare import LEAST_VIDEOS
from .results import Audit, Row, SplitAudit, SplitRow, bounds

NOT_TOLD = f"which fewer than {LEAST_VIDEOS} known source videos cannot tell from noise"
_HIDDEN = {"borders": "the borders", "static overlays": "static overlays", "readable text": "readable text"}


def sentences(audit: Audit, splits: SplitAudit | None = None) -> tuple[str, ...]:
    """What was seen in training, what was changed, what was hidden, and the splits; of city top-1 in the mode none."""
    return (*_of_seen(audit, splits), *_of_order(audit), *_of_masks(audit), *_of_splits(splits))


def points(estimate: Estimate) -> str:
    """`-3.1 points (-5.0 to -1.2)`."""
    found = bounds(estimate)
    if found is not None and found[0] == found[1]:
        found = None
    between = f" ({signed(found[0])} to {signed(found[1])})" if found else ""
    return f"{signed(estimate.value)} points{between}"


def signed(share: float) -> str:
    """In points: `+1.2`, and never `-0.0`."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def in_noise(estimate: Estimate) -> bool:
    """True where the interval holds 0, or there is none."""
    found = bounds(estimate)
    return found is None or found[0] <= 0 <= found[1]


def _can_tell(of: Audit | SplitRow) -> bool:
    """Whether the source videos are known, and enough for an interval over them to mean something."""
    return of.n_videos is not None and of.n_videos >= LEAST_VIDEOS


def _city(row: Row | SplitRow) -> Estimate:
    return row.top1["none"]["city"]


def _of_seen(audit: Audit, splits: SplitAudit | None) -> Iterator[str]:
    if audit.seen_video is None:
        return
    if audit.seen_video == 0:
        yield (
            "No clip is of a source video that train has clips of, as far as ids tell: no street was recognised from "
            "its own film"
        )
    else:
        yield (
            f"{audit.seen_video:.0%} of the clips are of a source video that train has clips of, and what was "
            f"recognised from there is not told apart from the place{': --splits clip,video does' * (splits is None)}"
        )


def _of_masks(audit: Audit) -> Iterator[str]:
    told = []
    for row in audit.rows:
        if row.beyond is None or row.hidden is None or not row.hidden.n_clips:
            continue
        beyond = row.beyond["none"]["city"]
        verdict = "inside the noise" if in_noise(beyond) else ("a cost" if beyond.value < 0 else "a gain")
        verdict = verdict if _can_tell(audit) else NOT_TOLD
        told.append(f"{_HIDDEN[row.change]} {points(beyond)}, {verdict}")
    if told:
        yield f"City top-1 where it is hidden, against as many pixels hidden elsewhere: {'; '.join(told)}"


def _of_order(audit: Audit) -> Iterator[str]:
    told = []
    for row in audit.rows:
        if row.change in ("a single frame", "frames in another order", "mirrored") and row.less is not None:
            less = row.less["none"]["city"]
            noise = f", {NOT_TOLD}" if not _can_tell(audit) else ", inside the noise" if in_noise(less) else ""
            told.append(f"{row.change} {points(less)}{noise}")
    if told:
        yield f"City top-1 against the clips as they are: {'; '.join(told)}"


def _of_splits(splits: SplitAudit | None) -> Iterator[str]:
    if splits is None or len(splits.rows) < 2:
        return
    known = [row for row in splits.rows if row.seen_video is not None]
    seen = max(known, key=lambda row: row.seen_video or 0, default=None)
    for row in known:
        if seen is None or row.split == seen.split or (row.seen_video or 0) >= (seen.seen_video or 0):
            continue
        fall = difference(_city(seen), _city(row))
        told = (
            f"City top-1 is {_percent(_city(seen))} {seen.split} ({seen.seen_video:.0%} of the test clips are of a "
            f"video that train has) and {_percent(_city(row))} {row.split} ({row.seen_video:.0%})"
        )
        if not (_can_tell(seen) and _can_tell(row)):
            yield f"{told}: the difference is {points(fall)}, {NOT_TOLD}"
        elif in_noise(fall):
            yield f"{told}: the difference, {points(fall)}, is inside the noise"
        else:
            of = "goes with streets seen in training" if fall.value > 0 else "is not what seen streets would explain"
            yield f"{told}: the difference, {points(fall)}, {of}"


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Of two accuracies on different clips: each side's own interval, put together by squares (Newcombe's way)."""
    value = one.value - other.value
    first, second = bounds(one), bounds(other)
    if first is None or second is None:
        return Estimate(value, None, None, None, None)
    low = value - math.hypot(one.value - first[0], second[1] - other.value)
    high = value + math.hypot(first[1] - one.value, other.value - second[0])
    return Estimate(value, low, high, low, high)


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} %"
