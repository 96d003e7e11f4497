"""The most that a device computes: as its maker states it, else measured by a large product of matrices.

Stated figures are of dense products, in operations a second, a multiply-add as two; bf16 and fp16 add up in fp32. A
device that is not here, a CPU among them, is measured; its peak is then what its fastest library reaches, which is less
than what the arithmetic units could do, and the share of it that training reaches comes out the larger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ..run_config import Precision
from ..tables.cost import H100_PEAK

_H100_SXM = {**H100_PEAK, "tf32": 494.7e12}
_A100 = {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "fp16": 312e12}
STATED: Mapping[str, Mapping[str, float]] = {
    "NVIDIA H100 80GB HBM3": _H100_SXM,
    "NVIDIA H100 PCIe": {"fp32": 51e12, "tf32": 378e12, "bf16": 756e12, "fp16": 756e12},
    "NVIDIA H200": _H100_SXM,
    "NVIDIA A100-SXM4-40GB": _A100,
    "NVIDIA A100-SXM4-80GB": _A100,
    "NVIDIA A100-PCIE-40GB": _A100,
    "NVIDIA A100 80GB PCIe": _A100,
    "NVIDIA RTX A6000": {"fp32": 38.7e12, "tf32": 77.4e12, "bf16": 154.8e12, "fp16": 154.8e12},
    "NVIDIA L40S": {"fp32": 91.6e12, "tf32": 183e12, "bf16": 362e12, "fp16": 362e12},
    "NVIDIA L4": {"fp32": 30.3e12, "tf32": 60e12, "bf16": 121e12, "fp16": 121e12},
    "NVIDIA GeForce RTX 4090": {"fp32": 82.6e12, "tf32": 82.6e12, "bf16": 165.2e12, "fp16": 165.2e12},
}
"""By the name that torch gives. A name is looked up whole: part of a GPU, or another model of it, is not the same."""

_SIDE = {"cpu": 2048, "cuda": 8192}
_TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LEAST_S = 0.5


@dataclass(frozen=True)
class Peak:
    """What shares are of."""

    flops_per_s: float
    kind: str
    """fp32, tf32, bf16 or fp16."""
    stated: bool
    """By the maker; False: measured on this machine, in this run."""
    about: str
    """Where the figure is from, in words."""


def device_name(device: torch.device) -> str:
    """As torch names a GPU; `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def kind_of(precision: Precision, device: torch.device) -> str:
    """What products of a run are computed in: its precision, or tf32 where torch was told to round fp32 to it."""
    loose = device.type == "cuda" and torch.get_float32_matmul_precision() != "highest"
    return "tf32" if precision == "fp32" and loose else precision


def product(device: torch.device, kind: str, side: int | None = None) -> tuple[Callable[[], object], float]:
    """A product of two square matrices to be called again and again, and its operations.

    Args:
        side: rows of each; None: as many as fill such a device.
    """
    side = side or _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(_TYPES[kind]) for _ in range(2))
    into = torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=into)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return multiply, 2.0 * side**3


def measured(device: torch.device, kind: str, least_s: float = _LEAST_S, side: int | None = None) -> float:
    """Operations a second of the quickest of many such products, after some that are not counted."""
    multiply, operations = product(device, kind, side)
    multiply()
    quickest_s, until = float("inf"), time.perf_counter() + least_s
    while quickest_s == float("inf") or time.perf_counter() < until:
        start = time.perf_counter()
        multiply()
        quickest_s = min(quickest_s, time.perf_counter() - start)
    return operations / quickest_s


def find_peak(device: torch.device, kind: str) -> Peak:
    """The stated peak where there is one, else the measured one."""
    name = device_name(device)
    if kind in STATED.get(name, {}):
        return Peak(STATED[name][kind], kind, True, f"{name}, dense, as its maker states it")
    side = _SIDE[device.type]
    about = f"the quickest product of two {side} x {side} matrices, measured in this run"
    return Peak(measured(device, kind), kind, False, about)
