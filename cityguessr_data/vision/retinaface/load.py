"""Which detector a configuration means: our own network, or an installed package behind the same calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .detector import Detections, DetectorConfig, FaceDetector

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Detector(Protocol):
    """What the anonymise stage calls: FaceDetector, or an adapter with the same calls."""

    device: str
    """cpu or cuda."""
    batch: int
    """Frames that are best given at a time."""
    digest: str
    """SHA-256 of the weights file."""

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detections]:
        """See FaceDetector.detect."""


def load_detector(config: DetectorConfig, weights: Path) -> Detector:
    """The detector that `config` asks for: ours, or that of an installed `retinaface-pytorch`.

    Raises:
        WeightsError, MachineError, InputError: see FaceDetector and PypiDetector.
    """
    if config.backend == "pypi":
        from .pypi_adapter import PypiDetector

        return PypiDetector(config, weights)
    return FaceDetector(config, weights)
