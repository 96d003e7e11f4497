"""Names the scene of a frame: one of the 365 Places365 categories, by any of several models behind one call.

Sixteen-class labels of clips are made from these in core/places365.py; "we implement a pre-trained scene classification
model provided in [Places2], and get labels for all frames" (paper, section 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.places365 import Parents

from .runtimes import DeviceName, PrecisionName

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

RESNETS = {"resnet18": "places365-resnet18", "resnet50": "places365-resnet50"}
"""Models with official Places365 weights, and the name of those among the project's weights."""


@dataclass(frozen=True)
class SceneConfig:
    """Which scene model runs, and where. The default model is the project's choice; the paper does not name one."""

    model: str = "resnet18"
    """`resnet18`, `resnet50`, the path of an .onnx file with a .json beside it, or `off`."""
    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda`."""
    precision: str = "auto"
    """`auto` (fp32), `fp32`, `bf16`, or on a GPU `fp16`; an ONNX file brings its own."""
    parents: Parents = "split"
    """How a category of several classes counts in the soft label: `split` or `first` (core/places365.py)."""

    def __post_init__(self) -> None:
        if self.model not in (*RESNETS, "off") and not self.model.endswith(".onnx"):
            raise InputError(f"unknown scene model {self.model!r}", "Give resnet18, resnet50, a FILE.onnx, or off")
        for value, allowed in (
            (self.device, get_args(DeviceName)),
            (self.precision, get_args(PrecisionName)),
            (self.parents, get_args(Parents)),
        ):
            if value not in allowed:
                raise InputError(f"unknown value {value!r} for scenes", f"Give one of {', '.join(allowed)}")


class SceneClassifier(Protocol):
    """A loaded scene model."""

    @property
    def digest(self) -> str:
        """SHA-256, 64 hex digits, of the files that determine its answers (the ONNX file's bytes, then its JSON's)."""
        ...

    @property
    def batch(self) -> int:
        """Frames that are best given at a time."""
        ...

    def classify(self, rgb: RGB) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
        """The most probable category of each frame.

        Args:
            rgb: uint8 (B, H, W, 3), red, green, blue; B may be 0.
        Returns:
            categories int16 (B,), 0-364, and their probabilities float32 (B,).
        """
        ...

    def shown(self, rgb: RGB) -> npt.NDArray[np.float32]:
        """What the network is shown of frames: resized, cropped, normalised."""
        ...

    def logits(self, shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The bare network: (B, 365)."""
        ...


def load_classifier(config: SceneConfig, threads: int = 1) -> SceneClassifier | None:
    """Load the model that `config` names; None where it is off.

    Args:
        threads: on a processor.
    Raises:
        InputError: an ONNX file that is not there, or whose JSON is missing or wrong.
        WeightsError: the weights are missing, are not the file they should be, or do not give 365 logits.
        MachineError: CUDA is asked for and is not there.
    """
    if config.model == "off":
        return None
    from . import scene_models, weights

    if config.model in RESNETS:
        path = weights.find(RESNETS[config.model])
        return scene_models.load_resnet(config.model, path, config.device, config.precision, threads)
    return scene_models.load_onnx(Path(config.model), config.device, threads)


def scene_files(config: SceneConfig) -> tuple[Path, ...]:
    """The files that determine the answers of the model that `config` names; empty where it is off. Loads nothing.

    Raises:
        WeightsError: the weights are missing or are not the file they should be.
        InputError: the ONNX file or the JSON beside it is not there.
    """
    from . import weights

    if config.model == "off":
        return ()
    if config.model in RESNETS:
        return (weights.find(RESNETS[config.model]),)
    files = (Path(config.model), Path(config.model).with_suffix(".json"))
    for path in files:
        if not path.is_file():
            raise InputError(
                f"the scene model needs {path}, which is not there",
                "Give an .onnx file with a .json beside it, resnet18, resnet50 or off",
            )
    return files
