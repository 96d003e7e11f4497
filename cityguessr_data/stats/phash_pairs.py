"""Finds like hashes among millions without comparing all with all, and tells which hashes say nothing.

The hash is that of saved frames: 64 bits, row by row the 8 x 8 lowest frequencies of the picture, a bit set where one
is above their median. Of the 64 bits four groups of 16 are made. Two hashes that differ in at most 2 bits agree in two
groups whole, that is in one of the six pairs of groups; so six sorts bring all of them side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

NEAR_BITS = 2
"""Hashes that differ in at most so many bits are near."""
COMMON_VIDEOS = 10
"""A hash near those of more source videos than this shows no copy but what many videos have, e.g. a channel's intro."""
FLAT_DETAIL = 6
"""`detail` of a hash up to which its frame counts as flat."""
_TIED_BITS = 4
"""A picture's hash has 32 bits set, since their median divides the frequencies; one that is further off has ties."""
PAIRS_PER_KEY = 20_000_000
"""So many pairs of entries are compared for each pair of groups; the fullest buckets beyond it are left out."""
NEAR_KEPT = 8_000_000
"""So many near pairs of entries are kept in all; beyond it too the fullest buckets are left out."""
CLIP_PAIRS_KEPT = 200_000
"""So many pairs of clips are looked at frame by frame: those with the most near hashes."""
_CHUNK = 1 << 19

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

# The groups mix rows and columns: neighbouring frequencies are alike more often than distant ones, and groups of whole
# rows put four times as many unlike frames into one bucket.
_GROUPS = tuple(
    sum(1 << (63 - 8 * row - col) for row in range(8) for col in range(8) if (2 * row + col + row // 2) % 4 == group)
    for group in range(4)
)
KEYS = tuple(np.uint64(a | b) for a, b in combinations(_GROUPS, 2))
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NearHashes:
    """Which clips have near hashes, and which hashes too many videos have."""

    clip_pairs: I64
    """(P, 2) clips of different videos with a near pair of hashes, neither of which is common; sorted, low first."""
    common: Bools
    """(F,) for each hash given, whether it is common; False for those ignored."""
    n_left_out: int
    """Pairs of clips beyond CLIP_PAIRS_KEPT, those with the fewest near hashes."""


def detail(hashes: U64) -> npt.NDArray[np.uint8]:
    """(F,) by how many bits, summed, each row of the 8 x 8 bits differs from the row before it or from its negative.

    One bright spot, line of text or gradient on an even ground gives rows that are all alike or negatives: 0 and up.
    A picture gives about 18: of 173,000 real and rendered frames none had less than 8, of 80 cards with one line of
    text 60 had 6 or less.
    """
    out = np.empty(len(hashes), np.uint8)
    for start in range(0, len(hashes), _CHUNK):
        h = hashes[start : start + _CHUNK]
        beside = h ^ ((h << np.uint64(8)) | (h >> np.uint64(56)))
        n_bits = np.bitwise_count(beside.view(np.uint8))
        per_row = np.minimum(n_bits, 8 - n_bits).view(np.uint64)
        out[start : start + _CHUNK] = (per_row * np.uint64(0x0101010101010101)) >> np.uint64(56)  # sum of the 8 bytes
    return out


def is_flat(hashes: U64) -> Bools:
    """(F,) whether a hash is that of a frame that shows next to nothing.

    Black has 0 bits set, one colour 1, a clean gradient 1, a symmetric card 8 to 16; a small text, spot or line on an
    even ground has 32, but next to no `detail`.
    """
    return (np.abs(np.bitwise_count(hashes).astype(np.int8) - 32) > _TIED_BITS) | (detail(hashes) <= FLAT_DETAIL)


def near_hashes(hashes: U64, clip: Ints, video_of: Ints, ignored: Bools) -> NearHashes:
    """Find clips of different videos that have near hashes.

    A hash is common if hashes near it, itself included, are in more than COMMON_VIDEOS videos, or if each of its six
    buckets was left out (PAIRS_PER_KEY, NEAR_KEPT): so full are they only where very many videos show the same.

    Args:
        hashes: (F,), in any order.
        clip: (F,) the clip of each.
        video_of: (n_clips,) the video of each clip; clips of one video stand together.
        ignored: (F,) which hashes to leave out.
    """
    # An entry is a distinct hash (a run) and a clip that has it. First in the order of hash, then in that of clip.
    distinct, run_of_frame, codes = _entries(hashes, clip, ignored)
    n_runs = len(distinct)
    codes = _few_of_common(codes, video_of, n_runs)
    codes = (codes << 32) | (codes >> 32)
    codes.sort()
    entry_run, entry_clip = (codes & 0xFFFFFFFF).astype(np.int32), (codes >> 32).astype(np.int32)
    del codes
    entry_video = video_of[entry_clip].astype(np.int32)
    entry_hash = distinct[entry_run]
    del distinct
    near, left_out = _near_entries(entry_hash, entry_video)
    del entry_hash
    common = _in_many_videos(near, entry_run, entry_video, n_runs)
    common[entry_run[left_out]] = True
    a, b = near[~(common[entry_run[near[:, 0]]] | common[entry_run[near[:, 1]]])].T
    codes = entry_clip[a].astype(np.int64) << 32 | entry_clip[b]  # the lower clip comes first in each
    codes.sort()
    start = np.flatnonzero(np.diff(codes, prepend=-1))
    codes, n_near = codes[start], np.diff(start, append=len(codes))
    n_left_out = max(0, len(codes) - CLIP_PAIRS_KEPT)
    if n_left_out:
        codes = np.sort(codes[np.argsort(-n_near, kind="stable")[:CLIP_PAIRS_KEPT]])
    return NearHashes(
        np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1),
        common[run_of_frame] & ~ignored if len(common) else ignored & False,
        n_left_out,
    )


def _entries(hashes: U64, clip: Ints, ignored: Bools) -> tuple[U64, npt.NDArray[np.int32], I64]:
    """The distinct hashes, ascending; (F,) the run, which is the place there, of each; (E,) run << 32 | clip."""
    order = np.argsort(hashes).astype(np.int32)
    order = order[~ignored[order]]
    h = hashes[order]
    new = np.ones(len(h), bool)
    np.not_equal(h[1:], h[:-1], out=new[1:])
    distinct = h[new]
    del h
    run = np.cumsum(new)
    run -= 1
    run_of_frame = np.zeros(len(hashes), np.int32)
    run_of_frame[order] = run
    run <<= 32
    run |= clip[order]
    return distinct, run_of_frame, _distinct(run)


def _distinct(codes: I64) -> I64:
    """Sort `codes` in place; its values, each once. (np.unique hashes, which takes ten times as long.)"""
    codes.sort()
    new = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=new[1:])
    kept: I64 = codes[new]
    return kept


