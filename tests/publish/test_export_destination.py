"""Where an export goes: whole or absent files, going on after a kill, a full disk, folders that are not fit."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.atomic import sync_file
from cityguessr_data.core.errors import DiskFullError, InputError, MachineError
from cityguessr_data.core.fingerprint import file_sha256
from cityguessr_data.publish import destination as module
from cityguessr_data.publish.export import ExportConfig, export
from cityguessr_data.publish.frames import FramesError
from tests.support_export import Heard, apply, decide, reviewed, run_export, state_of, write_split

FORMATS = ("webdataset", "huggingface", "croissant", "links")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = reviewed(tmp_path_factory.mktemp("set") / "out")
    write_split(made, "mine", {"walk_00000": "train", "drive_00000": "test", "walk_00001": "val"})
    return made


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of an export's time; test_export_huggingface.py looks at them."""
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter([("lorenz", b"a picture")]))


def parted(out: Path, to: str, dest: Path, **more: Any) -> ExportConfig:
    """An export of several files of clips, so that it can stop between them."""
    divided = {"split": "mine"} if to in ("webdataset", "huggingface") else {}
    return ExportConfig(out, dest, to, **divided, **more)


@pytest.mark.parametrize("to", FORMATS)
def test_the_digests_are_those_of_the_files_and_nothing_else_is_there(out: Path, tmp_path: Path, to: str) -> None:
    result = run_export(out, to, tmp_path / "x")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "x", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    there = set(state_of(tmp_path / "x"))
    named = {line.partition("  ")[2] for line in (tmp_path / "x" / "SHA256SUMS").read_text().splitlines()}
    assert there == named | {"SHA256SUMS", "export.json"} == set(result.files)
    assert result.n_bytes == sum(path.stat().st_size for path in (tmp_path / "x").rglob("*") if path.is_file())


@pytest.mark.parametrize("to", FORMATS)
def test_a_second_run_says_that_it_is_done_and_changes_nothing(out: Path, tmp_path: Path, to: str) -> None:
    run_export(out, to, tmp_path / "x")
    before = state_of(tmp_path / "x")
    again = run_export(out, to, tmp_path / "x")
    assert again.was_done and state_of(tmp_path / "x") == before


def test_a_file_that_changed_since_is_told(out: Path, tmp_path: Path) -> None:
    run_export(out, "webdataset", tmp_path / "x")
    with (tmp_path / "x" / "clips-000000.tar").open("r+b") as f:
        f.seek(2000)
        f.write(b"x")
    with pytest.raises(InputError, match=r"changed since: clips-000000\.tar"):
        run_export(out, "webdataset", tmp_path / "x")
    (tmp_path / "x" / "clips-000000.tar").unlink()
    with pytest.raises(InputError, match="changed since"):
        run_export(out, "webdataset", tmp_path / "x")


class Stopped(BaseException):
    """As a kill: nothing of the export may catch it."""


