"""The workers of a Ray cluster: as many as there is room for, heard all at once, replaced where they or nodes die."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import CgtoolError, ErrorClass, MachineError, StopError
from .compute import Failed, Staged
from .executor import Fetched
from .ray_seat import Seat, told
from .ray_shape import Shape
from .stage import Step

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
    """

    def __init__(
        self, seat: Callable[[Shape], Seat], shape: Callable[[], Shape], most: int, said: Callable[[str], None]
    ) -> None:
        self._new_seat = seat
        self._shape = shape
        self._most = most
        self._said = said
        self._seats: list[Seat] = []
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
            MachineError: a node cannot do this work. StopError: a disk is full, or the cluster has no worker left.
        """
        import ray
        from ray.exceptions import RayError

        asked = {seat.ref: seat for seat in self._seats if seat.ref is not None}
        if not asked:
            time.sleep(_POLL_S)
        else:
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
                seat.answer(value)
                if starting and seat.ready:
                    self._failed_starts = 0
        outcomes: list[Staged | Failed] = list(self._ended)
        self._ended.clear()
        outcomes += [outcome for seat in self._seats if (outcome := self._outcome(seat)) is not None]
        self._look_after()
        return outcomes

    def close(self) -> None:
        """See Workers.close; waits until the nodes have ended their processes, so that nobody writes any more."""
        import ray
        from ray.exceptions import RayError

        ends = []
        for seat in self._seats:
            seat.lost()
            if seat.about is not None:
                with contextlib.suppress(RayError):
                    ends.append(seat.actor.end.remote())
        try:
            if ends:
                ray.wait(ends, num_returns=len(ends), timeout=_END_S)
        finally:
            for seat in self._seats:
                _kill(seat.actor)
            self._seats.clear()

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
            if idle < videos:
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
        _kill(seat.actor)
        if not seat.ready or seat.about is None:
            self._failed_starts += 1
            if self._failed_starts >= _LOSSES:
                if not any(other.ready for other in self._seats):
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

    def _look_after(self) -> None:
        """Give up workers that are silent; stop where none has been at hand for long."""
        now = time.monotonic()
        for seat in [s for s in self._seats if s.about is not None and s.ref is not None]:
            if now - seat.asked_s > _SILENT_S:
                self._lose(seat, f"it has not answered for {_SILENT_S:.0f} s")
        if any(seat.about is not None for seat in self._seats) or not self._seats:
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


def _kill(actor: Any) -> None:
    """End an actor, where it or its node still lives."""
    import ray
    from ray.exceptions import RayError

    with contextlib.suppress(RayError, ValueError):
        ray.kill(actor, no_restart=True)