def _few_of_common(codes: I64, video_of: Ints, n_runs: int) -> I64:
    """Thin out the entries of hashes that are common by equality alone.

    They keep one entry a video, of just enough videos that they, and hashes near them, are found to be common.
    """
    run = codes >> 32
    video = video_of[codes & 0xFFFFFFFF]
    first = np.ones(len(codes), bool)
    first[1:] = (run[1:] != run[:-1]) | (video[1:] != video[:-1])
    common = np.bincount(run[first], minlength=n_runs) > COMMON_VIDEOS
    if not common.any():
        return codes
    nth_video = np.cumsum(first)
    nth_video -= nth_video[np.searchsorted(run, np.arange(n_runs))][run]  # within its run, from 0
    kept: I64 = codes[~common[run] | (first & (nth_video <= COMMON_VIDEOS))]
    return kept


def _in_many_videos(near: Ints, entry_run: Ints, entry_video: Ints, n_runs: int) -> Bools:
    """(n_runs,) whether near hashes, itself included, are in more than COMMON_VIDEOS videos."""
    n_seen = np.bincount(entry_run, minlength=n_runs)  # never below the number of videos
    for side in (0, 1):
        n_seen += np.bincount(entry_run[near[:, side]], minlength=n_runs)
    may_be = n_seen > COMMON_VIDEOS
    own = np.flatnonzero(may_be[entry_run])
    seen: list[Ints] = [np.stack([own, own], axis=1)]
    seen += [near[may_be[entry_run[near[:, side]]]][:, [side, 1 - side]] for side in (0, 1)]
    codes = np.empty(sum(map(len, seen)), np.int64)
    at = 0
    while seen:
        pair = seen.pop()
        codes[at : at + len(pair)] = entry_run[pair[:, 0]]
        codes[at : at + len(pair)] <<= 32
        codes[at : at + len(pair)] |= entry_video[pair[:, 1]]
        at += len(pair)
    return np.bincount(_distinct(codes) >> 32, minlength=n_runs) > COMMON_VIDEOS


