"""A model in OpenVINO leaves the thread's stack for signals alone, and a signal is heard after the model has gone."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cityguessr_data.vision.retinaface import load_detector
from cityguessr_data.vision.retinaface.detector import DetectorConfig
from cityguessr_data.vision.signal_stack import own_signal_stack

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack(2) of Linux")


class Stack(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("n_bytes", ctypes.c_size_t))


def current() -> tuple[int | None, int, int]:
    stack = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.address, stack.flags, stack.n_bytes


@pytest.fixture
def heard() -> Iterator[list[int]]:
    numbers: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGINT, before)


def test_another_stack_is_taken_away_again() -> None:
    before, memory = current(), ctypes.create_string_buffer(65_536)
    other = Stack(ctypes.addressof(memory), 0, len(memory))
    with own_signal_stack():
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None) == 0
        assert current() != before
    assert current() == before


def test_a_detector_in_openvino(detector_weights: Path, heard: list[int]) -> None:
    pytest.importorskip("openvino")
    before = current()
    detector = load_detector(DetectorConfig(name="mobilenet0.25", backend="openvino"), detector_weights)
    for size in ((120, 160), (96, 96)):
        detector.detect(np.zeros((2, *size, 3), np.uint8))
        assert current() == before
    del detector
    gc.collect()
    signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGINT]
