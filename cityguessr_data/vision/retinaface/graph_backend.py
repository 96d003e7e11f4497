"""Runs RetinaFace as an ONNX graph, in OpenVINO or ONNX Runtime, from any weights file that torch_backend.py reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cityguessr_data.core.errors import CgtoolError, MachineError
from cityguessr_data.vision.runtimes import TITLES, open_graph

from .onnx_write import onnx_bytes
from .preprocess import NORMALISATIONS
from .torch_backend import load_network

if TYPE_CHECKING:
    from torch import Tensor

    from .net import Backbone


class GraphBackend:
    """Same call and same numbers as TorchBackend. The graph is made in memory at every start, in under a second.

    Args:
        library: onnx or openvino. device: auto, cpu or cuda. precision: fp32, or bf16 in OpenVINO.
    Raises:
        WeightsError: the file is not that network's. MachineError: the library cannot run the graph.
    """

    def __init__(self, backbone: Backbone, weights: Path, library: str, device: str, precision: str) -> None:
        graph = onnx_bytes(load_network(backbone, weights), NORMALISATIONS[backbone])
        try:
            self._graph = open_graph(graph, library, device, precision)
        except CgtoolError:
            raise
        except Exception as exc:  # the libraries' own exceptions share no other base class
            raise MachineError(
                f"{TITLES[library]} cannot run the face detector ({' '.join(str(exc).split())[:200]})",
                "Use --detector-backend torch, or install a newer one",
            ) from exc
        self.device_name = self._graph.device

    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB -> deltas (B, N, 4), logits (B, N, 2) of background and face, float32 on the CPU."""
        deltas, logits = self._graph(rgb.numpy())
        return torch.from_numpy(deltas), torch.from_numpy(logits)
