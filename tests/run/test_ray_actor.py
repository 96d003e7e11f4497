"""What a Ray worker does on its node, called as Ray calls it, but in this process: no Ray is needed for these."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import filelock
import pytest

import cityguessr_data
from cityguessr_data.core.errors import DiskFullError, ErrorClass, MachineError
from cityguessr_data.core.fingerprint import file_sha256
from cityguessr_data.core.types import LabelledFrame, LocalVideo, SourceRow, VideoTask
from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.executor import Fetched, FromFiles, WorkItem
from cityguessr_data.run.on_ray import node
from cityguessr_data.run.on_ray.actor import News, RayWorker
from cityguessr_data.run.on_ray.files import write_pieces
from cityguessr_data.run.on_ray.node import check_same_code, code_digest, make_own, package_versions
from cityguessr_data.run.stage import Step, VideoJob
from cityguessr_data.run.writer import WriterConfig
from tests.contracts.test_executors import PLACE, Scripted, no_phash, no_soft_label, unfit


class Reading(Scripted):
    """Fails with what it read: the weights that it was made from and the source, and where that lay."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights

    def run(self, job: VideoJob, given: Iterator[LocalVideo]) -> Iterator[LabelledFrame]:
        if job.task.video_id.startswith("read"):
            source = next(given)
            folder = source.path.parent.name.partition("-")[0]
            raise RuntimeError(f"{self.weights.read_text()} {source.path.read_text()} in {folder}/{source.path.name}")
        yield from super().run(job, given)


def reading(files: Mapping[str, Path]) -> Compute:
    return Compute((Reading(files["detector"]),), WriterConfig(3, "paper", no_soft_label, no_phash))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[RayWorker]:
    made = RayWorker(base=tmp_path / "node")
    yield made
    made.end()


def given(video_id: str, path: Path) -> Fetched:
    item = WorkItem(VideoTask(video_id, "x", (SourceRow(2, "x", PLACE),)), f"print of {video_id}")
    return Fetched(item, LocalVideo(path, "x", ""), Step("download", "done", datetime.now(UTC), 0.0))


def outcome(worker: RayWorker) -> News:
    deadline = time.monotonic() + 120
    while (news := worker.tell()).outcome is None and news.error is None:
        assert time.monotonic() < deadline
    return news


def left(base: Path) -> list[str]:
    """Files of workers under the node's folder; what runs keep there is in weights-*."""
    return sorted(p.name for p in base.rglob("*") if p.is_file() and "weights-" not in str(p))


