"""Cuts a video into clips and samples their frames, in one decoding pass (paper, section 3).

The clips are planned from the packets, before anything is decoded. If decoding then ends early, the clip under way is
sampled again over the frames it has, where these are enough for a clip; clips before it are as they were.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..core.errors import InputError, MediaError
from ..core.spans import Span, plan_clips, sample_offsets
from ..core.threads import worker_threads
from ..core.types import Clip, LocalVideo, SampledFrame, SourceRow
from ..media.decode import DecodeBreak, VideoIndex, decode, index_video
from ..run.stage import ALIVE, DropVideo, VideoJob
from ..run.take_out_unit import ALL_CLIPS


@dataclass(frozen=True)
class ClipConfig:
    """How videos become clips. Defaults are the paper's."""

    min_frames: int = 800
    """A clip has at least so many decoded frames."""
    max_frames: int = 900
    samples: int = 100
    """Frames kept of a clip."""
    min_duration_s: float | None = None
    """Shorter videos are dropped."""
    max_duration_s: float | None = None
    """Longer videos are dropped."""
    min_height_px: int | None = None
    """Videos less high (as shown) are dropped."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_frames <= self.max_frames:
            raise InputError(
                f"clips of {self.min_frames}-{self.max_frames} frames cannot be", "Give --clip-frames as LOW-HIGH"
            )
        if not 1 <= self.samples <= self.min_frames:
            raise InputError(
                f"{self.samples} samples cannot be taken from clips of {self.min_frames} frames",
                "Give fewer --samples or longer --clip-frames",
            )


def plan_video(
    video_id: str, rows: Sequence[SourceRow], index: VideoIndex, config: ClipConfig
) -> tuple[list[Clip], int]:
    """The clips of a video's spans, numbered by start over all of them, and the frames of spans that no clip has.

    A row with a `clip_index` is one clip of that number, or none where its span no longer has the frames of one: a
    source may have changed since the row was written, and another clip must not take its place.
    """
    clips: list[Clip] = []
    tail_frames = 0
    for row in rows:
        start = 0 if row.start_s is None else index.frame_at(row.start_s)
        end = index.info.n_frames if row.end_s is None else index.frame_at(row.end_s)
        plan = plan_clips(max(0, end - start), config.min_frames, config.max_frames)
        if row.clip_index is not None and len(plan) != 1:
            plan = []
        for offset, length in plan:
            number = len(clips) if row.clip_index is None else row.clip_index
            clips.append(timed(Clip(video_id, number, start + offset, length, row.place), index))
        tail_frames += max(0, end - start) - sum(length for _, length in plan)
    return clips, tail_frames


def without(clips: Sequence[Clip], removed: Sequence[Span]) -> list[Clip]:
    """The clips, with their times, that share nothing with the removed spans; they keep their numbers."""
    spans = [Span(clip.start_frame, clip.end_frame, clip.start_s, clip.end_s) for clip in clips]
    return [clip for clip, span in zip(clips, spans, strict=True) if not any(span.meets(one) for one in removed)]


def timed(clip: Clip, index: VideoIndex) -> Clip:
    """`clip` with the times its frames have."""
    return replace(clip, start_s=index.time_of(clip.start_frame), end_s=index.time_of(clip.end_frame))


_MOST_THREADS = 8
"""Of a decoder: each holds frames, 25 MB of 4K. It gets half of the worker's share: the networks keep the rest busy."""


