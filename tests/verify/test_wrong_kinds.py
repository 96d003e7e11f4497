"""Folders where files belong, files where folders belong, pipes: told, in nobody's way, and never deleted."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.run.store import Store
from cityguessr_data.verify.orphans import holds_others
from tests.support_verify import (
    FACES,
    Whole,
    contents,
    edit_json,
    forget,
    look,
    mended,
    part,
    rows_of,
    told,
)


def _in_time(call: Any) -> Any:
    """What a call comes to; it may not wait for ever."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(call())
        except OSError as exc:
            got.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(120)
    assert got, "it waits"
    return got[0]


def test_a_folder_named_as_a_tar_is_somebody_s(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    tar = out / "clips" / f"{FACES}.tar"
    held = tar.read_bytes()
    tar.unlink()
    (tar / "more").mkdir(parents=True)
    (tar / "more" / "mine").write_text("mine")
    where = f"clips/{FACES}.tar/more/mine"
    faults = look(out, "none").findings.of("orphans")
    assert [(fault.where, fault.mend, fault.unit) for fault in faults] == [(where, "person", FACES)]
    assert holds_others(Store(out), FACES, is_tar=True)
    repaired = mended(out, tarred)
    assert (out / where).read_text() == "mine" and repaired.failed and not repaired.redone.done
    shutil.rmtree(tar)
    tar.write_bytes(held)
    assert look(out, "none").clean


def test_a_folder_in_place_of_a_frame(out: Path, whole: Whole) -> None:
    frame = out / rows_of(out, "frames", FACES)[0]["path"]
    as_built = contents(out)
    frame.unlink()
    frame.mkdir()
    (frame / "mine").write_text("mine")
    repaired = mended(out, whole)
    assert "not cgtool's" in (repaired.redone.failed or {})[FACES] and (frame / "mine").read_text() == "mine"
    (frame / "mine").unlink()
    repaired = mended(out, whole)
    assert repaired.after.clean and contents(out) == as_built


def test_a_file_in_place_of_a_video_s_folder(out: Path, whole: Whole) -> None:
    folder = out / "clips" / FACES
    shutil.rmtree(folder)
    folder.write_text("mine")
    repaired = mended(out, whole)
    assert "not cgtool's" in (repaired.redone.failed or {})[FACES] and folder.read_text() == "mine"
    folder.unlink()
    assert mended(out, whole).after.clean


def test_a_folder_in_place_of_a_part(out: Path, whole: Whole) -> None:
    path = part(out, "clips", FACES)
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("mine")
    part(out, "faces", FACES).unlink()  # for which the video would be done again
    forget(out)
    faults = {fault.where: fault.mend for fault in look(out, "none").findings.of("tables")}
    assert faults == {f"parts/clips/{FACES}.parquet": "person", f"parts/faces/{FACES}.parquet": "redo"}
    assert not mended(out, whole).after.clean and (path / "mine").read_text() == "mine"
    assert not list((out / ".cgtool").glob("ready/*"))


def test_a_commit_sets_aside_what_is_in_its_way(out: Path) -> None:
    """It neither deletes it nor stops half done, which would stop every later command."""
    store = Store(out)
    staging = store.new_staging(FACES)
    shutil.copytree(out / "clips" / FACES, staging / "clips")
    (staging / "parts").mkdir()
    for table in ("frames", "faces", "videos", "clips"):
        shutil.copy(part(out, table, FACES), staging / "parts" / f"{table}.parquet")
    as_built = contents(out)
    shutil.rmtree(out / "clips" / FACES)
    (out / "clips" / FACES).write_text("mine")
    for table in ("clips", "faces"):
        part(out, table, FACES).unlink()
        part(out, table, FACES).mkdir()
        (part(out, table, FACES) / "mine").write_text("mine")
    store.commit(FACES, staging)
    assert contents(out) == as_built and not (out / ".cgtool" / "ready" / FACES).exists()
    aside = [path for path in (out / ".cgtool" / "set_aside").rglob("*") if path.is_file()]
    assert [path.read_text() for path in aside] == ["mine"] * 3
    assert any("set_aside" in note for note in look(out, "none").findings.notes)


def test_a_tar_s_commit_sets_a_folder_of_its_name_aside(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    store, tar = Store(out), out / "clips" / f"{FACES}.tar"
    staging = store.new_staging(FACES)
    (staging / "parts").mkdir(parents=True)
    shutil.copy(tar, staging / "clips.tar")
    for table in ("frames", "faces", "videos", "clips"):
        shutil.copy(part(out, table, FACES), staging / "parts" / f"{table}.parquet")
    tar.unlink()
    tar.mkdir()
    (tar / "mine").write_text("mine")
    store.commit(FACES, staging)
    assert look(out, "none").clean
    assert [path.read_text() for path in (out / ".cgtool" / "set_aside").rglob("mine")] == ["mine"]


@pytest.mark.parametrize("value", [[1], "x", None])
def test_a_dataset_json_that_is_no_object(out: Path, whole: Whole, value: Any) -> None:
    (out / "dataset.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="is damaged"):
        look(out, "none")
    with pytest.raises(InputError, match="is damaged"):
        mended(out, whole)


def test_counts_that_are_no_object(out: Path, whole: Whole) -> None:
    counts = json.loads((out / "dataset.json").read_text())["counts"]
    edit_json(out / "dataset.json", lambda dataset: dataset.update(counts="x"))
    assert mended(out, whole).after.clean
    assert json.loads((out / "dataset.json").read_text())["counts"] == counts


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name here")
def test_a_pipe_has_nobody_wait(out: Path) -> None:
    frame = rows_of(out, "frames", FACES)[0]["path"]
    for path in (out / frame, part(out, "faces", FACES)):
        path.unlink()
        os.mkfifo(path)
    assert "no regular file" in str(_in_time(lambda: FrameFiles(out).read(frame)))
    result = _in_time(lambda: look(out))
    assert [(fault.where, fault.mend) for fault in result.findings.of("tables")] == [
        (f"parts/faces/{FACES}.parquet", "person")
    ], told(result)
