"""Where a sample is worked on: faces are drawn without ours in sight, then the frame is closed and ours are shown.

Each box is on the disk before the page says so. A frame that is closed takes no box any more: whoever has seen ours
would draw other ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ..core.errors import InputError, MediaError
from ..run.parts import encode_jpeg
from ..run.store import Store
from ..vision.agreement import iou
from .decisions import Action, Box, Decision, DecisionLog, new_id
from .details import ClipDetail, Details
from .faces import as_built
from .frames import Frames
from .recall import LookedFrame, judge
from .recall_report import FrameSeen, as_boxes, clip_rows, frame_seen, is_present, looked_frame
from .sample import Sample, SampledFrame
from .state import ClipReview, review_of
from .wishes import meant_by, wish_of

_SAME_FACE_IOU = 0.7
_HANDED_OUT_S = 300.0
"""A frame that one tab was given is not given to another for so long."""
_QUALITY = 90

Kind = Literal["drawn", "found", "hidden", "missed", "ours", "false"]
_WORDS: dict[Kind, str] = {
    "drawn": "drawn by you",
    "found": "drawn by you, found",
    "hidden": "drawn by you, no box of its own, but under blur",
    "missed": "drawn by you, missed",
    "ours": "blurred by cgtool, a face",
    "false": "blurred by cgtool, where you drew none",
}


@dataclass(frozen=True)
class SampleBox:
    """One box over a frame, as stage.html.j2 takes it; `number` counts from 1 within the person's boxes or ours."""

    number: int
    box: Box
    kind: Kind

    @property
    def name(self) -> str:
        """For a screen reader."""
        x0, y0, x1, y1 = self.box
        where = f"{x1 - x0:.0f} by {y1 - y0:.0f} px at {x0:.0f}, {y0:.0f}"
        return f"{'box' if self.kind in ('ours', 'false') else 'face'} {self.number}, {where}, {_WORDS[self.kind]}"

    @property
    def tag(self) -> str:
        """Beside the box."""
        return {"drawn": f"{self.number}", "ours": "", "false": "no face?"}.get(self.kind, self.kind)


