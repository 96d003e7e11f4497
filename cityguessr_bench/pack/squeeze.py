"""The one way in which a picture becomes what a model sees: training cache and prediction must not differ in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def squeezed(picture: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """A picture squeezed to a square, as the paper and the released code do; each new pixel is the mean of its area.

    Args:
        picture: uint8 (H, W, 3), colours in any order.
    Returns:
        uint8 (size_px, size_px, 3), colours in the same order.
    """
    import cv2

    return np.asarray(cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
