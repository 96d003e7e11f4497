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

from tests.support_build import CGTOOL, SHORT, cgtool, write_sources
from tests.support_kill import assert_same_data, children, committed, frames_on_disk, gone, leftovers, wait_for
from tests.support_server import Server, Slow

NETWORK = ("--allow-private-hosts", "--rate", "1e9")


def state(out: Path) -> dict[str, tuple[int, str]]:
    """Path -> (time stamp, digest) of every file under OUT but the lock, which each run opens."""
    return {
        str(p.relative_to(out)): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(out.rglob("*"))
        if p.is_file() and not p.name.endswith("lock")
    }


@pytest.fixture
def built(tmp_path: Path, face_film: Path, detector_weights: Path) -> Path:
    """A finished data set of one film; its table is s.csv beside it."""
    shutil.copy(face_film, tmp_path / "film.mp4")
    rows = [{"url": "film.mp4", "city": "Tokyo", "video_id": "film"}]
    write_sources(tmp_path / "s.csv", rows)
    done = cgtool("build-dataset", tmp_path / "s.csv", "--out", tmp_path / "out", *SHORT)
    assert done.returncode == 0, done.stderr
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


def test_every_command_that_writes_is_refused_while_a_build_runs(built: Path, tmp_path: Path) -> None:
    with build_under_way(built, tmp_path) as process:
        before = state(built)
        commands = {
            "build": ("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT),
            "other table": ("build-dataset", tmp_path / "more.csv", "--out", built, *SHORT, *NETWORK),
            "export": ("export", built, "--to", "webdataset", tmp_path / "dest", "--allow-unreviewed"),
            "remove": ("remove", built, "--video", "film"),
            "refresh": ("refresh", built),
            "label": ("label-scenes", built, "--from", tmp_path / "s.csv"),
            "drop": ("cache", "drop", built, "--yes"),
        }
        for name, words in commands.items():
            done = cgtool(*words)
            told = [line for line in done.stderr.splitlines() if line]
            if "another run" not in done.stderr:  # it was refused for another reason before it came to the lock
                assert name in ("label", "drop"), (name, told)
                assert done.returncode == 2
                continue
            assert done.returncode == 2, (name, told)
            assert told == [f"error: another run is writing to {built}. Wait for it to end, or stop it"], name
            assert done.stdout == ""
        assert not (tmp_path / "dest").exists()
        for words in (("status", built), ("stats", built, "--json")):  # who only reads is not in the way
            assert cgtool(*words).returncode == 0, words
        assert state(built) == before
        assert process.poll() is None, "the first build goes on"


def test_applying_a_review_is_refused_while_a_build_runs(built: Path, tmp_path: Path) -> None:
    from tests.test_kill_review import draw_faces

    draw_faces(built, "film")
    with build_under_way(built, tmp_path):
        before = state(built)
        done = cgtool("review", built, "--apply")
        assert done.returncode == 2, done.stderr
        assert done.stderr.strip() == f"error: another run is writing to {built}. Wait for it to end, or stop it"
        assert state(built) == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_build_that_died_is_free_at_once(built: Path, tmp_path: Path, how: signal.Signals) -> None:
    with build_under_way(built, tmp_path) as process:
        process.send_signal(how)
        process.wait(60)
        done = cgtool("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT)
        assert done.returncode == 0, done.stderr
    assert (built / ".cgtool" / "lock").exists(), "the file stays: it is not what locks"


def test_a_file_system_without_locks_is_refused_in_one_line(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support_inline import cgtool_inline

    def without_locks(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", without_locks)
    done = cgtool_inline("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT)
    assert done.returncode == 2
    assert done.stderr == f"error: {built} cannot be locked (No locks available). Choose another --out\n"


def test_two_builds_share_a_cache_and_each_video_is_downloaded_once(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    names = ("a", "b", "c")
    for name in names:
        shutil.copy(face_film, tmp_path / f"{name}.mp4")
    film = face_film.read_bytes()
    with Server(tmp_path) as server:
        for name in names:
            server.always(f"/{name}.mp4", Slow(0.3))
        rows = [{"url": server.url(f"/{n}.mp4"), "city": "Tokyo", "video_id": n} for n in names]
        table, cache = write_sources(tmp_path / "s.csv", rows), tmp_path / "cache"
        outs = [tmp_path / "one", tmp_path / "two"]
        processes = [
            subprocess.Popen(
                [*CGTOOL, "build-dataset", str(table), "--out", str(o), "--cache", str(cache), *SHORT, *NETWORK],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for o in outs
        ]  # fmt: skip
        for process in processes:
            _, told = process.communicate(timeout=240)
            assert process.returncode == 0, told
        for name in names:
            assert (cache / "sources" / f"{name}.mp4").read_bytes() == film
            # A look-up and a download; whoever came second took it from the cache
            assert server.count(f"/{name}.mp4") == 2, [s.path for s in server.requests]
    assert_same_data(outs[0], outs[1])
    assert len(committed(outs[0])) == 3
    assert not list((cache / "partial").glob("*"))


def test_a_build_that_waits_for_anothers_download_stops_at_once_and_takes_over_after_a_kill(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    shutil.copy(face_film, tmp_path / "film.mp4")
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
        done = cgtool(*words, tmp_path / "two")
        assert done.returncode == 0, done.stderr
        assert (cache / "sources" / "film.mp4").read_bytes() == face_film.read_bytes()
    assert len(frames_on_disk(tmp_path / "two")) == 15
    assert not leftovers(tmp_path / "two")
