"""Runs RetinaFace in ONNX Runtime, from the published MobileNet-0.25 graph; batch, height and width are free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cityguessr_data.core.errors import InputError, MachineError, WeightsError

from .preprocess import NORMALISATIONS, as_network_input

if TYPE_CHECKING:
    from torch import Tensor

    from .net import Backbone


class OnnxBackend:
    """Same call as TorchBackend. The graph ends in the softmax, so its `conf` output holds probabilities."""

    def __init__(self, backbone: Backbone, weights: Path, device: str) -> None:
        import onnxruntime as ort

        if weights.suffix != ".onnx":
            raise InputError(
                f"the onnx back end cannot read {weights.name}",
                "It needs an .onnx file; use the torch back end for a PyTorch file",
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # one setting for the process rules both back ends
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores free
        try:
            self._session = ort.InferenceSession(str(weights), options, providers=_providers(device))
        except MachineError:
            raise
        except Exception as exc:  # onnxruntime's own exceptions share no other base class
            message = f"{weights.name} cannot be loaded by ONNX Runtime ({exc})"
            raise WeightsError(message, "Fetch the file again") from exc
        outputs = {output.name for output in self._session.get_outputs()}
        if not {"loc", "conf"} <= outputs:
            message = f"{weights.name} has outputs {sorted(outputs)}, expected loc and conf"
            raise WeightsError(message, "Use the published graph")
        self._input = self._session.get_inputs()[0].name
        self._normalisation = NORMALISATIONS[backbone]
        self.device_name = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB -> deltas (B, N, 4) and face probabilities (B, N), float32 on the CPU."""
        images = as_network_input(rgb, self._normalisation).contiguous().numpy()
        deltas, probs = self._session.run(["loc", "conf"], {self._input: images})
        return torch.from_numpy(deltas), torch.from_numpy(probs)[..., 1]


def _providers(device: str) -> list[str]:
    import onnxruntime as ort

    has_cuda = "CUDAExecutionProvider" in ort.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise MachineError("this ONNX Runtime has no CUDA", "Use --device auto or cpu, or install onnxruntime-gpu")
    first = ["CUDAExecutionProvider"] if has_cuda and device != "cpu" else []
    return [*first, "CPUExecutionProvider"]
