"""An output directory that cannot be written is refused before anything is started; reading from it goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.store import Store
from tests.support_build import CGTOOL, SHORT, write_sources
from tests.support_inline import cgtool_inline
from tests.support_mounts import own_mounts, read_only
from tests.support_removal import write_by_hand
from tests.support_server import Server
from tests.test_kill_review import draw_faces
from tests.test_two_builds import state

NETWORK = ("--allow-private-hosts", "--rate", "1e9")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A finished data set; a table with one of its videos is s.csv beside it."""
    out = write_by_hand(tmp_path)
    assemble(Store(out))
    (tmp_path / "a.mp4").write_bytes(b"nobody reads it")
    write_sources(tmp_path / "s.csv", [{"url": "a.mp4", "city": "Tokyo", "video_id": "a"}])
    return out


def refused(words: Sequence[object], why: str = "Read-only file system") -> None:
    """A command ends with exit code 2 and one line that says why."""
    done = cgtool_inline(*words)
    assert done.returncode == 2, (words, done.stderr, done.stdout)
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, (words, lines)
    assert lines[0].startswith("error:")
    assert why in lines[0], (words, lines)


@own_mounts
def test_every_command_that_writes_refuses_a_read_only_output(built: Path, tmp_path: Path) -> None:
    draw_faces(built, "a")
    reading = {what: cgtool_inline(what, built) for what in ("status", "stats", "verify")}
    assert reading["status"].returncode == reading["stats"].returncode == 0
    before = state(built)
    with Server(tmp_path) as server, read_only(built):
        rows = [{"url": server.url("/a.mp4"), "city": "Tokyo", "video_id": "new"}]
        more = write_sources(tmp_path / "more.csv", rows)
        commands: dict[str, tuple[object, ...]] = {
            "build": ("build-dataset", more, "--out", built, *SHORT, *NETWORK),
            "nothing to do": ("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT),
            "export": ("export", built, "--to", "webdataset", tmp_path / "dest", "--allow-unreviewed"),
            "remove": ("remove", built, "--video", "a"),
            "refresh": ("refresh", built),
            "split": ("split", built, "--by", "clip", "--name", "another"),
            "review": ("review", built, "--no-browser"),
            "apply": ("review", built, "--apply"),
            "drop": ("cache", "drop", built),
        }
        for words in commands.values():
            refused(words)
        assert not server.requests, "nobody was asked"
        assert not (tmp_path / "dest").exists()
        assert not (tmp_path / "out.cache").exists() or not list((tmp_path / "out.cache").rglob("*.mp4"))
        for what, elsewhere in reading.items():
            done = cgtool_inline(what, built)
            assert (done.returncode, done.stdout) == (elsewhere.returncode, elsewhere.stdout), (what, done.stderr)
    assert state(built) == before


@own_mounts
def test_places_beside_the_output_that_are_read_only(built: Path, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    with Server(tmp_path) as server, read_only(shut):
        rows = [{"url": server.url("/a.mp4"), "city": "Tokyo", "video_id": "new"}]
        more = write_sources(tmp_path / "more.csv", rows)
        refused(("build-dataset", more, "--out", shut / "new", *SHORT, *NETWORK))
        refused(("build-dataset", more, "--out", tmp_path / "new", "--cache", shut / "c", *SHORT, *NETWORK))
        refused(("export", built, "--to", "webdataset", shut / "dest", "--allow-unreviewed"))
        refused(("demo", "--out", shut / "demo"))
        refused(("stats", built, "--html", shut / "stats.html"), "may not be written")
        assert not server.requests


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("setpriv"), reason="setpriv takes root's rights away")
def test_rights_that_are_not_there_are_named(built: Path, tmp_path: Path) -> None:
    before = state(built)
    folders = [built, *(p for p in built.rglob("*") if p.is_dir())]
    files = [p for p in built.rglob("*") if p.is_file()]
    for path in files:
        path.chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    plain = ("setpriv", "--bounding-set", "-dac_override") if _is_root() else ()

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*plain, *CGTOOL, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    try:
        done = run("build-dataset", tmp_path / "s.csv", "--out", built, *SHORT)
        assert done.returncode == 2, done.stderr
        assert done.stderr == f"error: {built} cannot be written (Permission denied). Choose another --out\n"
        assert run("status", built).returncode == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
    for path in files:
        path.chmod(0o644)
    assert state(built) == before


def _is_root() -> bool:
    return os.geteuid() == 0
