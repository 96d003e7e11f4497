"""Near-duplicate clips of different source videos: one street filmed once and uploaded twice.

A split by source is blind to them. Clips are compared by the perceptual hashes of their saved frames alone, so that
no picture is read. Two clips of different videos are near-duplicates where, of the frames that are neither flat nor
common (phash_pairs.py), counted for the clip that has fewer of them,

1. at least one has a frame within 2 bits in the other clip,
2. n_matched have one within 8 bits, and n_matched is half of them or more, and 5 or more,
3. the matched frames show more than one view: one differs from the first of them by more than 24 bits. Where the
   camera stands still, all frames say the same, and 2. must hold within 2 bits.

Measured with 100 frames a clip, every 8.4th of the source, the copy's start shifted by 0 to 8 frames. Matched within
8 bits: least, median; pairs found:

    real street videos, re-encoded (crf 35, 2/3 and 1/2 the height, brighter)    84, 100    308 of 308
    cropped by 4 %                                                               74, 100     57 of 63
    with a white box over 1.4 % of the picture                                    0,  88     33 of 63
    rendered streets, which pass faster, re-encoded alike                        30,  85    396 of 440
    different videos, 1,165 pairs                                           at most 6 (none within 2 bits), 0 found
    different videos of one rendered city, 60 pairs                         at most 22 (none within 2 bits), 0 found
    68,269 random clips, many nearly still, with 500 copies                      496 of 500, and 95 of 2.3e9 others

Mirrored copies are not found, nor most with bars added at the sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .phash_pairs import NEAR_BITS, U64, Bools, Ints, is_flat, near_hashes
from .results import DuplicatePair, Duplicates

LIKE_BITS = 8
"""Frames whose hashes differ in at most so many bits are matched."""
MIN_SHARE = 0.5
MIN_MATCHED = 5
VIEW_BITS = 24
"""Frames of a clip that differ in more bits than this show different views."""
PAIRS_LISTED = 1_000
_CELLS = 1 << 22


def near_duplicates(
    clip_ids: Sequence[str], video_of: Ints, frame_clip: Ints, frame_phash: npt.NDArray[np.int64]
) -> tuple[Duplicates, npt.NDArray[np.int64]]:
    """Find the near-duplicate clips of different source videos, by the rule above.

    Args:
        clip_ids: (n_clips,) unique.
        video_of: (n_clips,) the source video of each as a number.
        frame_clip: (F,) index of the clip of each saved frame that has a hash; clips in any order, the frames of one in
            theirs.
        frame_phash: (F,) int64, its hash.
    Returns:
        The section of the report, and (P, 2) int64 all pairs as indices of clips, in the report's order: highest
        share first, then by clip_id; in each pair the lower clip_id first.
    Raises:
        ValueError: arrays of different lengths, or a frame of no clip.
    """
    if len(clip_ids) != len(video_of):
        raise ValueError(f"expected a video for each of {len(clip_ids)} clips, got {len(video_of)}")
    if len(frame_clip) != len(frame_phash):
        raise ValueError(f"expected a clip for each of {len(frame_phash)} hashes, got {len(frame_clip)}")
    if len(frame_clip) and not (frame_clip.min() >= 0 and frame_clip.max() < len(clip_ids)):
        raise ValueError(f"expected clips 0 to {len(clip_ids) - 1}, got {frame_clip.min()} to {frame_clip.max()}")
    # Inside, clips are numbered so that those of one video stand together, and by clip_id in it.
    by_id = np.argsort(np.asarray(clip_ids, dtype=np.str_), kind="stable") if len(clip_ids) else np.arange(0)
    clip_at = by_id[np.argsort(np.asarray(video_of)[by_id], kind="stable")]
    number = np.empty(len(clip_at), np.int32)
    number[clip_at] = np.arange(len(clip_at))
    id_rank = np.empty(len(by_id), np.int64)
    id_rank[by_id] = np.arange(len(by_id))

    hashes = np.ascontiguousarray(frame_phash, dtype=np.int64).view(np.uint64)
    flat = is_flat(hashes)
    clip = number[frame_clip]
    near = near_hashes(hashes, clip, np.asarray(video_of)[clip_at], flat)
    shows = ~(flat | near.common)
    usable, clip = hashes[shows], clip[shows]
    if (clip[1:] < clip[:-1]).any():
        order = np.argsort(clip, kind="stable")
        usable, clip = usable[order], clip[order]
    start = np.searchsorted(clip, np.arange(len(clip_at) + 1))
    # The first of a pair is the clip with fewer usable frames; of equals the one whose clip_id is lower.
    a, b = near.clip_pairs.T
    n_usable, rank = np.diff(start), id_rank[clip_at]
    swap = (n_usable[b] < n_usable[a]) | ((n_usable[b] == n_usable[a]) & (rank[b] < rank[a]))
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    n_matched, is_copy = _matched(usable, start, a, b)
    a, b, n_matched = a[is_copy], b[is_copy], n_matched[is_copy]
    share = n_matched / n_usable[a]

    low, high = np.minimum(rank[a], rank[b]), np.maximum(rank[a], rank[b])
    order = np.lexsort((high, low, -share))
    pairs = by_id[np.stack([low[order], high[order]], axis=1)]
    listed = tuple(
        DuplicatePair(clip_ids[x], clip_ids[y], int(m), float(s))
        for (x, y), m, s in zip(pairs[:PAIRS_LISTED].tolist(), n_matched[order], share[order], strict=False)
    )
    return Duplicates(
        n_frames=len(hashes),
        n_flat=int(flat.sum()),
        n_common=int(near.common.sum()),
        n_unchecked=near.n_left_out,
        n_clips=len(np.unique(pairs)),
        n_pairs=len(pairs),
        pairs=listed,
    ), pairs


def _matched(h: U64, start: Ints, a: Ints, b: Ints) -> tuple[npt.NDArray[np.int64], Bools]:
    """Of each pair of clips, how many frames of `a` have a like one in `b`, and whether they are near-duplicates.

    Args:
        h: hashes in the order of their clips; those of clip c are `h[start[c] : start[c + 1]]`.
    """
    n_matched, is_copy = np.zeros(len(a), np.int64), np.zeros(len(a), bool)
    n_a, n_b = start[a + 1] - start[a], start[b + 1] - start[b]
    order = np.lexsort((n_b, n_a))
    lo = 0
    while lo < len(order):
        # Rows are as long as the longest clip of the chunk; in the order of lengths little is wasted.
        hi = lo + 1
        widest = int(n_b[order[lo]])
        while hi < len(order):
            widest = max(widest, int(n_b[order[hi]]))
            if (hi + 1 - lo) * int(n_a[order[hi]]) * widest > _CELLS:
                break
            hi += 1
        at = order[lo:hi]
        n_matched[at], is_copy[at] = _compare(*_rows(h, start[a[at]], n_a[at]), *_rows(h, start[b[at]], n_b[at]))
        lo = hi
    return n_matched, is_copy


def _rows(h: U64, start: Ints, n: Ints) -> tuple[U64, Ints]:
    """(k, longest) hashes of k clips, shorter ones filled with their last; and (k,) how many are theirs."""
    at = start[:, None] + np.minimum(np.arange(int(n.max())), n[:, None] - 1)
    return h[at], n


def _compare(rows_a: U64, n_a: Ints, rows_b: U64, n_b: Ints) -> tuple[npt.NDArray[np.int64], Bools]:
    """Of k pairs of clips with a near frame, (k,) matched frames of a, and whether they are near-duplicates."""
    # The last hash of b, repeated, changes no minimum; that of a is masked.
    nearest = np.bitwise_count(rows_a[:, :, None] ^ rows_b[:, None, :]).min(axis=2)
    nearest[np.arange(rows_a.shape[1]) >= n_a[:, None]] = 65
    like = nearest <= LIKE_BITS
    n_like, n_near = like.sum(axis=1), (nearest <= NEAR_BITS).sum(axis=1)
    first = np.take_along_axis(rows_a, like.argmax(axis=1)[:, None], axis=1)
    moves = (like & (np.bitwise_count(rows_a ^ first) > VIEW_BITS)).any(axis=1)
    needed = np.maximum(MIN_MATCHED, np.ceil(MIN_SHARE * n_a))
    return n_like, np.where(moves, n_like, n_near) >= needed
