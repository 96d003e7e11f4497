"""Whether a saved frame is its source's frame, blurred as recorded: pure, from two pictures and the boxes.

The expected picture is made as a build makes it: blurred, then encoded and decoded as JPEG. The bytes are usually those
that were saved. Where they are not (another library version made them), pictures are compared. Measured on 28 frames
of real and synthetic walks, grey levels of 255, mean absolute difference:

    JPEG by another encoder, quality 95 to 75, other chroma, noise of 2 levels    a box up to 3.5   a block up to 8.9
    a box that was not blurred                                                    29.8 or more
    the next sampled frame in place of this one                                                     44 or more
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..review.decisions import Box
from ..run.parts import encode_jpeg
from ..vision.blur import BlurConfig, blur_boxes, touched_region

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..core.types import RGB

    Levels = npt.NDArray[np.float32]

MOST_BOX_LEVELS = 6.0
"""Mean difference of a blurred box from the expected one; more is no JPEG error."""
LEAST_BOX_LEVELS = 1.5
"""A box that differs by more, and is twice as near to the source, was not blurred: of faces in the dark."""
MOST_BLOCK_LEVELS = 16.0
"""Mean difference of a block outside of all boxes; more is another picture."""
_BLOCK_PX = 16


def expected_jpeg(source: RGB, boxes: Sequence[Box], blur: BlurConfig, quality: int) -> bytes:
    """The bytes that a build saves of a source frame, uint8 (H, W, 3), with these boxes in the order of the table."""
    picture = source.copy()
    blur_boxes(picture, np.array(boxes, np.float64).reshape(-1, 4), blur)
    return encode_jpeg(picture, quality)


def decoded(jpeg: bytes) -> RGB:
    """The picture of a JPEG of ours, uint8 (H, W, 3)."""
    import cv2

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    rgb: RGB = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[arg-type,assignment]
    return rgb


def differences(saved: RGB, source: RGB, expected: RGB, boxes: Sequence[Box], blur: BlurConfig) -> list[str]:
    """What of a saved frame is not as expected, in words; empty where nothing is.

    Args:
        saved: as decoded from its file, uint8 (H, W, 3).
        source: the unblurred frame.
        expected: `expected_jpeg`, decoded.
    """
    if saved.shape != expected.shape:
        return [f"is {saved.shape[1]}x{saved.shape[0]} px, its source {expected.shape[1]}x{expected.shape[0]}"]
    height, width = saved.shape[:2]
    off: Levels = np.abs(saved.astype(np.float32) - expected).mean(2)
    from_source: Levels = np.abs(saved.astype(np.float32) - source).mean(2)
    outside = np.ones((height, width), bool)
    wrong = 0
    for box in boxes:
        region = touched_region(box, width, height, blur)
        if region is None:
            continue
        x0, y0, x1, y1 = region
        outside[y0:y1, x0:x1] = False
        levels = float(off[y0:y1, x0:x1].mean())
        is_source = levels > LEAST_BOX_LEVELS and float(from_source[y0:y1, x0:x1].mean()) < levels / 2
        wrong += is_source or levels > MOST_BOX_LEVELS
    told = [f"{wrong} of its {len(boxes)} blurred boxes are not blurred as recorded"] if wrong else []
    block = _worst_block(np.where(outside, off, 0.0).astype(np.float32))
    if block > MOST_BLOCK_LEVELS:
        told.append(f"is not its source's frame outside of the boxes ({block:.0f} grey levels off)")
    return told


def _worst_block(off: Levels) -> float:
    """The largest mean of a block of 16x16 px; the last ones of a row and column may be cut."""
    height, width = off.shape
    rows = np.add.reduceat(off, np.arange(0, height, _BLOCK_PX), axis=0)
    sums = np.add.reduceat(rows, np.arange(0, width, _BLOCK_PX), axis=1)
    heights = np.diff([*range(0, height, _BLOCK_PX), height])
    widths = np.diff([*range(0, width, _BLOCK_PX), width])
    return float((sums / np.outer(heights, widths)).max())
