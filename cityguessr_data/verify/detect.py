"""A second detection over frames that are blurred already: information, and no check.

The paper's blur is mild: a detector still finds some of the faces that it blurred, and finds none in others that it
missed the first time. So neither answer proves anything; frames are compared with their sources for that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ..build_config import find_detector
from ..core.errors import InputError, MediaError
from ..core.frame_files import FrameFiles
from ..core.partitions import manifest_files
from ..media.pictures import read_picture
from ..run.store import Store
from ..stages.anonymise import AnonymiseConfig
from ..vision.kinds import FACE
from ..vision.retinaface.detector import DetectorConfig
from .asked import Asked

WHY_NO_PROOF = "this proves nothing: a detector finds some faces through the blur, and may miss others without one"


@dataclass(frozen=True)
class Detected:
    """What was found."""

    n_frames: int
    n_faces: int
    """Of the threshold and over."""
    n_boxes: int
    """Faces of these frames that were blurred, by the tables."""


def detect_again(out: Path, n: int) -> Detected:
    """Detect faces in `n` saved frames, spread over the data set by a hash of their names.

    Raises:
        InputError: it was never anonymised.
        WeightsError: the detector's weights are missing.
    """
    store = Store(out)
    dataset = store.dataset() or {}
    asked = Asked.of(dataset)
    if asked.threshold is None:
        raise InputError(f"the frames of {out} were never anonymised", f"Run `cgtool anonymise {out}` first")
    config = DetectorConfig(**dataset["config"]["anonymise"]["detector"])
    detector = FACE.load_detector_factory()(config, find_detector(AnonymiseConfig(config)))
    files, n_frames, n_faces, n_boxes = FrameFiles(out), 0, 0, 0
    for path, blurred in _chosen(store, n):
        try:
            rgb = read_picture(files, path, None)
        except MediaError:
            continue  # told by the check of its bytes
        found = detector.detect(rgb[np.newaxis])[0]
        n_frames, n_boxes = n_frames + 1, n_boxes + blurred
        n_faces += int((found.scores >= asked.threshold).sum())
    return Detected(n_frames, n_faces, n_boxes)


def _chosen(store: Store, n: int) -> list[tuple[str, int]]:
    """(path, blurred faces) of n frames."""
    best: list[tuple[bytes, str, int]] = []
    for file in manifest_files(store.out / "manifests" / "frames.parquet"):
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(columns=["path", "n_faces"]):
                for path, blurred in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    best.append((hashlib.blake2b(path.encode(), digest_size=8).digest(), path, blurred or 0))
                best = sorted(best)[:n]
    return [(path, blurred) for _, path, blurred in best]
