"""Runs RetinaFace in PyTorch: loads the weights of any of the three published files and returns deltas and scores."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cityguessr_data.core.errors import MachineError, WeightsError
from cityguessr_data.vision.weights import load_state_dict

from .net import Backbone, RetinaFace, fold_batch_norms, rename_published
from .onnx_graph import folded_state_dict
from .preprocess import NORMALISATIONS, as_network_input


def load_network(backbone: Backbone, weights: Path, fold: bool = True, landmarks: bool = False) -> RetinaFace:
    """The network in eval mode on the CPU, in channels-last memory.

    Args:
        weights: a published state dict (.pth, .zip), or the ONNX graph of MobileNet-0.25, which is folded already.
        fold: merge batch norms into convolutions; outputs agree with the unfolded ones to 1e-4.
    Raises:
        WeightsError: a tensor is missing, is too many or has another shape.
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
    if fold and not folded_file:
        fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last).requires_grad_(False)


def choose_device(device: str) -> torch.device:
    """`auto` takes the GPU where there is one.

    Raises:
        MachineError: cuda asked for, and this machine or this torch has none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise MachineError("no CUDA device was found", "Use --device auto or cpu, or install torch for your GPU")
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")


class TorchBackend:
    """Same numbers on every run of the same machine: fp32, no TF32, no autotuning."""

    def __init__(self, backbone: Backbone, weights: Path, device: str) -> None:
        self.device = choose_device(device)
        self.device_name = self.device.type
        self._normalisation = NORMALISATIONS[backbone]
        self._network = load_network(backbone, weights).to(self.device)

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB on the CPU -> deltas (B, N, 4), face probabilities (B, N), float32 on the device."""
        images = as_network_input(rgb.to(self.device), self._normalisation)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            deltas, logits = self._network(images)
        return deltas, torch.softmax(logits, dim=-1)[..., 1]
