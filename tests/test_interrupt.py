"""Ctrl-C and SIGTERM, once or again and again, in every phase of a build: a clean end, nothing left running, resumable.

Some moments here; `make torture` tries as many as CGTOOL_KILLS says.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support_build import CGTOOL, SHORT, hear_ctrl_c, write_sources
from tests.support_inline import cgtool_inline
from tests.support_kill import assert_same_data, children, committed, gone, leftovers, orphans, wait_for
from tests.support_server import Server, Slow

KILLS = int(os.environ.get("CGTOOL_KILLS", "2"))
WORKERS = "1" if KILLS < 4 else "2"
NETWORK = ("--allow-private-hosts", "--rate", "1e9")
PHASES = ("fetching", "computing", "committing", "publishing", "start", "anything")
SIGNALS = ((signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,))


def wait_until(phase: str, out: Path, process: subprocess.Popen[str], rng: random.Random) -> None:
    """Wait until a build of nothing so far is in a phase."""
    places = {
        "fetching": lambda: any(p.stat().st_size for p in out.parent.glob("out.cache/partial/*/*")),
        "computing": lambda: any((out / ".cgtool" / "staging").glob("*/clips*")),
        "committing": lambda: any((out / "parts" / "clips").glob("*")),
        "publishing": lambda: any((out / ".cgtool" / "manifests").glob("*")) or (out / "manifests").exists(),
    }
    if phase in places:
        wait_for(lambda: process.poll() is not None or places[phase](), 120)
        time.sleep(rng.uniform(0, 0.1))
    else:
        time.sleep(rng.uniform(0, 1.2 if phase == "start" else 8))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(2))
def test_an_interrupted_build_ends_cleanly_and_goes_on(
    tmp_path: Path, face_film: Path, detector_weights: Path, first: int
) -> None:
    for name in ("film0", "film1"):
        shutil.copy(face_film, tmp_path / f"{name}.mp4")
    out, calm, rng = tmp_path / "out", tmp_path / "calm", random.Random(first)
    with Server(tmp_path) as server:
        server.always("/film0.mp4", Slow(0.2))
        rows = [
            {"url": server.url("/film0.mp4"), "city": "Tokyo", "video_id": "film0"},
            {"url": "film1.mp4", "city": "Tokyo", "video_id": "film1"},
        ]
        table = write_sources(tmp_path / "s.csv", rows)
        words = ["build-dataset", str(table), "--workers", WORKERS, *SHORT, *NETWORK, "--out"]
        n_rounds = max(1, KILLS // 4)
        for number in range(first, first + 2 * n_rounds, 2):
            phase, signals = PHASES[number % len(PHASES)], SIGNALS[number % len(SIGNALS)]
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(tmp_path / "out.cache", ignore_errors=True)
            process = subprocess.Popen(
                [*CGTOOL, *words, str(out)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c,
            )  # fmt: skip
            wait_until(phase, out, process, rng)
            workers = children(process.pid)
            for kind in signals:
                if process.poll() is None:
                    process.send_signal(kind)
                    time.sleep(rng.uniform(0, 0.3))
            told = "".join(process.communicate(timeout=120))
            where = (number, phase, signals, process.returncode, told)
            assert "Traceback" not in told, where
            assert "Exception ignored" not in told, where
            if not told:  # before the command began: there is nothing to go on from
                assert phase in ("start", "anything"), where
                assert process.returncode in (130, *(-kind for kind in signals)), where
                assert not (out / ".cgtool").exists(), where
            elif process.returncode == 130:
                assert sum(line.startswith("interrupted") for line in told.splitlines()) == 1, where
            else:
                assert process.returncode == 0, where  # it had just ended
            assert gone(workers), "a worker outlives the build"
            if out.exists():
                committed(out)
                assert not leftovers(out) or process.returncode == 130, where
        server.always("/film0.mp4", None)
        done = cgtool_inline(*words, out)
        assert done.returncode == 0, done.stderr
        assert cgtool_inline(*words, calm).returncode == 0
    assert_same_data(out, calm)
    assert not leftovers(out)
    assert not orphans(out)
