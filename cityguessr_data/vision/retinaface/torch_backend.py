"""Runs RetinaFace in PyTorch: loads the weights of any of the three published files and returns deltas and scores."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cityguessr_data.core.errors import WeightsError
from cityguessr_data.vision.folding import fold_batch_norms
from cityguessr_data.vision.weights import load_state_dict

from .net import Backbone, RetinaFace, rename_published
from .onnx_graph import folded_state_dict
from .preprocess import NORMALISATIONS, as_network_input


def load_network(backbone: Backbone, weights: Path, fold: bool = True, landmarks: bool = False) -> RetinaFace:
    """The network in eval mode on the CPU, in channels-last memory.

    Args:
        weights: a published state dict (.pth, .zip), or the ONNX graph of MobileNet-0.25, which is folded already.
        fold: merge batch norms into convolutions; outputs agree with the unfolded ones to 1e-4.
    Raises:
        WeightsError: a tensor is missing, is too many, has another shape or is not finite.
    """
    network = RetinaFace(backbone, landmarks).eval()
    folded_file = weights.suffix == ".onnx"
    if folded_file:
        fold_batch_norms(network)
        state: dict[str, Tensor] = folded_state_dict(weights)
    else:
        state = rename_published(load_state_dict(weights))
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as exc:
        first = str(exc).strip().splitlines()[:2]
        raise WeightsError(
            f"{weights.name} does not hold RetinaFace {backbone} ({' '.join(line.strip() for line in first)[:300]})",
            "Choose the --detector that belongs to the file, or fetch the file again",
        ) from exc
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        # OpenVINO takes what is no number for 0 on its way through the layers, and would find no face
        raise WeightsError(f"{weights.name} holds numbers that are not finite", "Fetch the file again")
    if fold and not folded_file:
        fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last).requires_grad_(False)


class TorchBackend:
    """Same numbers on every run of the same machine: no TF32, no autotuning.

    Args:
        precision: fp32, or bf16 or fp16, in which all but the normalising of pixels is computed.
    """

    def __init__(self, backbone: Backbone, weights: Path, device: torch.device, precision: str = "fp32") -> None:
        self.device, self.device_name = device, device.type
        self._type = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._normalisation = NORMALISATIONS[backbone]
        self._network = load_network(backbone, weights).to(self.device, self._type)
        if not all(bool(tensor.isfinite().all()) for tensor in self._network.state_dict().values()):
            raise WeightsError(f"{weights.name} holds numbers too large for {precision}", "Give --precision fp32")

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB on the CPU -> deltas (B, N, 4), logits (B, N, 2), float32 on the device."""
        images = as_network_input(rgb.to(self.device), self._normalisation).to(self._type)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            deltas, logits = self._network(images)
        return deltas.float(), logits.float()