class SampleDesk:
    """The frames of a sample, what was drawn in them, and what became of it. May be shared by threads."""

    def __init__(
        self,
        store: Store,
        sample: Sample,
        frames: Frames,
        finished: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            finished: is set once the last page was shown.
        Raises:
            InputError: the decisions that lie there are about another data set.
        """
        self.store, self.sample, self.frames = store, sample, frames
        self.log = DecisionLog(store)
        self.finished = finished or threading.Event()
        self._details = Details(store)
        self._clock = clock
        self._lock = threading.RLock()
        units = {frame.unit for frame in sample.frames}
        self._decisions = {unit: self.log.read(unit) for unit in units}
        clips = {unit: clip_rows(store, unit) for unit in units}
        self._gone = {n for n, one in enumerate(sample.frames) if not is_present(one, clips[one.unit])}
        self._unshown: dict[int, str] = {}
        """Frame -> why it cannot be shown."""
        self._shown: set[tuple[int, str]] = set()
        """(frame, reviewer) whose picture was sent as it was before blurring."""
        self._handed_out_s: dict[int, float] = {}
        times = [one.decided_at for rows in self._decisions.values() for one in rows]
        self._last = max(times, default=datetime.fromtimestamp(0, UTC))

    def frame(self, n: int) -> SampledFrame:
        """The frame at a place of the sample, from 0.

        Raises:
            InputError: there is none.
        """
        if not 0 <= n < len(self.sample.frames) or n in self._gone:
            raise InputError(f"the sample has no frame {n + 1} any more", "Go to the next one")
        return self.sample.frames[n]

    def detail(self, n: int) -> ClipDetail:
        """The clip of a frame."""
        frame = self.frame(n)
        return self._details.of(frame.unit, frame.clip_id)

    def seen(self, n: int) -> FrameSeen:
        """What was drawn in a frame, and whether it is closed."""
        frame = self.frame(n)
        with self._lock:
            return frame_seen(self._decisions[frame.unit], frame)

    @property
    def n_looked(self) -> int:
        """Frames that are closed."""
        with self._lock:
            return sum(self.seen(n).looked for n in range(len(self.sample.frames)) if n not in self._gone)

    @property
    def n_frames(self) -> int:
        """Frames that are still what they were when the sample was drawn."""
        return len(self.sample.frames) - len(self._gone)

    @property
    def unshown(self) -> dict[int, str]:
        """Frames that could not be shown unblurred, and why."""
        with self._lock:
            return dict(self._unshown)

    def next(self) -> int | None:
        """The first frame that nobody has closed and no tab was given just now; None when all are closed."""
        with self._lock:
            waiting = [
                n
                for n in range(len(self.sample.frames))
                if n not in self._gone and n not in self._unshown and not self.seen(n).looked
            ]
            if not waiting:
                return None
            now = self._clock()
            free = [n for n in waiting if self._handed_out_s.get(n, -_HANDED_OUT_S) + _HANDED_OUT_S <= now]
            chosen = free[0] if free else min(waiting, key=lambda n: self._handed_out_s[n])
            self._handed_out_s[chosen] = now
            return chosen

    def jpeg(self, n: int, reviewer: str) -> bytes:
        """The frame as it was before blurring; a closed one as it can still be had. From then on it can be closed.

        Args:
            reviewer: to whom it is shown.
        Raises:
            MediaError: it cannot be shown; it is not handed out again.
        """
        frame = self.frame(n)
        if self.seen(n).looked:
            return self.frames.jpeg(self.detail(n), frame.position)
        why = self.frames.unblurred.why_none(frame.unit, frame.clip_id)
        try:
            if why is not None:
                raise MediaError(why, "Go to the next frame")
            rgb = self.frames.unblurred.frame(frame.unit, frame.clip_id, frame.position)
        except MediaError as exc:
            with self._lock:
                self._unshown[n] = exc.message
            raise
        picture = encode_jpeg(rgb, _QUALITY)
        with self._lock:
            self._shown.add((n, reviewer))
        return picture

    def draw(self, n: int, sent: Mapping[str, Any], reviewer: str) -> None:
        """Note a face that a person has drawn.

        Args:
            sent: `tab`, and `rect`: four numbers in px of the saved frame.
        Raises:
            InputError: no such box, a face that has one, or a closed frame; nothing was written.
            DiskFullError: nothing was written.
        """
        frame = self.frame(n)
        fixed = {"action": "draw", "clip": frame.clip_id, "seen": 0, "frame": frame.position}
        wish = wish_of({"tab": sent.get("tab"), "rect": sent.get("rect"), **fixed})
        size_px = self.frames.size_px(self.detail(n), frame.position)
        box = meant_by(wish, [], ClipReview(), size_px, "", str)[0].box
        assert box is not None
        with self._lock:
            drawn = [other for _, other in self._open(n).drawn]
            if drawn and iou(as_boxes([box]), as_boxes(drawn)).max() >= _SAME_FACE_IOU:
                raise InputError("this face has a box already", "Undo that one to draw it anew")
            self._write(frame, wish.tab, reviewer, [("drawn", box, None)])

    def undo(self, n: int, tab: str, reviewer: str) -> None:
        """Take back the box that was drawn last in a frame.

        Raises:
            InputError: there is none, or the frame is closed.
            DiskFullError: nothing was written.
        """
        with self._lock:
            drawn = self._open(n).drawn
            if not drawn:
                raise InputError("nothing is drawn in this frame", "Draw the faces you see")
            self._write(self.frame(n), tab, reviewer, [("undo", None, drawn[-1][0])])

    def finish(self, n: int, tab: str, reviewer: str) -> None:
        """Close a frame: every face that the person sees is drawn.

        Raises:
            InputError: it is closed already, or was not shown unblurred to this reviewer since the page was opened.
            DiskFullError: nothing was written.
        """
        with self._lock:
            self._open(n)
            if n in self._unshown:
                raise InputError("this frame could not be shown", "Go to the next one")
            if (n, reviewer) not in self._shown:
                raise InputError("this frame was not shown yet", "Wait for its picture, or load the page again")
            self._write(self.frame(n), tab, reviewer, [("looked", None, None)])

    def compared(self, n: int) -> list[SampleBox]:
        """Ours beside theirs, ours first; of a frame that is not closed, theirs alone."""
        seen = self.seen(n)
        if not seen.looked:
            return [SampleBox(k, box, "drawn") for k, (_, box) in enumerate(seen.drawn, 1)]
        looked = self._looked(n, seen)
        judged = judge(looked)
        ours: list[SampleBox] = []
        for k, (box, true) in enumerate(zip(looked.blurred.tolist(), judged.true, strict=True), 1):
            ours.append(SampleBox(k, tuple(box), "ours" if true else "false"))
        theirs: list[SampleBox] = []
        for k, (_, box) in enumerate(seen.drawn, 1):
            kind: Kind = "found" if judged.found[k - 1] else "hidden" if judged.hidden[k - 1] else "missed"
            theirs.append(SampleBox(k, box, kind))
        return [*ours, *theirs]

    def to_blur(self, n: int) -> list[Box]:
        """Drawn faces of a closed frame that have no box of ours and that nobody has asked to blur yet."""
        frame = self.frame(n)
        missed = [one.box for one in self.compared(n) if one.kind in ("missed", "hidden")]
        with self._lock:
            decisions = [one for one in self._decisions[frame.unit] if one.clip_id == frame.clip_id]
        asked = review_of(decisions, frame.fingerprint).drawn
        return [box for box in missed if (frame.position, box) not in asked]

    def blur_missed(self, n: int, tab: str, reviewer: str) -> int:
        """Decide that the missed faces of a closed frame are to be blurred; `review --apply` does it. Returns how many.

        Raises:
            InputError: the frame is not closed.
            DiskFullError: nothing was written.
        """
        with self._lock:
            if not self.seen(n).looked:
                raise InputError("this frame is not finished", "Draw every face you see first")
            boxes = self.to_blur(n)
            if boxes:
                self._write(self.frame(n), tab, reviewer, [("draw", box, None) for box in boxes])
            return len(boxes)

    def _open(self, n: int) -> FrameSeen:
        seen = self.seen(n)
        if seen.looked:
            raise InputError("this frame is finished, and ours were shown: it takes no box any more", "Go to the next")
        return seen

    def _looked(self, n: int, seen: FrameSeen) -> LookedFrame:
        frame = self.frame(n)
        faces = [row for row in as_built(self.store, frame.unit).to_pylist() if row["clip_id"] == frame.clip_id]
        return looked_frame(frame, seen, clip_rows(self.store, frame.unit)[frame.clip_id], faces)

    def _write(
        self, frame: SampledFrame, tab: str, reviewer: str, made: list[tuple[Action, Box | None, str | None]]
    ) -> None:
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        rows = [
            Decision(
                action, frame.clip_id, frame.fingerprint, reviewer, tab, self._last, new_id(), frame.position, box,
                undoes=undoes,
            )
            for action, box, undoes in made
        ]  # fmt: skip
        self.log.append(frame.unit, rows)
        self._decisions[frame.unit] += rows
