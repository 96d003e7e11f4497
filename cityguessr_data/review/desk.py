"""Where decisions are taken: one at a time, on the disk before the page says so, never over somebody else's.

What is held in memory follows from the tables and from the decisions on the disk: a server that was killed goes on
where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ..core.errors import InputError
from ..run.store import Store
from .boxes import boxes_of
from .decisions import Decision, DecisionLog, new_id
from .details import ClipDetail, Details
from .leases import Leases
from .places import Places
from .queue import Queued, anew_first, read_queue
from .said import said_of, said_of_left
from .standing import Standing, Standings, Tally
from .wishes import Meant, Wish, meant_by, same_matter, taken_back_by


@dataclass(frozen=True)
class Outcome:
    """What became of a wish, and what to show now."""

    said: str
    clip_id: str | None
    """None: nothing waits any more."""
    position: int = 0
    label: bool = False
    """Show the label view."""
    conflict: bool = False
    """Another tab had decided meanwhile, and nothing was written."""


class Desk:
    """The queue, how every clip stands, and which tab works on what. May be shared by threads."""

    def __init__(self, store: Store, places: Places, size_px: Callable[[ClipDetail, int], tuple[int, int]]) -> None:
        """
        Args:
            size_px: (width, height) of a saved frame.

        Raises:
            InputError: no clips, clips that were never anonymised, decisions of another data set.
        """
        self.log = DecisionLog(store)
        self.places = places
        self._size_px = size_px
        self._details = Details(store)
        earlier = {unit: self.log.read(unit) for unit in self.log.units()}
        decisions = [one for rows in earlier.values() for one in rows]
        self.queue = anew_first(read_queue(store, earlier.keys()), decisions)
        self._index = {one.clip_id: n for n, one in enumerate(self.queue)}
        self._standings = Standings(self.queue, decisions, lambda one: self._details.of(one.unit, one.clip_id).faces)
        self._leases = Leases()
        self._seen: dict[str, dict[str, int]] = {}
        """Tab -> clip id -> decisions about it when the tab was shown it last."""
        self._last = max((one.decided_at for one in decisions), default=datetime.fromtimestamp(0, UTC))
        self._lock = threading.RLock()
        self.made: list[Decision] = []
        """Since the server was started."""

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._index

    def __getitem__(self, clip_id: str) -> Queued:
        """The place of a clip in the queue."""
        return self.queue[self._index[clip_id]]

    def standing(self, clip_id: str) -> Standing:
        """How a clip stands now."""
        with self._lock:
            return self._standings[clip_id]

    def tally(self) -> Tally:
        """How far the review is."""
        with self._lock:
            return self._standings.tally()

    def detail(self, clip_id: str) -> ClipDetail:
        """All that the page tells of a clip.

        Raises:
            InputError: it is not there any more, or is not what it was when the server was started.
        """
        detail = self._details.of(self[clip_id].unit, clip_id)
        if detail.fingerprint != self[clip_id].fingerprint:
            raise InputError(f"{clip_id} was built anew since", "Stop the review (Ctrl-C) and start it again")
        return detail

    def shown(self, clip_id: str) -> int:
        """Position of the frame to show of a clip: where every frame is asked for, the first that was not accepted."""
        review = self.standing(clip_id).review
        if review.every_frame:
            waiting = (p for p in self.detail(clip_id).positions if p not in review.accepted)
            return next(waiting, self[clip_id].position)
        return self[clip_id].position

    def hold(self, clip_id: str, tab: str) -> bool:
        """Note that a tab works on a clip. False where another one does."""
        with self._lock:
            return self._leases.take(clip_id, tab)

    def showed(self, clip_id: str, tab: str, n_decisions: int) -> None:
        """Note what a tab was shown: the first `n_decisions` about a clip."""
        with self._lock:
            self._seen.setdefault(tab, {})[clip_id] = n_decisions

    def leave(self, tab: str) -> None:
        """A tab was closed or goes elsewhere: its clip may be handed to another."""
        with self._lock:
            self._leases.free(tab)

    def n_stale(self) -> int:
        """Decisions about earlier results of their clips."""
        with self._lock:
            return self._standings.n_stale()

    def waiting(self, tab: str, after: str | None = None, take: bool = True) -> str | None:
        """The next clip of the queue that waits for a person and that no other tab has.

        Args:
            after: start behind this clip, and come round to it.
            take: it is the tab's from now on.
        """
        with self._lock:
            start = 0 if after is None else self._index[after] + 1
            for one in (*self.queue[start:], *self.queue[: max(0, start - 1)]):
                if not self._standings[one.clip_id].settled and not self._leases.held_by_another(one.clip_id, tab):
                    if take:
                        self._leases.take(one.clip_id, tab)
                    return one.clip_id
            return None

    def beside(self, clip_id: str, step: int) -> str | None:
        """The clip before (-1) or after (1) one in the queue."""
        n = self._index[clip_id] + step
        return self.queue[n].clip_id if 0 <= n < len(self.queue) else None

    def decide(self, wish: Wish, reviewer: str) -> Outcome:
        """Take a decision.

        Raises:
            InputError: it makes no sense here; nothing was written.
            DiskFullError: nothing was written.
        """
        with self._lock:
            self._leases.take(wish.clip_id, wish.tab)
            decisions = self._standings[wish.clip_id].decisions
            label = wish.action in ("label", "mark", "unmark")
            if wish.seen != len(decisions):
                who = decisions[-1].reviewer if decisions else "somebody"
                said = f"{who} has decided on this clip meanwhile. Nothing of yours was written; this is how it stands."
                return Outcome(said, wish.clip_id, wish.position, label, conflict=True)
            detail = self.detail(wish.clip_id)
            if wish.position not in detail.paths:
                raise InputError(f"{wish.clip_id} has no frame {wish.position}", "Reload the page")
            clips = detail.of_video if label and wish.all_of_video else (wish.clip_id,)
            meant = {clip_id: made for clip_id in clips if (made := self._meant(wish, clip_id))}
            unseen = {clip_id: one for clip_id in meant if (one := self._unseen(wish, clip_id)) is not None}
            rows = [(clip_id, one) for clip_id in meant if clip_id not in unseen for one in meant[clip_id]]
            if rows:
                self._write(detail.unit, wish.tab, reviewer, rows)
            outcome = self._after(wish, [one for _, one in rows], len({clip_id for clip_id, _ in rows}))
            return replace(outcome, said=f"{outcome.said} {said_of_left(unseen)}") if unseen else outcome

    def undo(self, tab: str, reviewer: str) -> Outcome:
        """Take back what this tab decided last.

        Raises:
            InputError: there is nothing to take back.
            DiskFullError: nothing was written.
        """
        with self._lock:
            batch = self._standings.last(tab)
            if not batch:
                raise InputError(
                    "this tab has nothing left to take back",
                    "Another tab takes back its own; a, e and x, pressed again, take back anybody's",
                )
            first = batch[0]
            self._write(self[first.clip_id].unit, tab, reviewer, [(one.clip_id, one) for one in batch])
            self._leases.take(first.clip_id, tab)
            what = f"{len(batch)} decisions" if len(batch) > 1 else f"“{first.action}”"
            position = self.shown(first.clip_id) if first.position is None else first.position
            label = first.action in ("label", "mark", "unmark")
            return Outcome(f"Took back {what}.", first.clip_id, position, label)

    def _unseen(self, wish: Wish, clip_id: str) -> Decision | None:
        """What another tab decided of the same matter, and this one was not shown. It is nobody's to overwrite."""
        standing = self._standings[clip_id]
        known = standing.decisions[: self._seen.get(wish.tab, {}).get(clip_id, 0)]
        seen = {one.decision_id for one in known}
        theirs = (one for one in standing.review.counting if one.session != wish.tab and one.decision_id not in seen)
        last = [one for one in theirs if same_matter(one, wish)][-1:]
        return last[0] if last and clip_id != wish.clip_id else None

    def _meant(self, wish: Wish, clip_id: str) -> Sequence[Meant | Decision]:
        detail, review = self.detail(clip_id), self._standings[clip_id].review
        if wish.take_back:
            return taken_back_by(wish, review)
        boxes = boxes_of(detail.faces, review, wish.position)
        size_px = self._size_px(detail, wish.position) if wish.action == "draw" else (0, 0)
        return meant_by(wish, boxes, review, size_px, detail.city, self._known_city)

    def _known_city(self, city: str) -> str:
        try:
            return self.places.find(city).city
        except InputError as exc:
            raise InputError(exc.message, "Choose one of the list; `--taxonomy FILE` brings others") from exc

    def _write(self, unit: str, tab: str, reviewer: str, made: Sequence[tuple[str, Meant | Decision]]) -> None:
        """One batch: all of it or none, at one time that is later than all before."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        rows = []
        for clip_id, one in made:
            base = (clip_id, self[clip_id].fingerprint, reviewer, tab, self._last, new_id())
            if isinstance(one, Decision):
                rows.append(Decision("undo", *base, undoes=one.decision_id))
            else:
                rows.append(Decision(one.action, *base, one.position, one.box, one.value))
        self.log.append(unit, rows)
        self._standings.add(rows)
        self.made += rows

    def _after(self, wish: Wish, made: Sequence[Meant | Decision], n_clips: int) -> Outcome:
        """What to show after a decision: the next clip where this one is done with, else what is left of it."""
        label = wish.action in ("label", "mark", "unmark")
        said = said_of(wish, made, n_clips)
        if wish.take_back or wish.action not in ("accept", "drop"):
            return Outcome(said, wish.clip_id, wish.position, label)
        standing = self._standings[wish.clip_id]
        if not standing.settled:
            position = self.shown(wish.clip_id)
            if not standing.review.every_frame:
                said += f" Frame {position + 1} still waits."
            return Outcome(said, wish.clip_id, position)
        after = self.waiting(wish.tab, wish.clip_id)
        return Outcome(said, after, 0 if after is None else self.shown(after))
