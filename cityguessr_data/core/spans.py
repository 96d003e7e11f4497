"""Which frames make a clip and which of them are kept: pure arithmetic, the rules of the data set (paper, section 3).

"Long videos of 10-20 minutes [...] split into numerous clips with 800-900 frames, out of which 100 frames are sampled."
"""

from __future__ import annotations

from dataclasses import dataclass

_SAME_MOMENT_S = 0.001
"""Times of one moment differ by so much at most: some containers count whole milliseconds."""


@dataclass(frozen=True)
class Span:
    """A run of frames of a source video, and when they are shown."""

    start_frame: int
    end_frame: int
    """Exclusive."""
    start_s: float | None = None
    """From the video's first frame; None where it is not known, or must not be compared."""
    end_s: float | None = None
    """When the frame after the last is shown."""

    def meets(self, other: Span) -> bool:
        """Whether the two share a moment, where both have their seconds; else whether they share a frame number."""
        if self.start_s is None or self.end_s is None or other.start_s is None or other.end_s is None:
            return self.start_frame < other.end_frame and other.start_frame < self.end_frame
        return self.start_s < other.end_s - _SAME_MOMENT_S and other.start_s < self.end_s - _SAME_MOMENT_S


def plan_clips(n_frames: int, min_frames: int = 800, max_frames: int = 900) -> list[tuple[int, int]]:
    """Cut a span of `n_frames` into clips, one after the other from its start.

    k = n_frames // min_frames clips of min(max_frames, n_frames // k) frames each; the tail belongs to no clip.

    Returns:
        [(first frame relative to the span, number of frames), ...]; empty where the span is shorter than one clip.
    Raises:
        ValueError: a negative length, or limits that are not 1 <= min_frames <= max_frames.
    """
    if not 1 <= min_frames <= max_frames:
        raise ValueError(f"expected 1 <= min_frames <= max_frames, got {min_frames} and {max_frames}")
    if n_frames < 0:
        raise ValueError(f"expected a number of frames, got {n_frames}")
    k = n_frames // min_frames
    if k == 0:
        return []
    length = min(max_frames, n_frames // k)
    return [(i * length, length) for i in range(k)]


def sample_offsets(n_frames: int, samples: int = 100) -> list[int]:
    """Offsets in a clip of `n_frames` frames of its sampled frames: position p is frame p * n_frames // samples.

    Raises:
        ValueError: fewer frames than samples (a frame would be taken twice).
    """
    if not 1 <= samples <= n_frames:
        raise ValueError(f"expected 1 <= samples <= frames of the clip, got {samples} of {n_frames}")
    return [p * n_frames // samples for p in range(samples)]
