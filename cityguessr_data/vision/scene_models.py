"""The makes of scene model: torchvision ResNets with the released Places365 weights, and any ONNX file.

Imported only where a model is loaded: torch and ONNX Runtime take seconds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError, MachineError, WeightsError
from cityguessr_data.core.fingerprint import file_sha256
from cityguessr_data.core.places365 import N_CATEGORIES

from . import weights
from .folding import fold_batch_norms
from .resnet_onnx import resnet_bytes
from .runtimes import find_device, library_of, onnx_session, open_graph, precision_of
from .scene_input import RESNET_INPUT, OnnxScene, prepared, read_onnx_scene
from .scene_scores import top1_of_logits

if TYPE_CHECKING:
    import onnxruntime
    import torch
    from torchvision.models import ResNet

    from cityguessr_data.core.types import RGB

    from .runtimes import Graph

_GPU_BATCH = 32  # frames a pass on a GPU; on a processor one, where more gain nothing
Top1 = tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]


class TorchScenes:
    """A ResNet of torchvision with 365 classes, in torch; its input is RESNET_INPUT."""

    def __init__(self, network: ResNet, digest: str, device: torch.device, precision: str) -> None:
        import torch

        self.digest = digest
        self.batch = _GPU_BATCH if device.type == "cuda" else 1
        self._network = network.eval().to(device)
        self._device = device
        self._half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)

    def classify(self, rgb: RGB) -> Top1:
        """See SceneClassifier."""
        if not len(rgb):
            return top1_of_logits(np.zeros((0, N_CATEGORIES)))
        return top1_of_logits(self.logits(self.shown(rgb)))

    def shown(self, rgb: RGB) -> npt.NDArray[np.float32]:
        """What the network is shown of frames."""
        return prepared(rgb, RESNET_INPUT)

    def logits(self, shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The bare network: (B, 365)."""
        import torch

        on_device = torch.from_numpy(shown).to(self._device)
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        half = torch.autocast(self._device.type, self._half, enabled=self._half is not None)
        with torch.inference_mode(), exact, half:
            logits = self._network(on_device)
        found: npt.NDArray[np.float32] = logits.float().cpu().numpy()
        return found


class GraphScenes:
    """The same on a processor, as an ONNX graph."""

    batch = 1

    def __init__(self, graph: Graph, digest: str) -> None:
        self.digest = digest
        self._graph = graph

    def classify(self, rgb: RGB) -> Top1:
        """See SceneClassifier."""
        if not len(rgb):
            return top1_of_logits(np.zeros((0, N_CATEGORIES)))
        return top1_of_logits(self.logits(self.shown(rgb)))

    def shown(self, rgb: RGB) -> npt.NDArray[np.float32]:
        """What the network is shown of frames."""
        return prepared(rgb, RESNET_INPUT)

    def logits(self, shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The bare network: (B, 365)."""
        return self._graph(shown)[0]


class OnnxScenes:
    """An ONNX file of 365 logits, in ONNX Runtime; its input is what the JSON beside it says."""

    def __init__(self, session: onnxruntime.InferenceSession, spec: OnnxScene, digest: str) -> None:
        self.digest = digest
        self.batch = _GPU_BATCH if "CUDAExecutionProvider" in session.get_providers() else 1
        self._session = session
        self._spec = spec

    def classify(self, rgb: RGB) -> Top1:
        """See SceneClassifier."""
        if not len(rgb):
            return top1_of_logits(np.zeros((0, N_CATEGORIES)))
        return top1_of_logits(self.logits(self.shown(rgb)))

    def shown(self, rgb: RGB) -> npt.NDArray[np.float32]:
        """What the network is shown of frames."""
        return prepared(rgb, self._spec.input)

    def logits(self, shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The file's output (B, 365) for its input, which `prepared` makes."""
        logits: npt.NDArray[np.float32] = self._session.run([self._spec.output_name], {self._spec.input_name: shown})[0]
        return logits


def load_resnet(arch: str, path: Path, device: str, precision: str, threads: int = 0) -> TorchScenes | GraphScenes:
    """Load `arch` (`resnet18` or `resnet50`) with the released weights at `path`, to run as runtimes.py says.

    Args:
        threads: on a processor; 0: the worker's share.
    Raises:
        WeightsError: the file holds another network, or none.
        MachineError: CUDA is asked for and is not there. InputError: a precision that the device does not have.
    """
    import torchvision

    chosen, precision = find_device(device), precision_of(precision)
    library = library_of("auto", chosen.type, precision)
    network = torchvision.models.get_model(arch, weights=None, num_classes=N_CATEGORIES).eval()
    try:
        network.load_state_dict(weights.load_state_dict(path), strict=True)
    except RuntimeError as exc:
        raise WeightsError(
            f"{path} is not a Places365 {arch}: {' '.join(str(exc).split())[:200]}",
            "Run `cgtool weights verify`",
        ) from exc
    if library == "torch":
        return TorchScenes(network, file_sha256(path), chosen, precision)
    fold_batch_norms(network)
    graph = resnet_bytes(network, N_CATEGORIES)
    return GraphScenes(open_graph(graph, library, chosen.type, precision, threads), file_sha256(path))


def load_onnx(path: Path, device: str, threads: int) -> OnnxScenes:
    """Load an ONNX scene model with the JSON beside it, and see that it gives 365 logits.

    Raises:
        InputError: the file is not there, or its JSON is missing or wrong.
        WeightsError: it is no ONNX file, or not one that the JSON describes.
        MachineError: CUDA is asked for and this ONNX Runtime has none.
    """
    if threads < 1:
        raise ValueError(f"expected one thread or more, got {threads}")
    if not path.is_file():
        raise InputError(f"the scene model {path} is not there", "Give another path, resnet18, resnet50 or off")
    spec = read_onnx_scene(path)
    try:
        session = onnx_session(path, device, threads)
    except MachineError:
        raise
    except Exception as exc:  # ONNX Runtime's errors have no common class
        raise _not_fit(path, f"ONNX Runtime cannot read it ({' '.join(str(exc).split())[:200]})") from exc
    size = spec.input.size_px
    trial = np.full((2, size, size, 3), 127, np.uint8)
    model = OnnxScenes(session, spec, _pair_sha256(path))
    try:
        logits = model.logits(model.shown(trial))
    except Exception as exc:
        raise _not_fit(path, f"it does not take the input its JSON tells ({' '.join(str(exc).split())[:200]})") from exc
    if logits.shape != (2, N_CATEGORIES):
        raise _not_fit(path, f"expected {N_CATEGORIES} logits a frame, got shape {logits.shape} for 2 frames")
    if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        raise _not_fit(path, "its output is probabilities, expected logits (before the softmax)")
    return model


def _pair_sha256(onnx_path: Path) -> str:
    """As `cat FILE.onnx FILE.json | sha256sum` gives it: the same weights shown other pixels are another model."""
    digest = hashlib.sha256(onnx_path.read_bytes())
    digest.update(onnx_path.with_suffix(".json").read_bytes())
    return digest.hexdigest()


def _not_fit(path: Path, why: str) -> WeightsError:
    json_name = path.with_suffix(".json").name
    return WeightsError(f"{path} is no scene model we can use: {why}", f"Mend {json_name}, or take another file")
