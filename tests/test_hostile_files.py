"""Mutated and crafted videos through the decoder and through whole builds: no crash, no hang, bounded memory.

CGTOOL_FUZZ mutants (24; `make torture` sets 1,000) of the seed CGTOOL_FUZZ_SEED go through builds, ten times as many
through the decoder alone, and every crafted file through both.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support_build import CGTOOL, SHORT, write_sources
from tests.support_crafted import bombs, large_pictures, pointing
from tests.support_mutate import Mutant, make_bases, mutants
from tests.support_video import write_frames

FUZZ = int(os.environ.get("CGTOOL_FUZZ", "24"))
SEED = int(os.environ.get("CGTOOL_FUZZ_SEED", "8"))
TORTURE = 200
"""From so many mutants on nothing is left out."""
BATCH = 250
READER_MIB, WORKER_MIB, MORE_MIB = 700, 2048, 700
"""What reading one hostile file may take, what a worker may hold, and how much more than one that meets clean files."""
MAGENTA = (250, 10, 250)


@dataclass(frozen=True)
class Trap:
    """A video that no job names, whose frames are magenta, and a port on which nobody may knock."""

    canary: Path
    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def knocked(self) -> bool:
        return bool(select.select([self.listener], [], [], 0)[0])


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    canary = tmp_path / "files" / "canary.ts"
    canary.parent.mkdir()
    frame = np.full((64, 96, 3), MAGENTA, np.uint8)
    write_frames(canary, [frame] * 50, args=("-c:v", "libx264", "-g", "10", "-f", "mpegts"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Trap(canary, listener)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_bases(tmp_path_factory.mktemp("bases"))


def crafted(bases: list[Path], trap: Trap) -> list[Mutant]:
    contents = {path.name: path.read_bytes() for path in bases}
    return [*bombs(contents), *pointing(trap.canary, trap.port)]


def some(files: list[Mutant]) -> list[Mutant]:
    """Without the same playlist once more for each way of writing a file's name: for what takes a while each.

    The list that names a file beside it stays: ffmpeg would follow that one.
    """
    return [
        file
        for file in files
        if FUZZ >= TORTURE or "ffconcat_name." in file.name or not re.search("_(file|name)[.]", file.name)
    ]


def write(folder: Path, files: list[Mutant]) -> list[Path]:
    for file in files:
        (folder / file.name).write_bytes(file.content)
    return [folder / file.name for file in files]


def read_all(paths: list[Path], tmp_path: Path, *prefix: str, clips: Path | None = None) -> list[dict[str, Any]]:
    """What became of each file in a process of their own; it must live to tell of the last."""
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths)))
    command = [*prefix, sys.executable, "-m", "tests.support_read_hostile", str(tmp_path / "list.txt")]
    done = subprocess.run(
        [*command, *([str(clips)] if clips else [])],
        capture_output=True, text=True, timeout=1800, check=False, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"exit {done.returncode} at {told[-1] if told else 'the start'}: {done.stderr[-2000:]}"
    return [one for one in told if "outcome" in one]


@pytest.mark.timeout(3600)
def test_the_decoder_survives_whatever_a_file_says(bases: list[Path], tmp_path: Path, trap: Trap) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peaks of memory are told by Linux alone")
    files = crafted(bases, trap) + list(mutants(bases, 10 * FUZZ, SEED))
    how = {file.name: f"{file.how}, seed {SEED}" for file in files}
    told = read_all(write(trap.canary.parent, files), tmp_path)
    assert len(told) == len(files)
    for one in told:
        assert one["outcome"] in ("fine", "refused", "broke"), (how[Path(one["name"]).name], one)
        assert one["peak_bytes"] < READER_MIB << 20, (how[Path(one["name"]).name], one)
        assert one["seconds"] < 300, (how[Path(one["name"]).name], one)
    outcomes = Counter(one["outcome"] for one in told)
    print(f"{len(files)} files: {dict(outcomes)}, peak {max(one['peak_bytes'] for one in told) >> 20} MiB")
    assert min(outcomes.values()) > len(files) / 40, f"the mutants no longer reach every outcome: {outcomes}"
    assert not trap.knocked()


def test_pictures_larger_than_any_codec_level_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """Real, valid videos, whose frames would take 1 to 2 GB."""
    files = list(large_pictures(tmp_path))
    for one in read_all(files, tmp_path):
        assert one["outcome"] == ("broke" if "grows" in one["name"] else "refused"), one
        assert "grows" in one["name"] or "too large" in one["message"], one
        assert one["peak_bytes"] < 200 << 20, one


def test_only_the_named_file_is_opened_and_nobody_is_called(bases: list[Path], tmp_path: Path, trap: Trap) -> None:
    """By what the system saw: every file opened under the test's folder, every connection, of PyAV and of ffmpeg."""
    if not shutil.which("strace"):
        pytest.skip("strace is not there: `apt-get install strace`")
    log = tmp_path / "strace.txt"
    prefix = ("strace", "-f", "-o", str(log), "-e", "trace=open,openat,openat2,connect,execve")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    made = [
        file for file in some(crafted(bases, trap)) if FUZZ >= TORTURE or file.how != "crafted" or "other_" in file.name
    ]
    files = write(trap.canary.parent, made)
    turned = trap.canary.parent / "symlink.mp4"
    turned.symlink_to(bases[0])
    read_all([*files, turned], tmp_path, *prefix, clips=tmp_path / "clips")
    seen = log.read_text(errors="replace")
    opened = set(re.findall(r'open(?:at2?)?\([^"\n]*"([^"\n]+)"', seen))
    assert str(files[0]) in {path.removeprefix("file:") for path in opened}, "the test's own eye must see an opening"
    inside = {path for path in opened if path.startswith(str(trap.canary.parent)) or "canary" in path}
    assert inside == set(map(str, files))
    assert not {path for path in opened if path in ("/etc/hostname", "canary.ts")}
    assert not re.findall(r"connect\([^\n]*AF_INET", seen)
    assert not trap.knocked()


