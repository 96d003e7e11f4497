"""What a repair must not touch: what others commit meanwhile, people's files, what lies behind links, sound results."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cityguessr_data.core.types import Dropped, VideoTask
from cityguessr_data.run.compute import Failed
from cityguessr_data.run.executor import Fetched, WorkItem
from cityguessr_data.run.stage import Step
from cityguessr_data.run.store import Store
from cityguessr_data.verify import deleting, findings, mend_frames, redo, verify
from cityguessr_data.verify.findings import Fault
from cityguessr_data.verify.same_source import Recorded, only_the_same
from cityguessr_data.verify.verify import VerifyConfig
from tests.support_verify import (
    FACES,
    OTHER,
    PLAIN,
    Row,
    Whole,
    contents,
    edit,
    edit_json,
    forget,
    look,
    mended,
    part,
    rows_of,
    told,
)
from tests.support_video import numbered_video

TABLES = ("frames", "faces", "videos", "clips", "attempts")


def test_what_is_committed_while_it_looks_stays(
    out: Path, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build commits a video between the listing of the parts and the look at clips/."""
    as_built = contents(out)
    (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
    away = {path: tmp_path / str(i) for i, path in enumerate([part(out, table, PLAIN) for table in TABLES])}
    away[out / "clips" / PLAIN] = tmp_path / "clips"
    for path, hidden in away.items():
        path.rename(hidden)
    whole_look: Callable[[Any], None] = verify._Look.whole

    def meanwhile(self: Any) -> None:
        for path, hidden in away.items():
            if hidden.exists():
                hidden.rename(path)
        whole_look(self)

    monkeypatch.setattr(verify._Look, "whole", meanwhile)
    repaired = mended(out, whole)
    assert repaired.after.clean, told(repaired.after)
    assert contents(out) == as_built and not repaired.deleted and not repaired.redone.done


def test_nothing_behind_a_link_is_deleted(out: Path, whole: Whole, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "001.jpg").write_bytes(b"mine")
    (out / "clips" / FACES / f"{FACES}_00099").symlink_to(photos)
    (out / "clips" / FACES / "of_other").symlink_to(out / "clips" / OTHER / f"{OTHER}_00000")
    (out / "clips" / "holiday").symlink_to(photos)
    moved = tmp_path / "disk"
    (out / "clips" / PLAIN / f"{PLAIN}_00000").rename(moved)  # a clip on another disk, with a file of somebody's
    (out / "clips" / PLAIN / f"{PLAIN}_00000").symlink_to(moved)
    (moved / "099.jpg").write_bytes(b"mine")
    before = contents(out)
    repaired = mended(out, whole)
    left = {(fault.where, fault.mend) for fault in repaired.after.findings.faults}
    assert left == {
        (f"clips/{FACES}/{FACES}_00099", "person"), (f"clips/{FACES}/of_other", "person"),
        ("clips/holiday", "person"), (f"clips/{PLAIN}/{PLAIN}_00000/099.jpg", "person"),
    }  # fmt: skip
    assert contents(out) == before and not repaired.deleted
    assert (photos / "001.jpg").read_bytes() == (moved / "099.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["clip", "unit", "clips"])
def test_deleting_goes_through_no_link(out: Path, tmp_path: Path, name: str) -> None:
    """Also where the look was fooled."""
    where = f"clips/{FACES}/{FACES}_00000/001.jpg"
    linked = out.joinpath(*where.split("/")[: {"clips": 1, "unit": 2, "clip": 3}[name]])
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    assert deleting.delete_fault(Store(out), Fault("orphans", where, "", "delete")) == []
    assert deleting.delete_fault(Store(out), Fault("orphans", where.rpartition("/")[0], "", "delete")) == []
    assert (out / where).is_file()
    with pytest.raises(ValueError, match="not to be deleted"):
        deleting.delete_fault(Store(out), Fault("orphans", where, "", "person"))


def test_files_of_people_stay(out: Path, whole: Whole) -> None:
    frame = (out / rows_of(out, "frames", FACES)[0]["path"]).read_bytes()
    theirs = [
        "my_backup.tar", f"{FACES}.tar", "holiday/day1/001.jpg", f"{FACES}/holiday/001.jpg",
        f"{FACES}/{FACES}_00000/1.jpg", f"{FACES}/{FACES}_00000/raw/001.jpg", f"{FACES}/{OTHER}_00000/001.jpg",
        f"{FACES}/{FACES}_00000/.001.jpg.7.0123abcd.partial", "nobody/nobody_00000/001.jpg",
    ]  # fmt: skip
    for name in theirs:
        (out / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "clips" / name).write_bytes(frame)
    before = contents(out)
    repaired = mended(out, whole)
    found = {fault.where: fault.mend for fault in repaired.after.findings.faults}
    assert found == {f"clips/{name}": "person" for name in theirs}
    assert contents(out) == before and not repaired.deleted


@pytest.mark.parametrize("broken", ["a count", "a part", "all parts"])
def test_a_video_with_somebody_s_file_in_its_folder_is_not_done_again(out: Path, whole: Whole, broken: str) -> None:
    """A commit would replace the folder."""
    edit(out, "videos", FACES, lambda rows: [{**rows[0], "n_clips": 7}])
    forget(out)
    for table in {"a count": (), "a part": ("faces",), "all parts": TABLES}[broken]:
        part(out, table, FACES).unlink()
    mine = out / "clips" / FACES / "notes.txt"
    mine.write_text("mine")
    repaired = mended(out, whole)
    assert "not cgtool's" in (repaired.redone.failed or {})[FACES] and mine.read_text() == "mine"
    mine.unlink()
    assert mended(out, whole).after.clean


def test_frames_of_a_video_that_lost_its_parts_are_done_again(out: Path, whole: Whole) -> None:
    as_built = contents(out)
    part(out, "clips", FACES).unlink()
    part(out, "videos", FACES).unlink()
    forget(out)
    faults = look(out, "none").findings.of("orphans")
    assert {(fault.mend, fault.unit) for fault in faults} == {("redo", FACES)}
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES,) and not repaired.deleted
    assert contents(out) == as_built


def test_a_clips_part_of_another_video_costs_nothing_of_its_own(out: Path, whole: Whole) -> None:
    as_built = contents(out)
    shutil.copy(part(out, "clips", OTHER), part(out, "clips", FACES))
    forget(out)
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES,) and not repaired.deleted, told(repaired.after)
    assert contents(out) == as_built


