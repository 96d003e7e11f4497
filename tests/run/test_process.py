"""What a worker process is set up with, and how many of them there are where nobody says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cityguessr_data.run import local
from cityguessr_data.run.local import LocalExecutor, usual_workers

FRAMES = """
import resource, sys
if sys.argv[1] == "prepared":
    from cityguessr_data.run.process import prepare_worker
    prepare_worker(3)
import os, cv2, numpy as np
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(60):
    frames = [np.ones((720, 1280, 3), np.uint8) for _ in range(4)]
    if number == 9:
        before = faults()
    del frames
print((faults() - before) // 200, os.environ.get("OMP_NUM_THREADS"), cv2.getNumThreads())
"""


def told(how: str) -> list[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MALLOC_"))}
    done = subprocess.run([sys.executable, "-c", FRAMES, how], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library")
def test_a_frame_is_made_where_the_last_one_was() -> None:
    """A frame of 720p is 675 pages of 4 kB; pages that are handed back to the system fault when they are asked for."""
    assert int(told("plain")[0]) > 100
    faults, threads, cv2_threads = told("prepared")
    assert int(faults) < 20
    assert (threads, cv2_threads) == ("3", "3")


def machine(monkeypatch: pytest.MonkeyPatch, cores: int, gib: float, gpu: bool = False) -> None:
    monkeypatch.setattr(local, "n_cores", lambda: cores)
    monkeypatch.setattr(local.os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else int(gib * 2**30))
    monkeypatch.setattr(local, "_CONTAINER_LIMIT", Path("/nowhere"))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: gpu if str(path) == "/dev/nvidia0" else exists(path))


@pytest.mark.parametrize(
    ("cores", "gib", "gpu", "device", "workers"),
    [(2, 24, False, "auto", 2), (16, 8, False, "auto", 4), (16, 1, False, "auto", 1), (1, 64, False, "auto", 1),
     (16, 128, True, "auto", 4), (16, 128, True, "cpu", 16), (2, 24, True, "cuda", 2)],
)  # fmt: skip
def test_a_worker_a_core_where_there_is_memory_for_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, gib: float, gpu: bool, device: str, workers: int
) -> None:
    machine(monkeypatch, cores, gib, gpu)
    assert usual_workers(device) == workers
    assert LocalExecutor(None, device).workers == workers
    assert LocalExecutor(3, device).workers == 3


def test_a_container_may_have_less_memory_than_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, 64, 256)
    monkeypatch.setattr(local, "_CONTAINER_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text("max\n")
    assert usual_workers() == 64
    (tmp_path / "memory.max").write_text(f"{8 << 30}\n")
    assert usual_workers() == 4
