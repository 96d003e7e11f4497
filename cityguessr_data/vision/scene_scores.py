"""From a scene model's logits to the most probable category of each frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import ErrorClass, VideoError
from cityguessr_data.core.places365 import N_CATEGORIES


def top1_of_logits(
    logits: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """The most probable category of each row and its softmax probability; of equal ones the lowest.

    Args:
        logits: (B, 365).
    Raises:
        VideoError: a logit is not a number.
    """
    if logits.ndim != 2 or logits.shape[1] != N_CATEGORIES:
        raise ValueError(f"expected logits (B, {N_CATEGORIES}), got {logits.shape}")
    if not np.isfinite(logits).all():
        raise VideoError(ErrorClass.INTERNAL, "the scene model gave a value that is not a number")
    if not len(logits):
        return np.zeros(0, np.int16), np.zeros(0, np.float32)
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    probs = powers / powers.sum(axis=1, keepdims=True)
    return probs.argmax(axis=1).astype(np.int16), probs.max(axis=1).astype(np.float32)