@pytest.mark.timeout(7200)
def test_builds_over_hostile_files_end_with_an_outcome_for_each(
    bases: list[Path], tmp_path: Path, trap: Trap, detector_weights: Path
) -> None:
    folder = trap.canary.parent
    notes_reads = was_read(forget_reads(bases[0]))
    forget_reads(trap.canary)
    clean = [Mutant(f"clean.{base.name}", "clean", base.read_bytes()) for base in bases[:6]]
    hostile = [*some(crafted(bases, trap)), *mutants(bases, FUZZ, SEED)]
    if assets := os.environ.get("CGTOOL_ASSETS"):
        real = sorted((Path(assets) / "videos").glob("*.mp4"), key=lambda path: path.stat().st_size)[:2]
        hostile += [
            Mutant(f"real.{one.name}", f"real footage: {one.how}", one.content)
            for one in mutants(real, max(2, FUZZ // 50), SEED)
        ]
    most_clean = build(tmp_path / "clean", folder, clean)[0] if FUZZ >= TORTURE else WORKER_MIB << 20
    report: Counter[str] = Counter()
    start = time.monotonic()
    for number in range(0, len(hostile), BATCH):
        batch = hostile[number : number + BATCH]
        out = tmp_path / f"out{number}"
        options = ("--keep-clips", "--cache", tmp_path / "cache") if number == 0 else ()
        most, deaths = build(out, folder, batch, *options)
        assert not deaths, f"seed {SEED}: {deaths}"
        assert most < min(WORKER_MIB << 20, most_clean + (MORE_MIB << 20)), f"{most >> 20}, clean {most_clean >> 20}"
        outcomes = check(out, batch)
        report += outcomes
        report["MiB"] = max(report["MiB"], most >> 20)
        shutil.rmtree(out)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    print(f"{len(hostile)} files, {time.monotonic() - start:.0f} s, clean {most_clean >> 20} MiB: {dict(report)}")
    assert not trap.knocked()
    if notes_reads:
        assert trap.canary.stat().st_atime == 1, "somebody read the canary"


def build(out: Path, folder: Path, files: list[Mutant], *options: object) -> tuple[int, list[str]]:
    """Build a data set of `files`: the most that a worker held, in bytes, and the videos on which one died or hung."""
    write(folder, files)
    rows = [{"url": file.name, "city": "Tokyo", "video_id": video_id(file)} for file in files]
    table = write_sources(folder / f"{out.name}.csv", rows)
    most = 0
    with (out.parent / "stderr.txt").open("w+") as said:
        command = [*CGTOOL, "build-dataset", str(table), "--out", str(out), *SHORT, *map(str, options)]
        command += ["--workers", "2" if FUZZ >= TORTURE else "1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        while process.poll() is None:
            most = max([most, *map(peak_bytes, workers_of(process.pid))])
            time.sleep(0.2)
        said.seek(0)
        words = said.read()
    assert process.returncode in (0, 1), words[-3000:]
    assert "Traceback" not in words
    return most, re.findall(r"(\S+): [^\n]*the worker process[^\n]*", words)


def check(out: Path, files: list[Mutant]) -> Counter[str]:
    """Every file has an outcome, none is a fault of ours, and what is saved is what the tables say."""
    videos = {row["video_id"]: row for row in pq.read_table(out / "manifests" / "videos.parquet").to_pylist()}
    attempts = pq.read_table(out / "manifests" / "attempts.parquet").to_pylist()
    outcomes: Counter[str] = Counter()
    for file in files:
        row = videos[video_id(file)]
        failed = [a for a in attempts if a["video_id"] == row["video_id"] and a["status"] == "failed"]
        for one in failed:
            assert one["error_class"] == "bad-media", (file.how, f"seed {SEED}", one)
        assert row["status"] in ("done", "dropped", "failed")
        assert row["status"] != "failed" or failed
        outcomes[row["status"]] += 1
    assert len(videos) == len(files)
    frames = pq.read_table(out / "manifests" / "frames.parquet").to_pylist()
    saved = {str(path.relative_to(out)): path for path in (out / "clips").rglob("*.jpg")}
    assert sorted(saved) == sorted(row["path"] for row in frames)
    for row in frames:
        content = saved[row["path"]].read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        mean = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).mean(axis=(0, 1))[::-1]
        assert np.abs(mean - MAGENTA).max() > 60, f"{row['path']} shows the canary"
    return outcomes


def forget_reads(path: Path) -> Path:
    """As if it was never read since it was written: most systems then note the next time."""
    os.utime(path, (1, 2))
    return path


def was_read(path: Path) -> bool:
    """Whether reading a file leaves a trace here."""
    path.read_bytes()
    return path.stat().st_atime != 1


def video_id(file: Mutant) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", file.name)


def workers_of(pid: int) -> list[int]:
    """The processes that a command has started, ffmpeg's included."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in path.read_text().split()]
        except OSError:  # it has ended meanwhile
            continue
        found += [*children, *(deeper for child in children for deeper in workers_of(child))]
    return found


def peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else 0
