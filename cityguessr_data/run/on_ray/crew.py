"""The workers of a Ray cluster: as many as there is room for, heard all at once, replaced where they or nodes die."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from ...core.errors import CgtoolError, ErrorClass, MachineError, StopError
from ..compute import Failed, Staged
from ..crew import NoNewWorkerError
from ..executor import Fetched
from ..stage import Step
from .loss import kill_actor, lost_cluster_stops, told
from .seat import Seat
from .shape import Shape

_POLL_S = 0.1
_LOOK_AGAIN_S = 5.0
"""How often the cluster is asked whether it has grown or shrunk."""
_SAY_AFTER_S = 15.0
ROOM_S = 900.0
"""A cluster that has had no room for a single worker for so long will have none: an autoscaler needs minutes."""
_SILENT_S = 120.0
"""A worker answers twice a second; one that has not for so long is given up, with its video."""
_LOSSES = 3
"""Videos whose worker is lost so often, with its node or for want of memory, may be the cause of it."""
_END_S = 10.0


class RayCrew:
    """See working_off.Workers.

    Args:
        seat: starts a worker with so many threads.
        shape: what the cluster has room for now; asked again and again.
        most: workers at most: the videos that there are.
        said: told where nothing goes on.
        at_once: ask for all workers as soon as there is a video, for an autoscaler to see; else for as many as there
            are videos at hand.
    """

    def __init__(
        self,
        seat: Callable[[Shape], Seat],
        shape: Callable[[], Shape],
        most: int,
        said: Callable[[str], None],
        *,
        at_once: bool = False,
    ) -> None:
        self._new_seat = seat
        self._shape = shape
        self._most = most
        self._said = said
        self._at_once = at_once
        self._seats: list[Seat] = []
        self._left_out: list[Seat] = []
        """Workers of nodes that are not fit. They hold their room there, so that no other is started in it."""
        self._has_been_fit = False
        """Whether a worker of this run has opened its stages: from then on the run is under way."""
        self._waiting = 0
        """Videos that wait for a worker."""
        self._again: deque[tuple[Fetched, str | None]] = deque()
        """Videos to do again, and the node that it should not be on."""
        self._losses: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._failed_starts = 0
        self._shape_now: Shape | None = None
        self._looked_s = 0.0
        self._room_s = time.monotonic()
        """When a worker was last at hand."""
        self._told = False
        self._ended: list[Failed] = []

    @property
    def busy(self) -> bool:
        """See Workers.busy."""
        return bool(self._again or self._ended) or any(seat.fetched for seat in self._seats)

    def assign(self, waiting: deque[Fetched], new_staging: Callable[[str], Path]) -> None:
        """See Workers.assign; what is done again comes first."""
        with lost_cluster_stops():
            self._assign(waiting, new_staging)
        self._waiting = len(waiting) + len(self._again)

    def _assign(self, waiting: deque[Fetched], new_staging: Callable[[str], Path]) -> None:
        if waiting or self._again:
            self._start_workers(len(waiting) + len(self._again))  # not before the first is at hand
        for _ in range(len(self._again)):
            fetched, elsewhere = self._again.popleft()
            free = self._free(elsewhere)
            if free is None:
                self._again.append((fetched, elsewhere))
            else:
                free.give(fetched, new_staging(fetched.item.task.video_id))
        while waiting and (free := self._free(None)) is not None:
            fetched = waiting.popleft()
            free.give(fetched, new_staging(fetched.item.task.video_id))

    def hear(self) -> list[Staged | Failed]:
        """See Workers.hear.

        Raises:
            MachineError: a node cannot do this work, and no other has begun it.
            StopError: a disk is full, or the cluster has no worker left, or has gone.
        """
        with lost_cluster_stops():
            self._hear()
            outcomes: list[Staged | Failed] = list(self._ended)
            self._ended.clear()
            outcomes += [outcome for seat in self._seats if (outcome := self._outcome(seat)) is not None]
            self._give_up_silent()
        if not outcomes:  # what is done is committed first
            self._see_to_room()
        return outcomes

    def _hear(self) -> None:
        import ray
        from ray.exceptions import RayError

        asked = {seat.ref: seat for seat in self._seats if seat.ref is not None}
        if not asked:
            time.sleep(_POLL_S)
            return
        refs = list(asked)
        ready, _ = ray.wait(refs, num_returns=1, timeout=_POLL_S)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            seat = asked[ref]
            try:
                value = ray.get(ref)
            except RayError as exc:
                cause = getattr(exc, "cause", None)
                if isinstance(cause, CgtoolError):
                    raise cause from exc
                self._lose(seat, told(exc))
                continue
            starting = not seat.ready
            try:
                seat.answer(value)
            except (MachineError, NoNewWorkerError) as exc:
                self._has_been_fit = self._has_been_fit or seat.fit
                self._leave_out(seat, exc)
                continue
            self._has_been_fit = self._has_been_fit or seat.fit
            if starting and seat.ready:
                self._failed_starts = 0

    def close(self) -> None:
        """See Workers.close; waits until the nodes have ended their processes, so that nobody writes any more."""
        import ray
        from ray.exceptions import RayError

        ends, seats = [], self._seats + self._left_out
        for seat in seats:
            seat.lost()
            if seat.about is not None:
                with contextlib.suppress(RayError):
                    ends.append(seat.actor.end.remote())
        try:
            if ends:
                with contextlib.suppress(StopError), lost_cluster_stops():  # it has gone: nobody is left to end
                    ray.wait(ends, num_returns=len(ends), timeout=_END_S)
        finally:
            for seat in seats:
                kill_actor(seat.actor)
            self._seats.clear()
            self._left_out.clear()

    def _free(self, elsewhere: str | None) -> Seat | None:
        """A worker that waits, on another node than `elsewhere` where there is one, which is waited for."""
        others = [s for s in self._seats if s.about is not None and s.about.node_id != elsewhere]
        return next((s for s in (others or self._seats) if s.free), None)

    def _start_workers(self, videos: int) -> None:
        if self._shape_now is None or time.monotonic() - self._looked_s >= _LOOK_AGAIN_S:
            self._shape_now, self._looked_s = self._shape(), time.monotonic()
        if self._failed_starts >= _LOSSES:
            return
        idle = sum(seat.fetched is None for seat in self._seats)  # also those that are starting
        for _ in range(min(self._shape_now.workers, self._most) - len(self._seats)):
            if self._at_once or idle < videos:
                self._seats.append(self._new_seat(self._shape_now))
                idle += 1

    def _outcome(self, seat: Seat) -> Staged | Failed | None:
        """What a worker's video came to, unless it is to be done once more."""
        outcome, fetched = seat.outcome, seat.fetched
        if outcome is None or fetched is None:
            return None
        seat.outcome = seat.fetched = None
        if isinstance(outcome, Failed) and outcome.worker_died:
            video_id = outcome.video_id
            self._deaths[video_id] += 1
            if self._deaths[video_id] == 1:
                self._again.append((fetched, seat.about.node_id if seat.about else None))
                return None
        return outcome

    def _lose(self, seat: Seat, why: str) -> None:
        """A worker is gone, with its node or alone. Its video is done again on another."""
        self._seats.remove(seat)
        self._shape_now = None
        fetched = seat.lost()
        kill_actor(seat.actor)
        if not seat.ready or seat.about is None:
            self._failed_starts += 1
            if self._failed_starts >= _LOSSES:
                if not self._has_been_fit and not any(other.ready for other in self._seats):
                    raise MachineError(
                        f"the workers of the cluster do not start ({why})",
                        "See that every node has this version of cgtool, or run `cgtool doctor` there",
                    )
                self._said(f"no more workers are started: {_LOSSES} did not start, the last with: {why}")
            return
        if fetched is None:
            return
        video_id = fetched.item.task.video_id
        self._losses[video_id] += 1
        if self._losses[video_id] < _LOSSES:
            self._said(f"a worker was lost on {seat.about.node}; {video_id} is done again")
            self._again.append((fetched, None))
            return
        message = f"the worker was lost on this video {_LOSSES} times ({why})"
        step = Step("compute", "failed", fetched.step.started_at, 0.0, ErrorClass.INTERNAL, message)
        item = fetched.item
        self._ended.append(Failed(video_id, item.fingerprint, ErrorClass.INTERNAL, message, (fetched.step, step)))

    def _leave_out(self, seat: Seat, why: MachineError | NoNewWorkerError) -> None:
        """Use a worker no more whose node is not fit. Its video, if it has one, is done again elsewhere.

        Raises:
            MachineError: `why`, where no other has begun: all nodes may be like that.
        """
        if not self._has_been_fit:
            raise why
        self._seats.remove(seat)
        if (fetched := seat.lost()) is not None:
            self._again.append((fetched, seat.about.node_id if seat.about else None))
        node = seat.about.node_id if seat.about else ""
        if not any(other.about and other.about.node_id == node for other in self._left_out):
            self._said(f"a node is left out: {why}")
        self._left_out.append(seat)

    def _give_up_silent(self) -> None:
        import ray

        for seat in [s for s in self._seats if s.about is not None and s.ref is not None]:
            if time.monotonic() - seat.asked_s <= _SILENT_S:
                continue
            if ray.wait([seat.ref], timeout=0)[0]:
                continue  # it has answered: this process was slow to ask, over another's files
            self._lose(seat, f"it has not answered for {_SILENT_S:.0f} s")

    def _see_to_room(self) -> None:
        """Stop where videos wait and no worker will come, or none has been at hand for long."""
        now = time.monotonic()
        waits = bool(self._waiting or self._again)
        if waits and not self._seats and self._failed_starts >= _LOSSES:
            raise StopError(
                f"no worker is left: {_LOSSES} did not start", "See to the nodes (`ray status`), and run it again"
            )
        if not waits or any(seat.about is not None for seat in self._seats):
            self._room_s, self._told = now, False
            return
        if now - self._room_s > ROOM_S:
            raise StopError(
                f"the cluster has had no room for a worker for {ROOM_S / 60:.0f} minutes",
                "See to its nodes (`ray status`), and run the same command again",
            )
        if now - self._room_s > _SAY_AFTER_S and not self._told:
            self._told = True
            self._said("no worker yet: waiting for the cluster to have room for one")
