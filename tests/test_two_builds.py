"""Two runs at once: on one output directory the second is refused, on one cache each downloads a video in its turn."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest

from cityguessr_data.media.decode import decode, index_video
from tests.support_build import CGTOOL, SHORT, write_sources
from tests.support_imports import small_cityguessr
from tests.support_inline import cgtool_inline
from tests.support_kill import assert_same_data, children, committed, frames_on_disk, gone, leftovers, wait_for
from tests.support_server import Server, Slow
from tests.support_video import write_frames
from tests.test_kill_review import draw_faces

NETWORK = ("--allow-private-hosts", "--rate", "1e9")


def state(out: Path) -> dict[str, tuple[int, str]]:
    """Path -> (time stamp, digest) of every file under OUT but the lock, which each run opens."""
    return {
        str(p.relative_to(out)): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(out.rglob("*"))
        if p.is_file() and not p.name.endswith("lock")
    }


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, face_film: Path) -> Path:
    """A film of one clip."""
    frames = [f.rgb for f in decode(face_film, set(range(25)), 25, index_video(face_film))]
    return write_frames(tmp_path_factory.mktemp("short") / "film.mp4", frames)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, film: Path, detector_weights: Path) -> Path:
    """A folder with a finished data set of the film, and its table."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copy(film, folder)
    table = write_sources(folder / "s.csv", [{"url": "film.mp4", "city": "Tokyo", "video_id": "film"}])
    done = cgtool_inline("build-dataset", table, "--out", folder / "out", *SHORT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def built(tmp_path: Path, template: Path) -> Path:
    """A finished data set of one film; its table is s.csv beside it."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"


@contextmanager
def build_under_way(out: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A build that waits for a download that does not come, and so holds OUT."""
    with Server(folder) as server:
        server.plan("/film.mp4", None, Slow(0.0, bytes_then_silence=1))
        rows = [
            {"url": "film.mp4", "city": "Tokyo", "video_id": "film"},
            {"url": server.url("/film.mp4"), "city": "Tokyo", "video_id": "new"},
        ]
        table = write_sources(folder / "more.csv", rows)
        process = subprocess.Popen(
            [*CGTOOL, "build-dataset", str(table), "--out", str(out), *SHORT, *NETWORK],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert wait_for(lambda: server.count("/film.mp4") > 1)
            yield process
        finally:
            process.kill()
            process.wait()


def assert_refused(done: subprocess.CompletedProcess[str], out: Path, name: str) -> None:
    """By the lock, in one line."""
    told = [line for line in done.stderr.splitlines() if line]
    if name == "import":
        assert told.pop(0).startswith("looking at "), "it says what it reads before it comes to the lock"
    assert done.returncode == 2, (name, told)
    assert told == [f"error: another run is writing to {out}. Wait for it to end, or stop it"], name
    assert done.stdout == "", name


def test_every_command_that_writes_is_refused_while_a_build_runs(built: Path, tmp_path: Path) -> None:
    draw_faces(built, "film")
    labels = tmp_path / "labels.csv"
    labels.write_text("clip_id,position,scene_top1\n" + "".join(f"film_00000,{n},0\n" for n in range(5)))
    next((built / "clips").rglob("*.jpg")).write_bytes(b"damaged")  # so that --repair has something to do
    with build_under_way(built, tmp_path) as process:
        before = state(built)
        commands = {
            "build": ("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT),
            "other table": ("build-dataset", tmp_path / "more.csv", "--out", built, *SHORT, *NETWORK),
            "export": ("export", built, "--to", "webdataset", tmp_path / "dest", "--allow-unreviewed"),
            "remove": ("remove", built, "--video", "film"),
            "refresh": ("refresh", built),
            "apply": ("review", built, "--apply"),
            "label": ("label-scenes", built, "--from", labels),
            "drop": ("cache", "drop", built),
            "repair": ("verify", built, "--repair"),
        }
        for name, words in commands.items():
            assert_refused(cgtool_inline(*words), built, name)
        assert not (tmp_path / "dest").exists()
        for words in (("status", built), ("stats", built, "--json")):  # who only reads is not in the way
            assert cgtool_inline(*words).returncode == 0, words
        assert state(built) == before
        assert process.poll() is None, "the first build goes on"


def test_what_writes_to_an_imported_data_set_is_refused_while_another_does(
    tmp_path: Path, detector_weights: Path
) -> None:
    source = small_cityguessr(tmp_path / "src")
    out = tmp_path / "out"
    words = ("import", "cityguessr68k", source, "--out", out)
    assert cgtool_inline(*words).returncode == 0
    with filelock.FileLock(out / ".cgtool" / "lock"):
        before = state(out)
        assert_refused(cgtool_inline(*words), out, "import")
        assert_refused(cgtool_inline("anonymise", out, "--detector", "mobilenet0.25"), out, "anonymise")
        assert state(out) == before
    assert cgtool_inline(*words).returncode == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_build_that_died_is_free_at_once(built: Path, tmp_path: Path, how: signal.Signals) -> None:
    with build_under_way(built, tmp_path) as process:
        process.send_signal(how)
        process.wait(60)
        done = cgtool_inline("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT)
        assert done.returncode == 0, done.stderr
    assert (built / ".cgtool" / "lock").exists(), "the file stays: it is not what locks"


def test_a_file_system_without_locks_is_refused_in_one_line(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_locks(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", without_locks)
    done = cgtool_inline("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT)
    assert done.returncode == 2
    assert done.stderr == f"error: {built} cannot be locked (No locks available). Choose another --out\n"


def test_two_builds_share_a_cache_and_each_video_is_downloaded_once(
    tmp_path: Path, film: Path, detector_weights: Path
) -> None:
    names = ("a", "b", "c")
    for name in names:
        shutil.copy(film, tmp_path / f"{name}.mp4")
    with Server(tmp_path) as server:
        for name in names:
            server.always(f"/{name}.mp4", Slow(0.3))
        rows = [{"url": server.url(f"/{n}.mp4"), "city": "Tokyo", "video_id": n} for n in names]
        table, cache = write_sources(tmp_path / "s.csv", rows), tmp_path / "cache"
        outs = [tmp_path / "one", tmp_path / "two"]
        words = ["build-dataset", str(table), "--cache", str(cache), "--workers", "1", *SHORT, *NETWORK, "--out"]
        process = subprocess.Popen(
            [*CGTOOL, *words, str(outs[0])], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert wait_for(lambda: bool(server.requests))
        done = cgtool_inline(*words, outs[1])
        assert done.returncode == 0, done.stderr
        _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told
        for name in names:
            assert (cache / "sources" / f"{name}.mp4").read_bytes() == film.read_bytes()
            # A look-up and a download; whoever came second took it from the cache
            assert server.count(f"/{name}.mp4") == 2, [s.path for s in server.requests]
    assert_same_data(outs[0], outs[1])
    assert len(committed(outs[0])) == 3
    assert not list((cache / "partial").glob("*"))


def test_a_build_that_waits_for_anothers_download_stops_at_once_and_takes_over_after_a_kill(
    tmp_path: Path, film: Path, detector_weights: Path
) -> None:
    shutil.copy(film, tmp_path)
    with Server(tmp_path) as server:
        server.plan("/film.mp4", None, Slow(0.0, bytes_then_silence=20_000))
        rows = [{"url": server.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}]
        table, cache = write_sources(tmp_path / "s.csv", rows), tmp_path / "cache"
        words = ["build-dataset", str(table), "--cache", str(cache), *SHORT, *NETWORK, "--out"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        first = subprocess.Popen([*CGTOOL, *words, str(tmp_path / "one")], **quiet)  # type: ignore[call-overload]
        assert wait_for(lambda: server.count("/film.mp4") > 1)
        waiting = subprocess.Popen([*CGTOOL, *words, str(tmp_path / "two")], **quiet)  # type: ignore[call-overload]
        assert wait_for(lambda: (tmp_path / "two" / ".cgtool" / "plan.json").exists())
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(60) == 130
        assert server.count("/film.mp4") == 2, "it has asked for nothing"
        first.kill()
        first.wait()
        assert gone(children(first.pid))
        done = cgtool_inline(*words, tmp_path / "two")
        assert done.returncode == 0, done.stderr
        assert (cache / "sources" / "film.mp4").read_bytes() == film.read_bytes()
    assert len(frames_on_disk(tmp_path / "two")) == 5
    assert not leftovers(tmp_path / "two")
