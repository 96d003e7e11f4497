"""What a network computes in: the device, the library and the precision, and the rule by which `auto` picks them.

* device: the GPU where torch finds one, else the processor.
* library: torch on a GPU; on a processor OpenVINO where it is installed, else ONNX Runtime (in bf16 torch). In fp32 all
  of them find the same faces (docs/benchmarks.md), so which one ran is no part of what a data set is.
* precision: fp32. bf16 loses faces that fp32 finds (docs/benchmarks.md says how many), so nobody gets it without asking
  for it. fp16 is for a GPU.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.core.threads import worker_threads
from cityguessr_data.vision.signal_stack import own_signal_stack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from onnxruntime import InferenceSession

DeviceName = Literal["auto", "cpu", "cuda"]
Library = Literal["auto", "torch", "onnx", "openvino"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]

TITLES = {"torch": "PyTorch", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}


class Graph(Protocol):
    """An ONNX graph, ready to run."""

    device: str
    """cpu or cuda."""

    def __call__(self, fed: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """The outputs, in the graph's order, for its one input."""
        ...


def find_device(device: str) -> torch.device:
    """`auto` takes the GPU where there is one.

    Raises:
        MachineError: cuda asked for, and this machine or this torch has none.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise MachineError("no CUDA device was found", "Use --device auto or cpu, or install torch for your GPU")
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")


def precision_of(precision: str) -> str:
    """What `auto` means; the same on every machine, since it decides which faces are found."""
    return "fp32" if precision == "auto" else precision


def library_of(library: str, device_type: str, precision: str) -> str:
    """The library that runs a network, by the rule above.

    Args:
        device_type: cpu or cuda. precision: auto, fp32, bf16 or fp16.
    Raises:
        InputError: a precision that the library or the device does not have.
        MachineError: the library is asked for and not installed.
    """
    precision = precision_of(precision)
    if library == "auto":
        slow = "onnx" if precision == "fp32" else "torch"
        library = "torch" if device_type == "cuda" else "openvino" if find_spec("openvino") else slow
    if library == "openvino" and not find_spec("openvino"):
        raise MachineError("OpenVINO is not installed", 'pip install "cgtool[openvino]", or --detector-backend auto')
    if precision == "fp16" and library == "openvino":
        raise InputError("OpenVINO has no fp16 here", "Give --precision bf16 or fp32")
    if precision == "fp16" and device_type == "cpu":
        raise InputError("a processor has no fp16 here", "Give --precision bf16 or fp32, or use a GPU")
    if precision != "fp32" and library == "onnx":
        raise InputError(f"ONNX Runtime computes in fp32, not in {precision}", "Give --detector-backend auto")
    return library


def open_graph(
    graph: bytes | Path, library: str, device: str = "cpu", precision: str = "fp32", threads: int = 0
) -> Graph:
    """Make an ONNX graph ready to run.

    Args:
        graph: a serialised model, or its file.
        library: onnx or openvino.
        device: auto, cpu or cuda. threads: 0: the worker's share.
    Raises:
        MachineError: no CUDA where it was asked for, no bf16 in this processor.
        Exception: the library's own, where it cannot run the graph: they have no common class.
    """
    threads = threads or worker_threads()
    if library == "openvino":
        return _OpenVino(graph, device, precision, threads)
    return _OnnxRuntime(graph, device, threads)


class _OnnxRuntime:
    def __init__(self, graph: bytes | Path, device: str, threads: int) -> None:
        self._session = onnx_session(graph, device, threads)
        self.device = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"
        self._fed = self._session.get_inputs()[0].name

    def __call__(self, fed: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        found: list[npt.NDArray[np.float32]] = self._session.run(None, {self._fed: fed})
        return found


class _OpenVino:
    """Free sizes, one stream: a call is one frame, and the worker's threads share it."""

    device = "cpu"

    def __init__(self, graph: bytes | Path, device: str, precision: str, threads: int) -> None:
        import openvino

        if device == "cuda":
            raise MachineError("OpenVINO has no CUDA", "Give --detector-backend auto, or --device cpu")
        with own_signal_stack():
            core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise MachineError("this processor has no bf16", "Give --precision fp32")
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several workers would sit on the same first cores
        }
        with own_signal_stack():
            self._request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()

    def __call__(self, fed: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        with own_signal_stack():  # the first call for a size compiles too
            found = self._request.infer({0: fed})  # copied in and out: a shared frame would stay alive in the request
        return list(found.values())


def onnx_session(graph: bytes | Path, device: str, threads: int) -> InferenceSession:
    """A session of ONNX Runtime, on CUDA where it has that.

    Args:
        device: auto, cpu or cuda.
    Raises:
        MachineError: cuda asked for, and this ONNX Runtime has none.
        Exception: it cannot run the graph; its exceptions have no common class.
    """
    import onnxruntime as ort

    has_cuda = "CUDAExecutionProvider" in ort.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise MachineError("this ONNX Runtime has no CUDA", "Use --device auto or cpu, or install onnxruntime-gpu")
    # without TF32, in which convolutions of fp32 would be computed by default
    first = [("CUDAExecutionProvider", {"use_tf32": "0"})] if has_cuda and device != "cpu" else []
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the cores free
    options.enable_mem_pattern = False  # a plan of memory for each frame size: 180 MB more at 720p, and not faster
    options.log_severity_level = 3  # errors; they come as exceptions too
    return ort.InferenceSession(graph, options, providers=[*first, "CPUExecutionProvider"])