@pytest.mark.parametrize("why", ["the other is damaged", "it has frames", "it says something else", "its own part"])
def test_only_a_true_copy_is_deleted(out: Path, why: str) -> None:
    shutil.copy(part(out, "clips", FACES), part(out, "clips", "again"))
    if why == "the other is damaged":
        part(out, "faces", FACES).write_bytes(b"PAR1")
    elif why == "it has frames":
        shutil.copytree(out / "clips" / PLAIN, out / "clips" / "again")
    elif why == "it says something else":
        edit(out, "clips", "again", lambda rows: rows[:-1])
    else:
        shutil.copy(part(out, "frames", PLAIN), part(out, "frames", "again"))
    faults = [fault for fault in look(out, "none").findings.of("rows") if "again" in fault.where]
    assert [(fault.what, fault.mend) for fault in faults] == [(f"is of the video {FACES}", "person")]


@pytest.mark.parametrize("known_by", ["its part", "the manifest"])
def test_a_source_that_is_another_file_now_replaces_nothing(
    out: Path, whole: Whole, tmp_path: Path, known_by: str
) -> None:
    film = whole.root / "src" / f"{FACES}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        numbered_video(film, 10)
        (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
        if known_by == "the manifest":
            part(out, "videos", FACES).unlink()
        before = contents(out)
        repaired = mended(out, whole)
    finally:
        (tmp_path / "away.mp4").replace(film)
    assert "its source is another file now" in (repaired.redone.failed or {})[FACES]
    without = f"parts/videos/{FACES}.parquet" if known_by == "the manifest" else ""
    assert {path: held for path, held in contents(out).items() if path != without} == before
    assert repaired.failed and not repaired.after.clean
    repaired = mended(out, whole)  # the file is there again
    assert repaired.after.clean, told(repaired.after)


def test_a_download_that_nothing_is_known_of_replaces_nothing() -> None:
    """A site may give a video another time in another form."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def got(url: str, held: Recorded, sha256: str = "new") -> str | None:
        source: Any = SimpleNamespace(sha256=sha256)
        task = VideoTask("v", url, ())
        fetched = Fetched(WorkItem(task, "f"), source, Step("download", "done", now, 0.0))
        result = only_the_same(lambda _item, _stop: fetched, {"v": held})(WorkItem(task, "f"), threading.Event())
        return result.message if isinstance(result, Failed) else None

    site, local = "https://example.org/v", "/v.mp4"
    of = frozenset({"f"})
    assert "another file" in str(got(site, Recorded("old", True, of)))
    assert got(site, Recorded("new", True, of)) is None
    assert "nothing says" in str(got(site, Recorded(None, True, of)))
    assert got(local, Recorded(None, True, of)) is None
    assert "nothing says" in str(got(local, Recorded(None, True, frozenset({"other"}))))
    assert got(site, Recorded(None, False, frozenset())) is None


def test_what_a_site_would_drop_now_stays() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    item = WorkItem(VideoTask("v", "https://example.org/v", ()), "f")

    def got(reason: Any, has_clips: bool) -> object:
        fetched = Fetched(item, Dropped(reason, "so"), Step("download", "dropped", now, 0.0))
        held = Recorded("old", has_clips, frozenset())
        return only_the_same(lambda _item, _stop: fetched, {"v": held})(item, threading.Event())

    assert isinstance(got("too-long", True), Failed)
    assert isinstance(got("removed", True), Fetched) and isinstance(got("too-long", False), Fetched)


def test_a_copied_data_set_opens_no_local_file(out: Path, whole: Whole) -> None:
    """Its rows may be a stranger's, and name any file of this machine."""
    edit_json(out / ".cgtool" / "plan.json", lambda plan: plan.update(out="/somewhere/else"))
    part(out, "faces", FACES).unlink()
    forget(out)
    repaired = mended(out, whole)
    assert "copied or moved" in (repaired.redone.failed or {})[FACES] and not part(out, "faces", FACES).exists()


def test_other_weights_are_refused_also_where_nothing_is_committed(out: Path, whole: Whole) -> None:
    for path in Store(out).parts("clips"):
        path.unlink()
    forget(out)
    edit_json(out / "dataset.json", lambda dataset: dataset["models"]["detector"].update({"x": "0" * 64}))
    assert "another configuration" in (mended(out, whole).redone.failed or {})[FACES]
    assert not Store(out).parts("clips")


def test_a_cache_is_noted_before_anything_is_fetched(
    out: Path, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(out, "faces", FACES).unlink()
    forget(out)

    class Stop(Exception):
        pass

    def stop(store: Store, *_more: object) -> None:
        assert store.plan()["cached"]["folders"] == sorted([*before["folders"], str(tmp_path / "cache")])
        assert store.plan()["cached"]["videos"] == before["videos"]
        raise Stop

    before = Store(out).plan()["cached"]
    monkeypatch.setattr(redo, "run_videos", stop)
    with pytest.raises(Stop):
        mended(out, whole, cache=tmp_path / "cache")


def test_a_frame_is_staged_where_the_next_run_clears_it(
    out: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = out / rows_of(out, "frames", FACES)[0]["path"]
    lost.unlink()
    replace, staged = os.replace, list[Path]()

    def killed_before(source: Path, target: Path) -> None:
        staged.append(source)
        assert not list(out.glob("clips/**/.*")) and source.is_file()
        replace(source, target)

    monkeypatch.setattr(mend_frames.os, "replace", killed_before)
    assert mended(out, whole).after.clean
    assert [path.parent.parent for path in staged] == [out / ".cgtool" / "staging"]


def test_a_frame_that_is_a_link_is_made_anew_and_its_target_stays(out: Path, whole: Whole, tmp_path: Path) -> None:
    frame = out / rows_of(out, "frames", FACES)[0]["path"]
    as_built = contents(out)
    frame.rename(tmp_path / "x.jpg")
    frame.symlink_to(tmp_path / "x.jpg")
    held = (tmp_path / "x.jpg").read_bytes()
    (fault,) = look(out, "none").findings.of("frames")
    assert "no regular file" in fault.what
    assert mended(out, whole).after.clean and not frame.is_symlink()
    assert contents(out) == as_built and (tmp_path / "x.jpg").read_bytes() == held


def test_faults_beyond_those_that_are_kept_are_mended_too(
    out: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "_KEPT", 3)
    as_built = contents(out)
    for unit in (FACES, PLAIN):
        for row in rows_of(out, "frames", unit)[:5]:
            (out / row["path"]).unlink()
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES, PLAIN)
    assert contents(out) == as_built


def test_empty_folders_go_from_the_innermost(out: Path, whole: Whole) -> None:
    (out / "clips" / FACES / "a" / "b").mkdir(parents=True)
    (out / "clips" / "zz" / "a").mkdir(parents=True)
    repaired = mended(out, whole)
    assert repaired.after.clean
    assert repaired.deleted == [f"clips/{FACES}/a/b", f"clips/{FACES}/a", "clips/zz/a", "clips/zz"]
    assert not (out / "clips" / "zz").exists() and not (out / "clips" / FACES / "a").exists()


def test_without_its_rows_labels_are_compared_with_each_other_alone(out: Path, whole: Whole) -> None:
    """As of a data set that was built with a taxonomy of its own, before rows were kept."""
    (out / ".cgtool" / "rows.parquet").unlink()

    def own(rows: list[Row]) -> None:
        for row in rows:
            row["city_label"] += 1000

    for unit in (FACES, OTHER, PLAIN):
        edit(out, "clips", unit, own)
    before = {unit: part(out, "clips", unit).read_bytes() for unit in (FACES, OTHER, PLAIN)}
    repaired = mended(out, whole)
    assert repaired.after.clean, told(repaired.after)
    assert any("--taxonomy FILE" in note for note in repaired.after.findings.notes)
    assert {unit: part(out, "clips", unit).read_bytes() for unit in before} == before


def test_labels_of_a_taxonomy_that_was_named_do_not_have_videos_done_again(out: Path, tmp_path: Path) -> None:
    header = "city_id,city,state_id,state,country_id,country,continent_id,continent"
    own = tmp_path / "own.csv"
    own.write_text(header + "\n0,London,0,England,0,United_Kingdom,0,Europe\n1,Tokyo,1,Tokyo,1,Japan,1,Asia\n")
    faults = verify.verify(VerifyConfig(out, "none", taxonomy=own)).findings.of("labels")
    assert faults and {fault.mend for fault in faults} == {"person"}
