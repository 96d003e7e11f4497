"""Real pictures with faces: photos and frames of clips of $CGTOOL_ASSETS, else what pip brings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .footage import clips

if TYPE_CHECKING:
    import numpy.typing as npt

    RGB = npt.NDArray[np.uint8]


def photos() -> dict[str, RGB]:
    """Name -> (H, W, 3) uint8 RGB."""
    import cv2

    folder = _folder()
    if folder is None:
        from skimage.data import astronaut

        return {"astronaut": astronaut()}
    return {path.name: cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in sorted(folder.glob("*.jpg"))}


def ground_truth() -> dict[str, npt.NDArray[np.float64]]:
    """Name of a photo -> the boxes (N, 4) x0, y0, x1, y1 in px that people drew; without assets none."""
    folder = _folder()
    if folder is None:
        return {}
    told = json.loads((folder / "ground_truth.json").read_text(encoding="utf-8"))
    boxes = {name: np.array(photo["boxes_xywh"], np.float64) for name, photo in told.items()}
    return {name: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1) for name, b in boxes.items()}


def clip_frames(n_per_clip: int, n_clips: int | None = None) -> dict[str, list[RGB]]:
    """Name of a clip -> frames of it at equal distances, from the first on, in its own size."""
    from cityguessr_data.media.decode import decode, index_video

    frames = {}
    for clip in clips()[:n_clips]:
        index = index_video(clip)
        n_frames = index.info.n_frames
        wanted = {place * n_frames // n_per_clip for place in range(n_per_clip)}
        frames[clip.name] = [frame.rgb for frame in decode(clip, wanted, max(wanted) + 1, index)]
    return frames


def _folder() -> Path | None:
    assets = os.environ.get("CGTOOL_ASSETS")
    folder = Path(assets) / "faces" if assets else None
    return folder if folder is not None and (folder / "ground_truth.json").is_file() else None
