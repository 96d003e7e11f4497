"""Rows of frames and faces as a build could have found them, made up by the thousand for big_tables.py.

Scores and box heights have the spread that RetinaFace has on street footage (quantiles of a build of our own).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes2D = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

FACES_PER_CLIP = 1_611
SAMPLES = 100
CONF = 0.5
WIDTH_PX, HEIGHT_PX = 1280, 720
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SCORES = (0.05, 0.055, 0.066, 0.111, 0.285, 0.884, 1.0)
HEIGHTS_PX = (8.0, 12.0, 14.0, 18.0, 35.0, 91.0, 600.0)


def frame_hashes(n_clips: int, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """(n_clips, SAMPLES) hashes that differ as those of street footage do.

    As in a real hash, 32 of 64 bits are set, those of the larger frequencies. About 10 bits differ from one frame to
    the next, 20 from one end of a clip to the other, 30 between clips; a few frames are flat.
    """
    usual = np.random.default_rng(64).normal(0, 0.4, 64).astype(np.float32)  # some frequencies are larger in all clips
    usual[0] = 9.0  # the mean brightness always is
    view = usual + 0.7 * rng.standard_normal((n_clips, 64), dtype=np.float32)
    drift = rng.standard_normal((n_clips, 64), dtype=np.float32)
    hashes = np.empty((n_clips, SAMPLES), dtype=np.uint64)
    for position in range(SAMPLES):
        drift = 0.8 * drift + 0.6 * rng.standard_normal((n_clips, 64), dtype=np.float32)
        frequencies = view + 0.7 * drift
        bits = frequencies > np.partition(frequencies, 31, axis=1)[:, 31:32]
        hashes[:, position] = np.packbits(bits, axis=1).view(">u8").ravel()
    hashes[rng.random(hashes.shape) < 0.003] = 2**63  # a flat grey frame: only the mean is above the median
    return hashes


def texts(rows: Bytes2D) -> pa.Array:
    """(n, width) bytes -> n strings of that width."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


def of_few(codes: npt.NDArray[np.integer], names: list[str]) -> pa.Array:
    """Strings by their index in `names`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names)).cast(pa.string())


def face_rows(
    ids: list[str], rng: np.random.Generator, per_clip: float = FACES_PER_CLIP
) -> tuple[dict[str, pa.Array], Ints]:
    """Face rows of some clips, `per_clip` on average, and how many are blurred in each frame (clips, SAMPLES)."""
    rate = per_clip / SAMPLES * rng.lognormal(-0.5, 1.0, len(ids))  # mean 1 of the lognormal: exp(-0.5 + 0.5)
    detected = rng.poisson(rate[:, np.newaxis], (len(ids), SAMPLES))
    frame = np.repeat(np.arange(detected.size), detected.ravel())
    n = len(frame)
    score = np.interp(rng.random(n), QUANTILES, SCORES).astype(np.float32)
    height = np.interp(rng.random(n), QUANTILES, HEIGHTS_PX).astype(np.float32)
    x0 = rng.random(n, dtype=np.float32) * (WIDTH_PX - 1)
    y0 = rng.random(n, dtype=np.float32) * (HEIGHT_PX - 1)
    position = frame % SAMPLES
    clip = frame // SAMPLES
    propagated = rng.random(n, dtype=np.float32) < 0.002
    blurred = (score >= CONF) | propagated
    reviewed = rng.random(len(ids)) < 0.01
    review = np.where(reviewed[clip], np.where(blurred, 1, 2), 0)
    rows = {
        "clip_id": of_few(clip, ids),
        "position": pa.array(position, pa.int32()),
        "frame_index": pa.array(position * 9),
        "kind": of_few(np.zeros(n, dtype=np.int32), ["face"]),
        "x0": pa.array(x0),
        "y0": pa.array(y0),
        "x1": pa.array(np.minimum(x0 + height * np.float32(0.8), WIDTH_PX)),
        "y1": pa.array(np.minimum(y0 + height, HEIGHT_PX)),
        "score": pa.array(score),
        "origin": of_few(propagated.astype(np.int32), ["detected", "propagated"]),
        "blurred": pa.array(blurred),
        "review": of_few(review, ["pending", "accepted", "rejected"]),
    }
    return rows, np.bincount(frame[blurred], minlength=detected.size).reshape(detected.shape)


def frame_rows(
    ids: list[str],
    first_frame: Ints,
    hashes: npt.NDArray[np.uint64],
    per_frame: Ints,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Frame rows of some clips, whose ids have one length; `first_frame` (clips,) in their videos."""
    n = len(ids) * SAMPLES
    position = np.tile(np.arange(SAMPLES), len(ids))
    offset = np.repeat(first_frame, SAMPLES)
    folder = [f"clips/{clip_id[:-6]}/{clip_id}/".encode() for clip_id in ids]
    prefix = np.frombuffer(b"".join(folder), dtype=np.uint8).reshape(len(ids), 1, -1)
    suffix = np.frombuffer(b"".join(b"%03d.jpg" % (p + 1) for p in range(SAMPLES)), dtype=np.uint8)
    suffix = suffix.reshape(1, SAMPLES, -1)
    both = (len(ids), SAMPLES)
    path = np.concatenate([np.broadcast_to(a, (*both, a.shape[2])) for a in (prefix, suffix)], axis=2)
    digest = np.frombuffer(rng.bytes(32 * n).hex().encode(), dtype=np.uint8).reshape(n, 64)
    return {
        "clip_id": of_few(np.repeat(np.arange(len(ids)), SAMPLES), ids),
        "position": pa.array(position, pa.int32()),
        "frame_index": pa.array(offset + position * 9),
        "timestamp_s": pa.array((offset + position * 9) / 30.0),
        "path": texts(path.reshape(n, -1)),
        "sha256": texts(digest),
        "phash": pa.array(hashes.ravel().view(np.int64)),
        "scene_top1": pa.array(rng.integers(0, 365, n), pa.int16()),
        "scene_top1_prob": pa.array(rng.random(n, dtype=np.float32)),
        "n_faces": pa.array(per_frame.ravel(), pa.int32()),
    }