def _near_entries(h: U64, video: Ints) -> tuple[npt.NDArray[np.int32], I64]:
    """(N, 2) entries of different videos with near hashes, each pair once; and entries that all buckets left out."""
    found = [np.empty((0, 2), np.int32)]
    n_found = 0
    left_out = np.zeros(len(h), np.uint8)  # a bit for each key
    for number, key in enumerate(KEYS):
        buckets = _Buckets.sorted(h, video, key)
        n_compared = 0
        for which in range(2, 33):
            at = np.flatnonzero(buckets.size_class == which)
            n_pairs = int((buckets.end[at] - buckets.after[at]).sum(dtype=np.int64))
            n_compared += n_pairs
            pairs = None
            if n_compared <= PAIRS_PER_KEY and n_pairs:
                pairs = _near_in(buckets, at, h, number, left_out, NEAR_KEPT - n_found)
            if pairs is not None:
                found.append(pairs)
                n_found += len(pairs)
            elif n_pairs:  # it, and with it all that are fuller
                left_out[buckets.entry[buckets.size_class >= which]] |= 1 << number
                break
    return np.concatenate(found), np.flatnonzero(left_out == (1 << len(KEYS)) - 1)


@dataclass(frozen=True)
class _Buckets:
    """Entries in the order of bucket and video; a bucket is what agrees in the bits of one key."""

    entry: Ints
    size_class: Ints
    """Of its bucket: 1 for one entry, 2 for 2 and 3, 3 for 4 to 7, 4 for 8 to 15, ..."""
    after: Ints
    """Where the next video of its bucket begins; `end` where it has none."""
    end: Ints
    """Where the next bucket begins."""

    @classmethod
    def sorted(cls, h: U64, video: Ints, key: np.uint64) -> _Buckets:
        """Sort entries, which come in the order of their videos, by 32 bits that stand for the key's bits."""
        low = np.uint64(0xFFFFFFFF)
        codes = h & key
        codes *= _ODD
        codes &= ~low
        codes |= np.arange(len(h), dtype=np.uint32)
        codes.sort()
        entry = codes.astype(np.uint32).view(np.int32)  # the low half
        codes >>= np.uint64(32)
        new = np.ones(len(h), bool)
        np.not_equal(codes[1:], codes[:-1], out=new[1:])
        del codes
        start, end = _spans(new)
        size_class = np.frexp((end - start).astype(np.float32))[1].astype(np.int8)
        del start
        v = video[entry]
        new[1:] |= v[1:] != v[:-1]
        return cls(entry, size_class, _spans(new)[1], end)


def _spans(new: Bools) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Of runs that begin where `new`, where each one's own run begins and ends."""
    starts = np.append(np.flatnonzero(new).astype(np.int32), np.int32(len(new)))
    length = np.diff(starts)
    return np.repeat(starts[:-1], length), np.repeat(starts[1:], length)


def _near_in(
    buckets: _Buckets, at: Ints, h: U64, number: int, left_out: Ints, quota: int
) -> npt.NDArray[np.int32] | None:
    """Compare the entries at `at` with later videos' of their buckets, the `number`th key's.

    Pairs that an earlier key has brought together are passed over. None where more than `quota` pairs are near.
    """
    at = at[buckets.end[at] > buckets.after[at]]
    n_partners = (buckets.end[at] - buckets.after[at]).astype(np.int64)
    done = np.cumsum(n_partners)
    found = []
    lo = 0
    while lo < len(at):
        base = int(done[lo - 1]) if lo else 0
        hi = max(lo + 1, int(np.searchsorted(done, base + _CHUNK, side="right")))
        n = n_partners[lo:hi]
        left = np.repeat(at[lo:hi], n)
        step = np.arange(len(left)) - np.repeat(done[lo:hi] - n - base, n)
        a, b = buckets.entry[left], buckets.entry[np.repeat(buckets.after[at[lo:hi]], n) + step]
        differ = h[a] ^ h[b]
        near = np.flatnonzero(np.bitwise_count(differ) <= NEAR_BITS)
        a, b, differ = a[near], b[near], differ[near]
        new = (differ & KEYS[number]) == 0
        for earlier in range(number):
            new &= ((differ & KEYS[earlier]) != 0) | (left_out[a] >> earlier & 1 == 1)
        found.append(np.stack([a[new], b[new]], axis=1))
        quota -= len(found[-1])
        if quota < 0:
            return None
        lo = hi
    return np.concatenate(found)
