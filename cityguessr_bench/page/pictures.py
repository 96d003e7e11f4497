"""Frames of clips as small pictures inside the page: a strip of three, and never more bytes than the page can bear."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cityguessr_data.stats.page.blocks import Picture

Frames = Callable[[str], npt.NDArray[np.uint8]]
"""Blurred frames of a clip by its id: uint8 (T, 3, H, W), red, green, blue."""
BUDGET_BYTES = 3_000_000
_N_FRAMES = 3
_HEIGHT_PX = 168
_QUALITY = 78
_GAP_PX = 3


class Pictures:
    """Makes the pictures of one page and counts their bytes."""

    def __init__(self, frames: Frames | None, budget_bytes: int = BUDGET_BYTES) -> None:
        """Args: frames: None where there are none, as with predictions of somebody else's."""
        self._frames = frames
        self._left_bytes = budget_bytes
        self.n_shown = 0
        self.n_left_out = 0
        """Pictures that there was no room for."""

    def of(self, clip_id: str, words: str) -> Picture | None:
        """A strip of frames of a clip; None where there are no frames, or no more room.

        Args:
            words: what a screen reader says in its place.
        Raises:
            InputError: the frames are damaged.
        """
        if self._frames is None:
            return None
        if self._left_bytes <= 0:  # nothing more is read then
            self.n_left_out += 1
            return None
        picture = strip(self._frames(clip_id), words)
        if len(picture.source) > self._left_bytes:
            self._left_bytes = 0
            self.n_left_out += 1
            return None
        self._left_bytes -= len(picture.source)
        self.n_shown += 1
        return picture

    @property
    def note(self) -> str:
        """What a reader should know of the pictures."""
        if self._frames is None:
            return "There are no pictures: these predictions came without frames."
        if self.n_left_out:
            return (
                f"Left out to keep the page small: {self.n_left_out:,} pictures, all after the first {self.n_shown:,}."
            )
        return "The pictures are blurred frames near the start, middle and end of a clip, as the model sees them."


def strip(frames: npt.NDArray[np.uint8], words: str) -> Picture:
    """Frames from near the start, the middle and the end side by side, as one JPEG.

    Args:
        frames: uint8 (T, 3, H, W), red, green, blue, one or more.
    Raises:
        ValueError: another shape or type.
    """
    import cv2

    if frames.ndim != 4 or frames.shape[1] != 3 or not frames.size or frames.dtype != np.uint8:
        raise ValueError(f"expected uint8 frames (T, 3, H, W), got {frames.dtype} {frames.shape}")
    n_frames, _, height_px, width_px = frames.shape
    picked = sorted({(2 * i + 1) * n_frames // (2 * _N_FRAMES) for i in range(_N_FRAMES)})
    scale = min(1.0, _HEIGHT_PX / height_px)
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    shown: list[npt.NDArray[np.uint8]] = []
    for i, number in enumerate(picked):
        frame = np.ascontiguousarray(frames[number].transpose(1, 2, 0)[:, :, ::-1])  # cv2: blue, green, red, last
        if scale < 1:
            frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        shown += [frame] if i == 0 else [np.full((size[1], _GAP_PX, 3), 128, np.uint8), frame]
    made = np.concatenate(shown, axis=1)
    written, encoded = cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not written:
        raise ValueError(f"a picture of {made.shape} could not be encoded")
    source = "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
    return Picture(source, words, made.shape[1], made.shape[0])
