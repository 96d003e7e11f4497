"""From a video file to the pixels that a run's model takes: clips by the data set's rule, decoded once, in order.

The rule is that of a build (core.spans): N // 800 clips of min(900, N // k) frames, 100 of each. Of these the run takes
as many as its pack stores, and of those, as in evaluation, the first of each equal stretch. A video shorter than one
clip, which a build leaves out, is taken whole as one clip.

Two things are not as in training. The frames of a data set went through a JPEG of quality 95, and faces in them are
blurred; here they come straight from the decoder and faces are as filmed. The detector would take most of the time and
needs weights that someone with a run alone does not have; at 224 px a blurred face is a few pixels; and the reason to
blur, that a frame is passed on, is not there: no frame is written or shown. To get the numbers of a data set's own
clips, blurred and compressed, use `evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.core.spans import plan_clips, sample_offsets

from ..loader import scored_choice
from ..pack.sampling import saved_positions
from ..pack.squeeze import squeezed
from ..run_config import DataConfig
from .results import ClipSpan

if TYPE_CHECKING:
    from cityguessr_data.media.decode import VideoIndex

Frames = npt.NDArray[np.uint8]
"""(T, 3, H, W) red, green, blue: what the model takes of one clip."""


@dataclass(frozen=True)
class ClipRule:
    """How a video is cut; defaults are the paper's, and those of a build."""

    min_frames: int = 800
    """A clip has at least so many frames, but for a video that has fewer itself."""
    max_frames: int = 900
    samples: int = 100
    """Frames of a clip that a data set keeps."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: one makes no sense.
        """
        if not 1 <= self.min_frames <= self.max_frames:
            raise ValueError(f"clips of {self.min_frames}-{self.max_frames} frames cannot be")
        if self.samples < 1:
            raise ValueError(f"expected 1 sampled frame or more, got {self.samples}")


def wanted_frames(n_frames: int, rule: ClipRule, data: DataConfig, key: int = 0) -> tuple[int, ...]:
    """Which frames of a clip the model takes, by their offset in it, in the model's order.

    Args:
        key: by which a random frame is drawn (data.pick).
    Raises:
        ValueError: the clip has too few.
    """
    saved = sample_offsets(n_frames, min(rule.samples, n_frames))
    stored = saved_positions(len(saved), data.stored_frames, data.sampling)
    return tuple(saved[stored[place]] for place in scored_choice(data.stored_frames, data, 0, key))


class ClipReader:
    """The clips of one file, decoded while it is iterated: each comes as `Frames`, in order.

    Attributes:
        taken: the clips that came so far.
        notes: what a reader of the answer must know: taken whole, cut short, broken.
    Raises:
        MediaError: on construction: no video, or fewer frames than the model takes.
        InputError: on construction: a rule that never gives enough.
    """

    def __init__(self, path: Path, data: DataConfig, rule: ClipRule | None = None) -> None:
        from cityguessr_data.media.decode import index_video

        self.path, self.data, self.rule = path, data, rule or ClipRule()
        self.index: VideoIndex = index_video(path)
        self.taken: list[ClipSpan] = []
        self.notes: list[str] = []
        self.planned = self._plan(self.index.info.n_frames)
        if self.index.fault:
            self.notes.append(self.index.fault)
        if self.planned[-1].n_frames < self.rule.min_frames:
            n = self.index.info.n_frames
            self.notes.append(f"its {n:,} frames are fewer than a clip's {self.rule.min_frames:,}: taken whole")

    def __iter__(self) -> Iterator[Frames]:
        """Yield uint8 (T, 3, size, size) a clip.

        Raises:
            MediaError: decoding ended before one clip was whole.
        """
        from cityguessr_data.media.decode import DecodeBreak

        try:
            yield from self._decoded(self.planned)
            return
        except DecodeBreak as exc:
            broken = exc
        # As in a build: the clip under way counts if it has enough frames by itself.
        if shorter := self._cut_short(broken.n_decoded):
            try:
                yield from self._decoded([shorter])
            except DecodeBreak as again:
                raise MediaError(f"{self.path.name}: decoding broke at two places: {broken}; {again}") from again
        if not self.taken:
            raise MediaError(f"{self.path.name}: {broken}, before one clip was whole", "Get the file again")
        self.notes.append(f"{broken}: {len(self.taken)} of {len(self.planned)} clips were looked at")

    def _plan(self, n_frames: int) -> list[ClipSpan]:
        spans = plan_clips(n_frames, self.rule.min_frames, self.rule.max_frames) or [(0, n_frames)]
        if not self._enough(spans[0][1]):
            least = next((n for n in range(self.data.stored_frames, self.rule.samples + 1) if self._enough(n)), None)
            if least is None:
                raise InputError(
                    f"{self.rule.samples} samples of a clip are too few for the {self.data.stored_frames} of the run",
                    "Give --samples as the run's data set was built",
                )
            raise MediaError(
                f"{self.path.name} has clips of {spans[0][1]:,} frames; the run's model needs {least:,} or more",
                "Give a longer video, or longer --clip-frames",
            )
        return [
            ClipSpan(start, start + length, self.index.time_of(start), self.index.time_of(start + length))
            for start, length in spans
        ]

    def _cut_short(self, n_decoded: int) -> ClipSpan | None:
        """The clip in which decoding broke, as long as it came; None where that is too short."""
        cut = next((span for span in self.planned if span not in self.taken), None)
        if cut is None or n_decoded <= cut.start_frame:
            return None
        shorter = replace(cut, end_frame=n_decoded, end_s=self.index.time_of(n_decoded))
        taken_whole = cut.n_frames < self.rule.min_frames
        fits = taken_whole or shorter.n_frames >= self.rule.min_frames
        return shorter if fits and self._enough(shorter.n_frames) else None

    def _enough(self, n_frames: int) -> bool:
        try:
            wanted_frames(n_frames, self.rule, self.data)
        except ValueError:
            return False
        return True

    def _decoded(self, spans: Sequence[ClipSpan]) -> Iterator[Frames]:
        """The clips of `spans`, each when all of it is decoded; what DecodeBreak leaves whole comes before it."""
        from cityguessr_data.media.decode import DecodeBreak, decode

        places = {
            span.start_frame + offset: (span, slot)
            for span in spans
            for slot, offset in enumerate(wanted_frames(span.n_frames, self.rule, self.data, span.start_frame))
        }
        size = (self.data.frames, 3, self.data.size_px, self.data.size_px)
        clip, under_way = np.empty(size, np.uint8), spans[0]
        try:
            for frame in decode(self.path, places, spans[-1].end_frame, self.index):
                span, slot = places[frame.index]
                if span != under_way:
                    self.taken.append(under_way)
                    yield clip
                    clip, under_way = np.empty(size, np.uint8), span
                clip[slot] = squeezed(frame.rgb, self.data.size_px).transpose(2, 0, 1)
        except DecodeBreak as exc:
            if exc.n_decoded < under_way.end_frame:  # its wanted frames may be there, but it is not whole
                raise
            self.taken.append(under_way)
            yield clip
            raise
        self.taken.append(under_way)
        yield clip