def test_it_computes_what_it_is_sent_and_gives_back_what_it_staged(worker: RayWorker, tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_text("weights")
    assert not worker.lacks({"detector": (weights, file_sha256(weights))})
    worker.open(FromFiles(reading, {"detector": Path("nowhere")}), 1)
    worker.take_source(".mp4", b"the ", True)
    worker.take_source(".mp4", b"source", False)
    worker.start(given("read-1", Path("/nowhere/a.mp4")), None)
    read = outcome(worker).outcome
    assert isinstance(read, Failed)
    assert "RuntimeError: weights the source in worker/source.mp4" in read.message
    assert left(tmp_path / "node") == [f"{next((tmp_path / 'node').glob('*.lock')).name}"]

    worker.start(given("ok-1", tmp_path / "x"), None)
    staged = outcome(worker).outcome
    assert isinstance(staged, Staged)
    while received := worker.bring():
        write_pieces(tmp_path / "arrived", received)
    names = sorted(p.relative_to(tmp_path / "arrived").as_posix() for p in (tmp_path / "arrived").rglob("*.*"))
    assert names == [*(f"clips/ok-1_00000/00{i}.jpg" for i in (1, 2, 3)), *(f"parts/{t}.parquet" for t in TABLES)]
    assert len(left(tmp_path / "node")) == 1

    worker.start(given("ok-2", tmp_path / "x"), tmp_path / "shared")
    assert isinstance(outcome(worker).outcome, Staged)
    assert (tmp_path / "shared" / "clips" / "ok-2_00000" / "001.jpg").exists()
    assert worker.bring() == []
    assert (tmp_path / "shared" / "clips" / "ok-2_00000" / "001.jpg").exists(), "what the caller sees is the caller's"


TABLES = ("clips", "faces", "frames", "videos")


def test_a_process_that_dies_a_full_disk_and_unfit_stages_are_told(worker: RayWorker, tmp_path: Path) -> None:
    worker.open(partial(reading, {"detector": tmp_path}), 1)
    worker.start(given("die-1", tmp_path / "x"), None)
    died = outcome(worker).outcome
    assert isinstance(died, Failed)
    assert (died.error_class, died.worker_died) == (ErrorClass.INTERNAL, True)
    assert died.message == "the worker process died on this video (signal SIGSEGV)"
    worker.start(given("fail-1", tmp_path / "x"), None)
    failed = outcome(worker).outcome
    assert isinstance(failed, Failed)
    assert not failed.worker_died, "an error of the video would come again elsewhere"
    worker.start(given("full-1", tmp_path / "x"), None)
    assert isinstance(outcome(worker).error, DiskFullError)
    worker.open(unfit, 1)
    worker.start(given("ok-1", tmp_path / "x"), None)
    assert isinstance(outcome(worker).error, MachineError)
    assert len(left(tmp_path / "node")) == 1


def test_a_worker_clears_away_what_killed_ones_left_and_nothing_of_those_that_live(tmp_path: Path) -> None:
    base = tmp_path / "node"
    alive = RayWorker(base=base)
    alive.take_source(".mp4", b"x", True)
    killed = base / "worker-1-abc"
    killed.mkdir()
    (killed / "source.mp4").write_bytes(b"unblurred")
    (base / "worker-1-abc.lock").touch()
    with filelock.FileLock(base / "worker-2-def.lock"):
        (base / "worker-2-def").mkdir()
        (base / "worker-2-def" / "source.mp4").touch()
        new = RayWorker(base=base)
        assert not killed.exists()
        assert (base / "worker-2-def" / "source.mp4").exists()
        assert left(base).count("source.mp4") == 2
    (base / "worker-2-def.lock").touch()  # killed by now
    token = alive._token
    for name in (f".w.bin.{token}.partial", ".w.bin.3-0123.partial", "w.bin"):
        path = base / "weights-0" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    new.end()
    assert left(base) == ["source.mp4", f"worker-{token}.lock"], (
        "there may be no later run: the last one clears as well"
    )
    assert sorted(path.name for path in (base / "weights-0").iterdir()) == [f".w.bin.{token}.partial", "w.bin"]
    alive.end()
    assert left(base) == []
    assert [path.name for path in (base / "weights-0").iterdir()] == ["w.bin"]


def test_weights_that_are_not_here_or_are_others_are_asked_for(worker: RayWorker, tmp_path: Path) -> None:
    here = tmp_path / "w.bin"
    here.write_text("weights")
    digest = file_sha256(here)
    assert not worker.lacks({"detector": (here, digest)})
    assert worker.lacks({"detector": (tmp_path / "none" / "w.bin", digest)})
    here.write_text("others")
    assert worker.lacks({"detector": (here, digest)})


def test_only_its_user_can_read_what_it_is_sent(worker: RayWorker, tmp_path: Path) -> None:
    worker.take_source(".mp4", b"x", True)
    (home,) = (path for path in (tmp_path / "node").glob("worker-*") if path.is_dir())
    assert home.stat().st_mode & 0o077 == 0
    assert (tmp_path / "node").stat().st_mode & 0o077 == 0


def test_a_folder_of_another_user_or_one_that_leads_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir(mode=0o777)
    make_own(tmp_path / "mine")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(MachineError, match="not a folder of this user's own"):
            make_own(tmp_path / name)
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with pytest.raises(MachineError, match="not a folder of this user's own"):
        RayWorker(base=tmp_path / "mine")


def test_the_code_is_every_module_of_the_data_side() -> None:
    package, digest = Path(cityguessr_data.__file__).parent, hashlib.sha256()
    names = sorted(str(path.relative_to(package)) for path in package.glob("**/*.py"))
    assert {"stages/anonymise.py", "media/decode.py", "vision/blur.py", "core/types.py", "run/worker.py"} <= set(names)
    for name in sorted(names, key=Path):
        digest.update(name.encode() + b"\0" + (package / name).read_bytes() + b"\0")
    assert code_digest().partition(" ")[0] == digest.hexdigest()[:16]


def test_another_version_of_what_frames_depend_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = package_versions()
    assert ours["av"] == importlib.import_module("av").__version__
    assert list(ours) == ["av", "numpy", "opencv-python-headless", "torch", "onnxruntime", "openvino"]
    check_same_code("node17", code_digest(), ours)
    for packages in ({**ours, "av": "1.2.3"}, {name: ours[name] for name in ours if name != "av"}):
        theirs = packages.get("av", "none")
        with pytest.raises(MachineError, match=rf"node17 has other packages .*\(av {theirs}; here {ours['av']}\)"):
            check_same_code("node17", code_digest(), packages)
    with pytest.raises(MachineError, match="node17 has another cgtool than this one"):
        check_same_code("node17", "0000 under Python 3.11.9", ours)
    with monkeypatch.context() as patched:
        patched.setattr(node.metadata, "version", lambda _name: "2.12.1+cu126")
        assert package_versions()["torch"] == "2.12.1", "a node with a GPU has another build of it"
    monkeypatch.setattr(node, "_PACKAGES", ("no-such-package",))
    assert package_versions() == {"no-such-package": "none"}


def test_what_it_was_sent_goes_when_it_is_killed_before_its_first_video(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading; from pathlib import Path\n"
        "from cityguessr_data.run.on_ray.actor import RayWorker\n"
        "if __name__ == '__main__':\n"
        "    worker = RayWorker(base=Path(sys.argv[1]))\n"
        "    worker.take_source('.mp4', b'unblurred', True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    script = tmp_path / "killed.py"
    script.write_text(code)
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run([sys.executable, script, tmp_path / "node"], check=False, cwd=root, env=environment)
    assert done.returncode == -9
    deadline = time.monotonic() + 120
    while any("source.mp4" in files for _, _, files in os.walk(tmp_path / "node")):  # folders may go meanwhile
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_says_which_folders_it_sees_by_leaving_a_file_there(worker: RayWorker, tmp_path: Path) -> None:
    about = worker.hello([tmp_path, tmp_path / "none"])
    assert about.sees == {tmp_path}
    assert (tmp_path / about.token).is_file()
    assert about.code == code_digest()
    assert os.uname().nodename == about.node
