"""Which frames make a clip and which of them are kept: pure arithmetic, the rules of the data set (paper, section 3).

"Long videos of 10-20 minutes [...] split into numerous clips with 800-900 frames, out of which 100 frames are sampled."
"""

from __future__ import annotations


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
