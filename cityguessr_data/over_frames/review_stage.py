"""Blurs the frames of a unit anew that its review changed, from the source or, to add a box, from the saved frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import MediaError
from ..core.frame_files import FrameFiles, is_under
from ..core.threads import worker_threads
from ..core.types import AnonymisedFrame, LocalVideo
from ..media.pictures import read_picture
from ..review.decisions import Box, DecisionLog
from ..review.unblurred import Unblurred
from ..run.stage import ALIVE, VideoJob
from ..run.store import Store, read_part
from ..vision.blur import BlurConfig, blur_boxes
from .read_stage import UNASKED, NamedClip
from .review_plan import PlaceOf, UnitPlan, plan_unit
from .units import check_clip_id

if TYPE_CHECKING:
    from ..core.types import RGB


@dataclass(frozen=True)
class ReviewConfig:
    """What stage and writer must know."""

    out: Path
    blur: BlurConfig
    """As recorded when the data set was built."""
    jpeg_quality: int
    place_of: PlaceOf

    @cached_property
    def unblurred(self) -> Unblurred:
        """One a process: it holds what it has read of caches and sources."""
        return Unblurred(Store(self.out))

    def plan(self, unit: str) -> UnitPlan:
        """Of a unit, as it is committed now."""
        store = Store(self.out)
        return plan_unit(store, DecisionLog(store), self.unblurred, unit, self.place_of)


class ReblurStage:
    """LocalVideo (unused) -> AnonymisedFrame, the changed ones only, clip after clip by position."""

    name = "reblur"
    version = 1
    lane = "decode"

    def __init__(self, config: ReviewConfig) -> None:
        self.config = config

    def open(self) -> None:
        """Nothing to load."""

    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def run(self, job: VideoJob, items: Iterator[LocalVideo]) -> Iterator[AnonymisedFrame]:
        """See Stage.run.

        Raises:
            MediaError: a frame of the source cannot be decoded, or a saved one is missing or was changed.
        """
        store, unit = Store(self.config.out), job.task.video_id
        for _ in items:
            plan = self.config.plan(unit)
            job.expect(plan.n_frames, plan.n_frames)
            changes = {(clip.clip_id, at): change for clip in plan.clips for at, change in clip.frames.items()}
            sizes = {clip.clip_id: clip.row["n_sampled"] for clip in plan.clips}
            from_source = [place for place, change in changes.items() if change.from_source]
            saved = self._saved(store, unit, set(changes) - set(from_source))
            alive = partial(job.tick, *ALIVE)
            decoded = self.config.unblurred.frames(unit, from_source, worker_threads(), alive)
            for place, rgb in itertools.chain(saved, decoded):
                yield self._blurred(job, place, rgb, changes[place].boxes, sizes)

    def _saved(self, store: Store, unit: str, places: set[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], RGB]]:
        """The saved frames of these places, which are blurred already."""
        if not places:
            return
        files = FrameFiles(store.out)
        for row in read_part(store.part("frames", unit), ["clip_id", "position", "path", "sha256"]).to_pylist():
            if (row["clip_id"], row["position"]) in places:
                if not is_under(row["path"]):
                    raise MediaError(
                        f"{row['clip_id']} is not anonymised: its frame lies at {row['path']}",
                        f"Run `cgtool anonymise {store.out}` first",
                    )
                rgb = read_picture(files, row["path"], row["sha256"])
                yield (row["clip_id"], row["position"]), rgb

    def _blurred(
        self, job: VideoJob, place: tuple[str, int], rgb: RGB, boxes: Sequence[Box], sizes: dict[str, int]
    ) -> AnonymisedFrame:
        blur_boxes(rgb, np.array(boxes, np.float64).reshape(-1, 4), self.config.blur)
        clip = NamedClip(job.task.video_id, 0, 0, sizes[place[0]], UNASKED, name=check_clip_id(place[0]))
        job.tick("decode", 1)
        return AnonymisedFrame(clip, place[1], 0, 0.0, rgb, ())
