"""Runs RetinaFace as an ONNX graph, in OpenVINO or ONNX Runtime, from any weights file that torch_backend.py reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cityguessr_data.core.errors import CgtoolError, MachineError
from cityguessr_data.vision.runtimes import TITLES, open_graph

from .onnx_write import onnx_bytes
from .preprocess import NORMALISATIONS, Normalisation, as_network_input
from .torch_backend import load_network

if TYPE_CHECKING:
    from torch import Tensor

    from .net import Backbone, RetinaFace

_APART = 1e-2
"""Of the largest number; as measured, libraries are 1e-5 apart."""


class GraphBackend:
    """Same call and same numbers as TorchBackend. The graph is made in memory at every start, in under a second.

    Args:
        library: onnx or openvino. device: auto, cpu or cuda. precision: fp32, or bf16 in OpenVINO.
    Raises:
        WeightsError: the file is not that network's. MachineError: the library cannot run the graph.
    """

    def __init__(self, backbone: Backbone, weights: Path, library: str, device: str, precision: str) -> None:
        network, normalisation = load_network(backbone, weights), NORMALISATIONS[backbone]
        graph = onnx_bytes(network, normalisation)
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
        if precision == "fp32":
            self._check(network, normalisation, library)

    @torch.inference_mode()
    def _check(self, network: RetinaFace, normalisation: Normalisation, library: str) -> None:
        """See on one small picture that the library computes what PyTorch does: on another processor, or in another
        release of it, nobody has looked, and faces that it does not find stay bare."""
        picture = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), dtype=np.uint8)
        wanted = network(as_network_input(torch.from_numpy(picture), normalisation))
        for found, expected in zip(self(torch.from_numpy(picture)), wanted, strict=True):
            if not (found - expected).abs().max() <= _APART * max(1.0, float(expected.abs().max())):
                raise MachineError(
                    f"{TITLES[library]} computes another face detector than PyTorch on this machine",
                    "Use --detector-backend torch, and report it",
                )

    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB -> deltas (B, N, 4), logits (B, N, 2) of background and face, float32 on the CPU."""
        deltas, logits = self._graph(rgb.numpy())
        return torch.from_numpy(deltas), torch.from_numpy(logits)
