"""How every clip of the queue stands, in memory: what was decided, what is finished, what each tab did last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from .decisions import Decision
from .queue import Group, Queued
from .state import ClipReview, Row, is_finished, review_of


@dataclass(frozen=True)
class Standing:
    """How a clip stands."""

    decisions: tuple[Decision, ...]
    """All about it, in their order."""
    review: ClipReview
    finished: bool
    """By contract 4."""
    settled: bool
    """A person has done what the page asks for. A clip without a blurred face is finished without it."""


_WAITING = Standing((), ClipReview(), finished=False, settled=False)
_FINISHED = Standing((), ClipReview(), finished=True, settled=False)


@dataclass(frozen=True)
class Tally:
    """How far a review is."""

    n_clips: int
    n_finished: int
    """By contract 4."""
    n_settled: int
    groups: tuple[tuple[Group, int, int], ...]
    """(group, clips settled, clips)."""

    @property
    def n_look_again(self) -> int:
        """Clips that were made anew since they were reviewed, and not looked at again."""
        return sum(clips - settled for group, settled, clips in self.groups if group == Group.ANEW)


class Standings:
    """Changed by `add` alone. Not thread-safe: its owner holds a lock."""

    def __init__(
        self, queue: Sequence[Queued], decisions: Iterable[Decision], faces: Callable[[Queued], list[Row]]
    ) -> None:
        """
        Args:
            faces: the face rows of a clip, as built; asked for where one was rejected only.
        """
        self.queue = {one.clip_id: one for one in queue}
        self._faces = faces
        made = list(decisions)
        by_clip: dict[str, list[Decision]] = {}
        for one in made:
            by_clip.setdefault(one.clip_id, []).append(one)
        self._of = {one.clip_id: self._standing(one, tuple(by_clip.get(one.clip_id, ()))) for one in queue}
        self._clips = Counter(one.group for one in queue)
        self._settled = Counter(one.group for one in queue if self._of[one.clip_id].settled)
        self._n_finished = sum(standing.finished for standing in self._of.values())
        self._batches: dict[str, list[list[Decision]]] = {}
        made.sort(key=lambda one: (one.session, one.decided_at))
        for (tab, _), batch in groupby(made, key=lambda one: (one.session, one.decided_at)):
            self._remember(tab, list(batch))

    def __getitem__(self, clip_id: str) -> Standing:
        return self._of[clip_id]

    def add(self, rows: Sequence[Decision]) -> None:
        """Count decisions that are on the disk now; rows of one batch are undone together."""
        for clip_id in dict.fromkeys(row.clip_id for row in rows):
            one, before = self.queue[clip_id], self._of[clip_id]
            after = self._standing(one, (*before.decisions, *(row for row in rows if row.clip_id == clip_id)))
            self._of[clip_id] = after
            self._settled[one.group] += after.settled - before.settled
            self._n_finished += after.finished - before.finished
        self._remember(rows[0].session, list(rows))

    def last(self, tab: str) -> list[Decision]:
        """What a tab decided last and still holds, by one key; empty where there is nothing left."""
        batches = self._batches.get(tab, [])
        while batches:
            holding = [one for one in batches[-1] if self._holds(one)]
            if holding:
                return holding
            batches.pop()
        return []

    def tally(self) -> Tally:
        """How far the review is."""
        groups = tuple((group, self._settled[group], self._clips[group]) for group in Group)
        return Tally(self._clips.total(), self._n_finished, self._settled.total(), groups)

    def n_stale(self) -> int:
        """Decisions about earlier results of their clips."""
        return sum(standing.review.stale for standing in self._of.values())

    def _remember(self, tab: str, batch: list[Decision]) -> None:
        if batch[0].action not in ("undo", "drawn", "looked"):
            self._batches.setdefault(tab, []).append(batch)

    def _holds(self, decision: Decision) -> bool:
        standing = self._of.get(decision.clip_id)
        return standing is not None and any(one.decision_id == decision.decision_id for one in standing.review.counting)

    def _standing(self, one: Queued, decisions: tuple[Decision, ...]) -> Standing:
        if not decisions:  # almost all of a large data set: they share what there is to say
            return _FINISHED if one.first is None else _WAITING
        review = review_of(decisions, one.fingerprint)
        finished = is_finished(self._first_faces(one, review), review, one.n_frames)
        if review.dropped:
            settled = True
        elif review.every_frame:
            settled = finished
        else:
            settled = one.position in review.accepted or (one.first is not None and finished)
        return Standing(decisions, review, finished, settled)

    def _first_faces(self, one: Queued, review: ClipReview) -> list[Row]:
        """Face rows that tell whether the clip is finished; the real ones are read only where it depends on them."""
        if one.first is None:
            return []
        if any(position == one.first for position, _ in review.rejected):
            return self._faces(one)
        somebody = {"position": one.first, "blurred": True, "x0": None, "y0": None, "x1": None, "y1": None}
        return [somebody]
