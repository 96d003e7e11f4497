"""kill -9 at random moments: nothing committed is lost, nothing is half there, and the end is as if undisturbed.

Two kills here; `make torture` sets CGTOOL_KILLS to a hundred, over twenty videos. The moments are spread over all that
a build does: half of the videos come over the network, the table grows by a video now and then, so that a build is
often near its end, and a reader reads the manifests all the while.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support_build import CGTOOL, SHORT, cgtool, write_sources
from tests.support_inline import cgtool_inline
from tests.support_kill import (
    Eye,
    ManifestReader,
    assert_same_data,
    children,
    committed,
    frames_on_disk,
    gone,
    leftovers,
    orphans,
    wait_for,
)
from tests.support_server import Server, Slow

KILLS = int(os.environ.get("CGTOOL_KILLS", "2"))
SEED = int(os.environ.get("CGTOOL_KILL_SEED", "7"))
VIDEOS = min(20, 3 + KILLS // 5)
PHASES = ("fetching", "computing", "publishing", "committing", "start", "publishing", "anything")
VICTIMS = ("parent", "group", "parent", "worker")
NETWORK = ("--allow-private-hosts", "--rate", "1e9")


@dataclass
class Chain:
    """One output directory that is built, killed and built again."""

    root: Path
    server: Server
    layout: str
    rng: random.Random
    eye: Eye
    before: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.root / self.layout

    @property
    def cache(self) -> Path:
        return self.root / f"{self.layout}.cache"

    def words(self, n_videos: int, out: Path) -> list[str]:
        """The command that builds the first so many videos."""
        names = [f"film{i:02d}" for i in range(n_videos)]
        # Every other one by the network; its link does not depend on the layout
        rows = [
            {"url": self.server.url(f"/{n}.mp4") if i % 2 == 0 else f"{n}.mp4", "city": "Tokyo", "video_id": n}
            for i, n in enumerate(names)
        ]
        table = write_sources(self.root / f"{n_videos}.csv", rows)
        options = ["--out", out, "--cache", self.cache, "--layout", self.layout, *NETWORK, *SHORT]
        options += ["--workers", "2" if KILLS > 3 else "1"]
        return ["build-dataset", str(table), *map(str, options)]

    def kill_once(self, n_videos: int, phase: str, victim: str) -> None:
        """Build, and kill it in that phase, if it gets there."""
        if phase == "fetching":  # of whatever is fetched now only the beginning comes
            self.server.plan(f"/film{n_videos - 1 - (n_videos - 1) % 2:02d}.mp4", Slow(0.3))
        process = subprocess.Popen(
            [*CGTOOL, *self.words(n_videos, self.out)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._wait_for(phase, process)
        workers = children(process.pid)
        if process.poll() is None:
            if victim == "worker" and phase == "computing" and workers:
                os.kill(self.rng.choice(workers), signal.SIGKILL)  # first a worker: its video fails, the rest goes on
                time.sleep(self.rng.uniform(0, 0.5))
            if victim == "group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()  # the parent alone: its workers must notice
            self.landed[phase] = self.landed.get(phase, 0) + 1
        process.wait()
        assert gone(workers), "a worker outlives its parent"
        self.check(n_videos)

    def _wait_for(self, phase: str, process: subprocess.Popen[bytes]) -> None:
        work, uniform = self.out / ".cgtool", self.rng.uniform
        n_parts, clips_ns = self._parts(), self._stamp()

        def reached() -> bool:
            if process.poll() is not None:
                return True
            if phase == "fetching":
                return any(p.stat().st_size for p in self.cache.glob("partial/*/*") if p.exists())
            if phase == "computing":
                return any((work / "staging").glob("*/clips*"))
            if phase == "committing":
                return any((work / "ready").glob("*")) or self._parts() != n_parts
            return any((work / "manifests").glob("*")) or self._stamp() != clips_ns

        if phase in ("start", "anything"):
            time.sleep(uniform(0, 1.5 if phase == "start" else 8))
        else:
            wait_for(reached, 120)
            time.sleep(uniform(0, {"committing": 0.02, "publishing": 0.25}.get(phase, 0.6)) * self.rng.random())

    def _parts(self) -> int:
        return len(list((self.out / "parts" / "clips").glob("*")))

    def _stamp(self) -> int:
        path = self.out / "manifests" / "frames.parquet"
        return path.stat().st_mtime_ns if path.exists() else 0

    def check(self, n_videos: int) -> None:
        now = committed(self.out) if self.out.exists() else {}
        assert {v: now.get(v) for v in self.before} == self.before, "a committed video is lost or another one"
        assert len(now) <= n_videos
        self.before = now
        assert not self.eye.sharp(self.out)


@pytest.mark.timeout(3600)
def test_a_chain_of_kills_ends_like_an_undisturbed_build(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    for i in range(VIDEOS):
        shutil.copy(face_film, tmp_path / f"film{i:02d}.mp4")
    eye, rng = Eye(face_film), random.Random(SEED)
    (tmp_path / "eye").mkdir()
    _write_sharp(tmp_path / "eye" / "x.jpg", eye)
    assert eye.sharp(tmp_path / "eye"), "the test's own eye must see a face that is not blurred"
    run = cgtool if KILLS > 3 else cgtool_inline
    layouts = ("folder", "tar") if KILLS > 3 else (("folder", "tar")[SEED % 2],)
    with Server(tmp_path) as server:
        for layout in layouts:
            chain = Chain(tmp_path, server, layout, rng, eye)
            kills = KILLS // len(layouts)
            with ManifestReader(chain.out) as reader:
                for number in range(kills):
                    n_videos = 1 + (VIDEOS - 1) * (number + 1) // kills  # the last kills meet the whole table
                    phase = PHASES[number % len(PHASES)]
                    chain.kill_once(n_videos, phase, VICTIMS[number % len(VICTIMS)])
                words = chain.words(VIDEOS, chain.out)
                done = run(*words, "--retry-failed")
                assert done.returncode == 0, done.stderr
            assert not reader.faults
            assert reader.n_reads > 0
            assert sum(chain.landed.values()) > kills // 2, chain.landed
            chain.check(VIDEOS)
            assert len(chain.before) == VIDEOS
            if any(seen.headers.get("Range") for seen in server.requests):
                assert not list(chain.cache.glob("partial/*"))
            calm = tmp_path / f"{layout}-calm"
            assert run(*chain.words(VIDEOS, calm)).returncode == 0
            assert_same_data(chain.out, calm)
            assert not leftovers(chain.out)
            assert not orphans(chain.out)
            verified = cgtool_inline("verify", chain.out)
            assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_download_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    shutil.copy(face_film, tmp_path / "film.mp4")
    with (tmp_path / "film.mp4").open("ab") as f:
        f.write(b"\0\0\0\x08free" * 40_000)  # boxes that hold nothing: 320 kB more to wait for
    size = (tmp_path / "film.mp4").stat().st_size
    with Server(tmp_path) as server:
        rows = [{"url": server.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}]
        table, out = write_sources(tmp_path / "s.csv", rows), tmp_path / "out"
        words = ["build-dataset", str(table), "--out", str(out), *NETWORK, *SHORT]
        server.plan("/film.mp4", None, Slow(0.0, bytes_then_silence=150_000))  # the look-up, then the download
        process = subprocess.Popen([*CGTOOL, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        partial = tmp_path / "out.cache" / "partial" / "film"
        assert wait_for(lambda: any(p.stat().st_size > 100_000 for p in partial.glob("*")))
        process.kill()
        process.wait()
        had = max(p.stat().st_size for p in partial.glob("*"))
        done = cgtool_inline(*words)
        assert done.returncode == 0, done.stderr
        asked = [seen.headers["Range"] for seen in server.requests if "Range" in seen.headers]
        assert f"bytes={had}-" in asked, asked
        assert (tmp_path / "out.cache" / "sources" / "film.mp4").stat().st_size == size
        assert (tmp_path / "out.cache" / "sources" / "film.mp4").read_bytes() == (tmp_path / "film.mp4").read_bytes()
    assert len(frames_on_disk(out)) == 15


def _write_sharp(path: Path, eye: Eye) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(path), cv2.cvtColor(eye.originals[30].astype(np.uint8), cv2.COLOR_RGB2BGR))