@pytest.mark.parametrize("to", ["webdataset", "huggingface", "croissant"])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_an_export_that_was_killed_goes_on_to_the_same_files(
    out: Path, tmp_path: Path, to: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at its n-th file, when that is written and not yet in its place."""
    monkeypatch.setattr(module, "file_sha256", Countdown(n))
    with pytest.raises(Stopped):
        export(parted(out, to, tmp_path / "x"), Heard())
    monkeypatch.setattr(module, "file_sha256", file_sha256)
    left = state_of(tmp_path / "x")
    assert "export.json" not in left, "what is not whole is not marked as whole"
    finished = {name for name in left if ".export/" not in name}
    assert len(finished) == n
    (tmp_path / "x" / ".clips.tar.99.abcd.partial").write_bytes(b"of a killed run")
    written: list[str] = []
    original = module.Destination.write

    def noting(self: Any, name: str, writer: Any) -> Any:
        written.append(name)
        return original(self, name, writer)

    monkeypatch.setattr(module.Destination, "write", noting)
    heard = Heard()
    export(parted(out, to, tmp_path / "x"), heard)
    assert not finished & set(written), "what was finished is not written again"
    assert heard.n_clips == 5, "all clips are counted"
    export(parted(out, to, tmp_path / "whole"), Heard())
    assert state_of(tmp_path / "x") == state_of(tmp_path / "whole")


class Countdown:
    """file_sha256, but for the n-th call."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, path: Path) -> str:
        if self.n == 0:
            raise Stopped
        self.n -= 1
        return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("to", FORMATS)
def test_a_full_disk_stops_it_resumably(out: Path, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "sync_file", full)
    with pytest.raises(DiskFullError) as stopped:
        export(parted(out, to, tmp_path / "x"), Heard())
    assert stopped.value.exit_code == 3
    assert not (tmp_path / "x").exists(), "nothing half-written, and no empty folder"
    monkeypatch.setattr(module, "sync_file", sync_file)
    assert not export(parted(out, to, tmp_path / "x"), Heard()).was_done
    assert export(parted(out, to, tmp_path / "x"), Heard()).was_done


def test_a_beginning_with_other_options_or_data_is_not_gone_on_with(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "file_sha256", Countdown(1))
    with pytest.raises(Stopped):
        export(parted(out, "webdataset", tmp_path / "x"), Heard())
    monkeypatch.setattr(module, "file_sha256", file_sha256)
    for other in (
        ExportConfig(out, tmp_path / "x", "webdataset"),
        ExportConfig(out, tmp_path / "x", "huggingface", split="mine"),
        parted(out, "webdataset", tmp_path / "x", shard_bytes=2_000_000),
    ):
        with pytest.raises(InputError, match="the beginning of another export"):
            export(other, Heard())
    changed = tmp_path / "other"
    shutil.copytree(out, changed)
    decide(changed, "walk_00001", "draw", position=0, box=(1.0, 2.0, 9.0, 12.0))
    apply(changed)
    with pytest.raises(InputError, match="the beginning of another export"):
        export(parted(changed, "webdataset", tmp_path / "x", allow_unreviewed=True), Heard())


def test_a_done_export_of_another_version_or_other_rows_is_refused(out: Path, tmp_path: Path) -> None:
    run_export(out, "links", tmp_path / "x")
    for change in ("version", "city"):
        newer = tmp_path / change
        shutil.copytree(out, newer)
        if change == "version":
            note = json.loads((newer / "dataset.json").read_text())
            (newer / "dataset.json").write_text(json.dumps(note | {"version": "1.3.0"}))
        else:
            part = newer / "parts" / "clips" / "walk.parquet"
            table = pq.read_table(part)
            at = table.schema.get_field_index("city")
            pq.write_table(table.set_column(at, table.schema.field(at), [["Osaka"] * len(table)]), part)
        with pytest.raises(InputError, match="another export"):
            run_export(newer, "links", tmp_path / "x")


def test_folders_that_are_not_fit_are_left_alone(out: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("do not touch")
    file = tmp_path / "file"
    file.write_text("a file")
    before = state_of(tmp_path)
    for dest, message in (
        (full, "not empty"),
        (file, "is a file"),
        (out / "x", "lie in one another"),
        (out, "lie in one another"),
        (out.parent, "lie in one another"),
        (tmp_path / "y" / ".." / ".." / out.parent.name / "out" / "x", "lie in one another"),
    ):
        with pytest.raises(InputError, match=message):
            run_export(out, "webdataset", dest)
    with pytest.raises(MachineError, match="cannot be written"):
        run_export(out, "webdataset", file / "x")
    assert state_of(tmp_path) == before
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_export(out, "webdataset", empty).counts["clips"] == 5


def test_frames_that_are_gone_are_listed_before_anything_is_written(out: Path, tmp_path: Path) -> None:
    hurt = tmp_path / "hurt"
    shutil.copytree(out, hurt)
    for path in ("clips/walk/walk_00001/002.jpg", "clips/drive/drive_00000/004.jpg"):
        (hurt / path).unlink()
    for to in FORMATS[:3]:
        with pytest.raises(FramesError) as refused:
            run_export(hurt, to, tmp_path / "x")
        assert [fault.partition(":")[0] for fault in refused.value.faults] == [
            "clips/drive/drive_00000/004.jpg",
            "clips/walk/walk_00001/002.jpg",
        ]
        assert not (tmp_path / "x").exists()


def test_frames_that_changed_end_the_export_and_it_is_never_one_with_holes(out: Path, tmp_path: Path) -> None:
    hurt = tmp_path / "hurt"
    shutil.copytree(out, hurt)
    bad = ["drive/drive_00000/004.jpg", "walk/walk_00001/002.jpg", "walk/walk_00001/003.jpg"]
    for path in bad:
        content = bytearray((hurt / "clips" / path).read_bytes())
        content[-5] ^= 1
        (hurt / "clips" / path).write_bytes(content)
    for to in FORMATS[:3]:
        with pytest.raises(FramesError, match="not those that the tables name") as refused:
            run_export(hurt, to, tmp_path / to)
        assert [fault.partition(":")[0] for fault in refused.value.faults] == [f"clips/{path}" for path in bad]
        assert not (tmp_path / to).exists()
    for path in bad:
        shutil.copy(out / "clips" / path, hurt / "clips" / path)
    assert not run_export(hurt, "webdataset", tmp_path / "webdataset").was_done


def test_a_link_to_a_file_elsewhere_is_no_frame(out: Path, tmp_path: Path) -> None:
    hurt = tmp_path / "hurt"
    shutil.copytree(out, hurt)
    frame = hurt / "clips/walk/walk_00001/002.jpg"
    frame.rename(tmp_path / "elsewhere.jpg")
    frame.symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(FramesError, match="no regular file"):
        run_export(hurt, "webdataset", tmp_path / "x")
