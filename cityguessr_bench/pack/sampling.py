"""Which of a clip's saved frames a model sees. A clip has 100 saved frames; the paper's model takes 15 of them."""

from __future__ import annotations

from typing import Literal

Sampling = Literal["uniform", "authors"]
Pick = Literal["spread", "first", "middle", "last", "random"]


def saved_positions(n_saved: int, n_frames: int, sampling: Sampling = "uniform") -> tuple[int, ...]:
    """Positions (from 0, in the order of the frames table) of the frames that a clip gives.

    `uniform`: position i * n_saved // n_frames, spread over the whole clip (the paper does not say which 15).
    `authors`: what the released code does: files named `1.jpg` to `100.jpg` in the order of their names as text, of
    the first 80 every fifth; the clip then jumps to and fro in time.

    Raises:
        ValueError: fewer saved frames than wanted; or `authors` with other than 16 frames.
    """
    if not 1 <= n_frames <= n_saved:
        raise ValueError(f"expected 1 to {n_saved} frames of a clip with {n_saved} saved ones, got {n_frames}")
    if sampling == "uniform":
        return tuple(i * n_saved // n_frames for i in range(n_frames))
    as_text = sorted(range(n_saved), key=lambda position: f"{position + 1}.jpg")
    chosen = tuple(as_text[:80:5])
    if len(chosen) != n_frames:
        raise ValueError(f"the released code takes {len(chosen)} of {n_saved} saved frames, got {n_frames}")
    return chosen
