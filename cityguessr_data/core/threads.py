"""How many threads a process may keep busy: a worker has its share of the cores, told by $OMP_NUM_THREADS."""

from __future__ import annotations

import os

VARIABLE = "OMP_NUM_THREADS"
"""torch reads it too, when it is first imported: one setting rules decoder, torch, OpenVINO and ONNX Runtime."""


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_threads() -> int:
    """This process's share of the cores; all of them where nothing was told."""
    told = os.environ.get(VARIABLE, "")
    return int(told) if told.isdigit() and int(told) > 0 else n_cores()
