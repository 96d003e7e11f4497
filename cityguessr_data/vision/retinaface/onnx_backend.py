"""Runs RetinaFace in ONNX Runtime, from any weights file that the torch back end reads; faster on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cityguessr_data.core.errors import MachineError

from .onnx_write import DELTAS, INPUT, PROBS, onnx_bytes
from .preprocess import NORMALISATIONS, as_network_input
from .torch_backend import load_network

if TYPE_CHECKING:
    from torch import Tensor

    from .net import Backbone


class OnnxBackend:
    """Same call and same input as TorchBackend. The graph is made in memory at every start, in under a second.

    Raises:
        WeightsError: the file is not that network's. MachineError: no CUDA where it was asked for, or ONNX Runtime
        cannot run the graph.
    """

    def __init__(self, backbone: Backbone, weights: Path, device: str) -> None:
        import onnxruntime as ort

        providers = _providers(device)
        options = ort.SessionOptions()
        # A worker's share of the cores, $OMP_NUM_THREADS, which torch read: one setting rules both back ends.
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores free
        options.enable_mem_pattern = False  # a plan of memory for each frame size: 180 MB more at 720p, and not faster
        options.log_severity_level = 3  # errors; they come as exceptions too
        graph = onnx_bytes(load_network(backbone, weights))
        try:
            self._session = ort.InferenceSession(graph, options, providers=providers)
        except Exception as exc:  # onnxruntime's own exceptions share no other base class
            raise MachineError(
                f"ONNX Runtime {ort.__version__} cannot run the face detector ({' '.join(str(exc).split())[:200]})",
                "Use --detector-backend torch, or install a newer onnxruntime",
            ) from exc
        self._normalisation = NORMALISATIONS[backbone]
        self.device_name = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB -> deltas (B, N, 4) and face probabilities (B, N), float32 on the CPU."""
        images = as_network_input(rgb, self._normalisation).contiguous().numpy()
        deltas, probs = self._session.run([DELTAS, PROBS], {INPUT: images})
        return torch.from_numpy(deltas), torch.from_numpy(probs)


def _providers(device: str) -> list[str]:
    import onnxruntime as ort

    has_cuda = "CUDAExecutionProvider" in ort.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise MachineError("this ONNX Runtime has no CUDA", "Use --device auto or cpu, or install onnxruntime-gpu")
    first = ["CUDAExecutionProvider"] if has_cuda and device != "cpu" else []
    return [*first, "CPUExecutionProvider"]
