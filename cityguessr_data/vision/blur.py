"""Blurs boxes out of a frame: the one place where a face stops being one, so it refuses what it cannot do exactly.

`paper` is the paper's blur (supplementary section 5): Gaussian, kernel 63, sigma 21, on the box, one box after the
other. Its sigma is in pixels, so a large face stays readable. `strict` is for release: it covers a margin round the
box, and its strength grows with the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

STRICT_GROWTH = 0.1
"""Margin that `strict` adds on each side of a box, as a share of the box's longer side."""

STRICT_SIGMA_SHARE = 0.75
"""Sigma of `strict` as a share of the box's longer side, measured on faces of 60 to 400 px as 12 x 12 grey. At 1/3 they
keep 26 % of their contrast (after the paper's blur of 60 px: 35 to 42 %), at 1/2 13 %, at 3/4 4 to 6 %. All cost the
same. At 3/4, a wave as long as the patch or shorter falls below one grey level, so no sharpening brings it back."""

_STRICT_CELLS = 32
"""Longer side in px of the reduced copy that `strict` blurs: a blur this wide leaves nothing that 32 px cannot hold."""

PixelRegion = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole px, x1 and y1 exclusive."""


@dataclass(frozen=True)
class BlurConfig:
    """How boxes are blurred. Defaults are the paper's."""

    mode: Literal["paper", "strict"] = "paper"
    kernel_px: int = 63
    """Width of the Gaussian kernel, odd. `strict` does not cut its kernel, so it only counts for `paper`."""
    sigma_px: float = 21.0
    """Standard deviation; the least one in `strict`."""

    def __post_init__(self) -> None:
        if self.mode not in ("paper", "strict"):
            raise ValueError(f"expected the blur paper or strict, got {self.mode!r}")
        if self.kernel_px < 3 or self.kernel_px % 2 == 0:
            raise ValueError(f"expected an odd kernel of 3 px or more, got {self.kernel_px}")
        if not (math.isfinite(self.sigma_px) and self.sigma_px > 0):
            raise ValueError(f"expected a sigma over 0 px, got {self.sigma_px}")


def grown_box(box: npt.ArrayLike, share: float = STRICT_GROWTH) -> tuple[float, float, float, float]:
    """`box` (x0, y0, x1, y1 in px) with `share` of its longer side added on each of the four sides; not clipped."""
    x0, y0, x1, y1 = (float(v) for v in np.asarray(box, dtype=np.float64))
    margin_px = share * max(x1 - x0, y1 - y0)
    return x0 - margin_px, y0 - margin_px, x1 + margin_px, y1 + margin_px


def pixel_region(box: npt.ArrayLike, width: int, height: int) -> PixelRegion | None:
    """The pixels of `box`: floor(x0, y0) to ceil(x1, y1), clipped to the frame (contract 4).

    A box without area covers the one pixel it lies in. None where the box lies entirely outside the frame.
    """
    bx0, by0, bx1, by1 = (float(v) for v in np.asarray(box, dtype=np.float64))
    left, top = math.floor(bx0), math.floor(by0)
    right, bottom = max(math.ceil(bx1), left + 1), max(math.ceil(by1), top + 1)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def touched_region(box: npt.ArrayLike, width: int, height: int, config: BlurConfig) -> PixelRegion | None:
    """The pixels that blurring `box` may change: those of the box in `paper`, of the grown box in `strict`."""
    return pixel_region(box if config.mode == "paper" else grown_box(box), width, height)


