"""Fills in faces that the detector missed in one sampled frame but found in its neighbours, past and future.

For the `strict` blur. A face that turns away or is dark for one frame is the same person as before and after it. Only
faces that were detected are carried on, never carried ones, so nothing spreads further than REACH frames. A frame waits
for at most REACH later ones, so few decoded frames are held. Neighbours are of the same clip: never look across clips.

Where in doubt a box too many is made: blurring a bit of street costs little, a bare face much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cityguessr_data.core.types import Face

REACH = 2
"""How many sampled frames are looked at on either side."""

MAX_SHIFT = 0.75
"""How far, in face sizes, a centre may move from one sampled frame to the next (about 0.3 s) for the same face."""

MAX_RATIO = 1.6
"""How much larger or smaller it may become on the way."""

GROWTH_BETWEEN = 0.1
"""A box between one before and one after is grown on each side by this share of its size: motion is not even."""

GROWTH_PER_STEP = 0.25
"""A box copied from one side is grown on each side by this share of its size, for each frame it is carried."""

COVERED = 0.8
"""A filled-in face is left out where one box of the frame holds this share of its area."""


@dataclass(frozen=True)
class _Seen:
    """A detected face of a neighbouring frame; `offset` is its frame less the current one, never 0."""

    face: Face
    offset: int


def fill_faces(window: Sequence[Sequence[Face]], index: int, threshold: float) -> tuple[Face, ...]:
    """All faces of the frame `window[index]`: its detections with `blurred` decided, then the filled-in ones.

    A detection is blurred at a score of `threshold` or over, and below it where it matches a face of that score in a
    neighbouring frame: there the detector hesitated over a known face.

    Args:
        window: the faces of consecutive sampled frames of ONE clip, all scores; only those within REACH are looked at,
            so at the clip's ends (and only there) the window may be shorter.
        index: which of them is the current frame.
        threshold: score from which a detection is sure.
    """
    if not 0 <= index < len(window):
        raise ValueError(f"expected the index of one of {len(window)} frames, got {index}")
    sure = [[f for f in faces if f.origin == "detected" and f.score >= threshold] for faces in window]
    prev, later = sure[max(index - REACH, 0) : index], sure[index + 1 : index + 1 + REACH]
    around = _tracks_before(prev) + _tracks_after(later)
    current = tuple(
        replace(f, blurred=True) if f.score >= threshold or any(_same(f, s) for s in around) else f
        for f in window[index]
    )
    hesitant = [f for f in current if f.blurred and f.score < threshold]
    return current + tuple(propagated(prev, [f for f in current if f.blurred and f not in hesitant], later, hesitant))


def propagated(
    prev: Sequence[Sequence[Face]],
    cur: Sequence[Face],
    later: Sequence[Sequence[Face]],
    hesitant: Sequence[Face] = (),
) -> list[Face]:
    """The faces that `cur` lacks: origin "propagated", blurred.

    Between a face before and the same face after, the box is interpolated; from one side alone it is copied; both are
    grown by the shares above. What `cur` has already (the same face by position and size, or COVERED) is left out.
    Boxes are not clipped to the frame.

    Args:
        prev: the sure faces of up to REACH earlier frames, in the order of time (the last is the nearest).
        cur: the sure faces of the current frame.
        later: the sure faces of up to REACH later frames, in the order of time (the first is the nearest).
        hesitant: faces of the current frame that are blurred though not sure. Their boxes are not trusted to be the
            face's place: only where one holds the filled-in face is that left out.
    """
    if len(prev) > REACH or len(later) > REACH:
        raise ValueError(f"expected at most {REACH} frames on either side, got {len(prev)} and {len(later)}")
    before, after = _tracks_before(prev), _tracks_after(later)
    before = _without(before, _matches([(s.face, s.offset) for s in before], [(f, 0) for f in cur]))
    after = _without(after, _matches([(s.face, s.offset) for s in after], [(f, 0) for f in cur]))
    pairs = _matches([(s.face, s.offset) for s in before], [(s.face, s.offset) for s in after])
    filled = [_between(before[i], after[j]) for i, j in sorted(pairs.items())]
    filled += [_copied(s) for i, s in enumerate(before) if i not in pairs]
    filled += [_copied(s) for j, s in enumerate(after) if j not in set(pairs.values())]
    return [grown for tight, grown in filled if not any(_held(tight, f) for f in (*cur, *hesitant))]


def _tracks_before(prev: Sequence[Sequence[Face]]) -> list[_Seen]:
    """The faces of earlier frames, each person once: from the nearest frame that shows them."""
    return _nearest_of_each([(-k, faces) for k, faces in enumerate(reversed(prev), start=1)])


def _tracks_after(later: Sequence[Sequence[Face]]) -> list[_Seen]:
    return _nearest_of_each([(k, faces) for k, faces in enumerate(later, start=1)])


def _nearest_of_each(frames: Sequence[tuple[int, Sequence[Face]]]) -> list[_Seen]:
    tracks: list[_Seen] = []
    for offset, faces in frames:
        farther = [_Seen(f, offset) for f in faces if f.origin == "detected"]
        known = _matches([(s.face, s.offset) for s in farther], [(s.face, s.offset) for s in tracks])
        tracks += _without(farther, known)
    return tracks


def _without(seen: list[_Seen], matched: dict[int, int]) -> list[_Seen]:
    return [s for i, s in enumerate(seen) if i not in matched]


def _matches(left: Sequence[tuple[Face, int]], right: Sequence[tuple[Face, int]]) -> dict[int, int]:
    """Greedy one-to-one matching of (face, offset), the cheapest pair first: index in `left` -> index in `right`."""
    costs = [
        (cost, i, j)
        for i, (a, at) in enumerate(left)
        for j, (b, bt) in enumerate(right)
        if (cost := _cost(a, b, bt - at)) is not None
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(costs):
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def _same(f: Face, seen: _Seen) -> bool:
    return _cost(f, seen.face, seen.offset) is not None


def _cost(a: Face, b: Face, steps: int) -> float | None:
    """How unlike one face `a` and `b` are, `steps` sampled frames apart; None where they cannot be the same."""
    size_a, size_b = _size(a), _size(b)
    ratio = max(size_a, size_b) / max(min(size_a, size_b), 1e-6)
    dx, dy = (a.x0 + a.x1 - b.x0 - b.x1) / 2, (a.y0 + a.y1 - b.y0 - b.y1) / 2
    shift = math.hypot(dx, dy) / max((size_a + size_b) / 2, 1e-6)
    if a.kind != b.kind or ratio > MAX_RATIO or shift > MAX_SHIFT * min(abs(steps), REACH):
        return None
    return shift + (ratio - 1)


def _between(s: _Seen, e: _Seen) -> tuple[Face, Face]:
    """The face on the straight way from `s` to `e` at offset 0: as it is, and grown. Score: the higher of the two."""
    w = -s.offset / (e.offset - s.offset)
    a, b = s.face, e.face
    tight = Face(
        a.x0 + w * (b.x0 - a.x0),
        a.y0 + w * (b.y0 - a.y0),
        a.x1 + w * (b.x1 - a.x1),
        a.y1 + w * (b.y1 - a.y1),
        score=max(a.score, b.score),
        kind=a.kind,
    )
    return tight, _grown(tight, GROWTH_BETWEEN)


def _copied(s: _Seen) -> tuple[Face, Face]:
    return s.face, _grown(s.face, GROWTH_PER_STEP * abs(s.offset))


def _grown(f: Face, share: float) -> Face:
    margin_px = share * _size(f)
    x0, y0, x1, y1 = f.x0 - margin_px, f.y0 - margin_px, f.x1 + margin_px, f.y1 + margin_px
    return replace(f, x0=x0, y0=y0, x1=x1, y1=y1, origin="propagated", blurred=True)


def _size(f: Face) -> float:
    return max(f.x1 - f.x0, f.y1 - f.y0)


def _held(inner: Face, outer: Face) -> bool:
    width = min(inner.x1, outer.x1) - max(inner.x0, outer.x0)
    height = min(inner.y1, outer.y1) - max(inner.y0, outer.y0)
    area = (inner.x1 - inner.x0) * (inner.y1 - inner.y0)
    return inner.kind == outer.kind and width >= 0 and height >= 0 and width * height >= COVERED * area