class ClipStage:
    """LocalVideo -> SampledFrame, clip after clip.

    Args:
        clips_folder: where to keep each clip as a video file (`--keep-clips`), or None.
    """

    name = "clip"
    version = 1
    lane = "decode"

    def __init__(self, config: ClipConfig, clips_folder: Path | None = None) -> None:
        self.config = config
        self.clips_folder = clips_folder

    def open(self) -> None:
        """Nothing to load."""

    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def run(self, job: VideoJob, items: Iterator[LocalVideo]) -> Iterator[SampledFrame]:
        """See Stage.run.

        Raises:
            MediaError: not a video, or one that breaks before its first clip is whole.
            DropVideo: too short for one clip, outside the limits on duration and height, or every clip was removed.
        """
        for source in items:
            index = index_video(source.path, partial(job.tick, *ALIVE))
            job.media = index.info
            self._check_limits(index)
            clips, job.tail_frames = plan_video(job.task.video_id, job.task.rows, index, self.config)
            if not clips:
                self._refuse(index)
            planned = len(clips)
            clips = without(clips, job.task.removed)
            if not clips:
                raise DropVideo("removed", ALL_CLIPS)
            job.expect(clips[-1].end_frame, len(clips) * self.config.samples)
            whole = yield from self._frames(job, source.path, clips, index)
            if index.fault and "clip" not in job.faults:
                job.faults["clip"] = ("bad-media", index.fault)
            if not whole:
                raise MediaError(f"no clip could be decoded: {job.faults['clip'][1]}")
            job.notes["clip"] = (
                f"{len(whole)} clips of {whole[0].n_frames} frames; tail of {job.tail_frames} frames left out"
                + (f"; {planned - len(clips)} clips left out that were removed" if planned > len(clips) else "")
            )
            if self.clips_folder is not None:
                from ..media.clip_files import write_clip_files

                write_clip_files(source.path, whole, self.clips_folder, partial(job.tick, *ALIVE))

    def _frames(
        self, job: VideoJob, path: Path, clips: list[Clip], index: VideoIndex
    ) -> Generator[SampledFrame, None, list[Clip]]:
        """Yield the sampled frames of `clips`; return the clips that are whole."""
        try:
            yield from self._sampled(job, path, clips, index)
            return clips
        except DecodeBreak as exc:
            broken = exc
            whole = [clip for clip in clips if clip.end_frame <= broken.n_decoded]
            cut = next((c for c in clips if c.start_frame < broken.n_decoded < c.end_frame), None)
            job.cut = cut
            job.faults["clip"] = ("bad-media", str(broken))
        if cut is not None and broken.n_decoded - cut.start_frame >= self.config.min_frames:
            shorter = timed(replace(cut, n_frames=broken.n_decoded - cut.start_frame), index)
            try:
                yield from self._sampled(job, path, [shorter], index)
                whole.append(shorter)
            except DecodeBreak as again:  # the same file broke elsewhere this time: nothing of it can be relied on
                raise MediaError(f"decoding broke at two different places: {broken}; {again}") from again
        job.lost_clips = len(clips) - len(whole)
        return whole

    def _sampled(self, job: VideoJob, path: Path, clips: Sequence[Clip], index: VideoIndex) -> Iterator[SampledFrame]:
        places = {
            clip.start_frame + offset: (clip, position)
            for clip in clips
            for position, offset in enumerate(sample_offsets(clip.n_frames, self.config.samples))
        }
        seen = 0
        threads = min(_MOST_THREADS, max(1, worker_threads() // 2))
        for frame in decode(path, places, clips[-1].end_frame, index, threads, partial(job.tick, *ALIVE)):
            job.tick("decode", frame.index + 1 - seen)
            seen = frame.index + 1
            clip, position = places[frame.index]
            yield SampledFrame(clip, position, frame.index, frame.time_s, frame.rgb)

    def _check_limits(self, index: VideoIndex) -> None:
        info, config = index.info, self.config
        if config.min_duration_s is not None and info.duration_s < config.min_duration_s:
            raise DropVideo("too-short", f"{info.duration_s:.1f} s, at least {config.min_duration_s:g} s are asked for")
        if config.max_duration_s is not None and info.duration_s > config.max_duration_s:
            raise DropVideo("too-long", f"{info.duration_s:.1f} s, at most {config.max_duration_s:g} s are asked for")
        if config.min_height_px is not None and info.height < config.min_height_px:
            raise DropVideo("too-small", f"{info.height} px high, at least {config.min_height_px} px are asked for")

    def _refuse(self, index: VideoIndex) -> None:
        if index.fault:
            raise MediaError(f"{index.fault}, before one clip of {self.config.min_frames} frames was whole")
        raise DropVideo("too-short", f"{index.info.n_frames} frames, a clip needs {self.config.min_frames} in its span")