def blur_boxes(rgb: RGB, boxes: npt.ArrayLike, config: BlurConfig) -> None:
    """Blur `boxes` out of `rgb` IN PLACE, one after the other in the order given.

    In place, so that no unblurred copy stays behind. Boxes are checked before the first pixel changes; one partly
    outside the frame is clipped, one entirely outside is skipped. No pixel outside `touched_region` changes.

    Args:
        rgb: writable uint8 (H, W, 3), red, green, blue; any strides.
        boxes: (N, 4) reals: x0, y0, x1, y1 in px of `rgb`, before growing; N may be 0.
    Raises:
        ValueError: not such a frame, or a box that is not finite or is inverted. The frame must then not be used.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected a uint8 frame (H, W, 3), got {rgb.dtype} {rgb.shape}")
    if not rgb.flags.writeable:
        raise ValueError("expected a writable frame: boxes are blurred in place")
    checked = _checked(boxes)
    height, width = rgb.shape[:2]
    for box in checked:
        region = touched_region(box, width, height, config)
        if region is None:
            continue
        if config.mode == "paper":
            _blur_paper(rgb, region, config)
        else:
            _blur_strict(rgb, box, region, config)


def _checked(boxes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"expected boxes (N, 4), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"a box is not finite: {array[~np.isfinite(array).all(axis=1)][0].tolist()}")
    inverted = (array[:, 2] < array[:, 0]) | (array[:, 3] < array[:, 1])
    if inverted.any():
        raise ValueError(f"a box is inverted: {array[inverted][0].tolist()}")
    return array


def _blur_paper(rgb: RGB, region: PixelRegion, config: BlurConfig) -> None:
    """The region is blurred as a picture of its own: neither read nor written outside, mirrored at its edges.

    Rows, then columns, in float32: nine times as fast as cv2.GaussianBlur, which computes uint8 pictures in fixed point
    for a kernel this wide; no pixel differs by more than 1.
    """
    x0, y0, x1, y1 = region
    patch = np.ascontiguousarray(rgb[y0:y1, x0:x1])
    kernel = _gaussian(config.kernel_px, config.sigma_px)
    rgb[y0:y1, x0:x1] = cv2.sepFilter2D(patch, cv2.CV_8U, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)


@lru_cache(maxsize=8)
def _gaussian(kernel_px: int, sigma_px: float) -> npt.NDArray[np.float32]:
    """(kernel_px, 1), of sum 1."""
    return np.asarray(cv2.getGaussianKernel(kernel_px, sigma_px, cv2.CV_32F), np.float32)


def _blur_strict(rgb: RGB, box: npt.NDArray[np.float64], grown: PixelRegion, config: BlurConfig) -> None:
    """Full strength on the box's own pixels, fading to none over the margin."""
    x0, y0, x1, y1 = grown
    sigma_px = max(config.sigma_px, STRICT_SIGMA_SHARE * max(box[2] - box[0], box[3] - box[1]))
    patch = np.ascontiguousarray(rgb[y0:y1, x0:x1])
    blurred = _wide_blur(patch, float(sigma_px))
    across = _strength(x0, x1, math.floor(box[0]), max(math.ceil(box[2]), math.floor(box[0]) + 1))
    down = _strength(y0, y1, math.floor(box[1]), max(math.ceil(box[3]), math.floor(box[1]) + 1))
    strength = np.minimum(across[None, :], down[:, None])[..., None]
    np.copyto(rgb[y0:y1, x0:x1], np.rint(patch + strength * (blurred - patch)).astype(np.uint8))


def _wide_blur(patch: RGB, sigma_px: float) -> npt.NDArray[np.float32]:
    """Gaussian blur at reduced size, so that its cost does not grow with sigma. float32 (H, W, 3), 0 to 255."""
    height, width = patch.shape[:2]
    reduce = max(1.0, max(height, width) / _STRICT_CELLS)
    size = (max(1, round(width / reduce)), max(1, round(height / reduce)))
    small = cv2.resize(patch, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    sigma_x, sigma_y = sigma_px * size[0] / width, sigma_px * size[1] / height
    kernel = (2 * math.ceil(3 * sigma_x) + 1, 2 * math.ceil(3 * sigma_y) + 1)
    soft = cv2.GaussianBlur(small, kernel, sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT_101)
    enlarged = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    # Rounding in float32 may step over the ends of the range, and uint8 would wrap round.
    return np.clip(enlarged, 0.0, 255.0).astype(np.float32, copy=False)


def _strength(start: int, stop: int, inner_start: int, inner_stop: int) -> npt.NDArray[np.float32]:
    """1 on the pixels inner_start .. inner_stop - 1 of start .. stop - 1, falling in equal steps towards both ends."""
    at = np.arange(start, stop)
    before, after = inner_start - at, at - inner_stop + 1
    steps_before, steps_after = max(inner_start - start, 0) + 1, max(stop - inner_stop, 0) + 1
    faded = 1.0 - np.maximum(np.maximum(before, 0) / steps_before, np.maximum(after, 0) / steps_after)
    return faded.astype(np.float32)
