"""A repair brings back what was there, byte for byte, and keeps what it cannot make again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.over_frames.apply_review import apply_review
from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.run.store import Store
from tests.support_verify import (
    FACES,
    OTHER,
    PLAIN,
    Row,
    Silent,
    Whole,
    contents,
    edit,
    edit_json,
    everything,
    forget,
    jpeg_of,
    look,
    mended,
    part,
    put_together,
    replace_frame,
    rows_of,
    run,
    told,
)


def test_nothing_to_mend_changes_nothing(whole: Whole) -> None:
    before = everything(whole.out)
    repaired = mended(whole.out, whole)
    assert repaired.after is repaired.before and repaired.after.clean
    assert everything(whole.out) == before


def test_frames_leftovers_and_tables(out: Path, whole: Whole) -> None:
    """All that is mended without doing a video again: no worker starts, and the detector is not needed."""
    as_built, rows = contents(out), rows_of(out, "frames", FACES)
    content = bytearray((out / rows[0]["path"]).read_bytes())
    content[-100] ^= 1
    (out / rows[0]["path"]).write_bytes(content)
    (out / rows[6]["path"]).unlink()
    shutil.copy(out / rows[1]["path"], out / "clips" / FACES / f"{FACES}_00000" / "006.jpg")
    shutil.copytree(out / "clips" / PLAIN / f"{PLAIN}_00000", out / "clips" / PLAIN / f"{PLAIN}_00099")
    for table in ("frames", "faces", "videos", "clips", "attempts"):
        shutil.copy(part(out, table, FACES), part(out, table, "again"))
    (out / ".cgtool" / "staging" / "film.0123456789ab").mkdir(parents=True)
    (out / "splits" / ".by-clip.parquet.1.0123abcd.partial").write_bytes(b"half")
    (out / "manifests" / "faces.parquet").unlink()
    table = pq.read_table(out / "manifests" / "frames.parquet")
    pq.write_table(table.slice(3), out / "manifests" / "frames.parquet")
    (out / "preview.jpg").unlink()
    edit_json(out / "dataset.json", lambda dataset: dataset["counts"].update(clips=1))

    repaired = mended(out, whole)
    assert repaired.after.clean, told(repaired.after)
    assert contents(out) == as_built
    assert repaired.n_frames == 2 and not repaired.redone.done
    assert (out / "preview.jpg").is_file()


def test_videos_are_done_again(out: Path, whole: Whole) -> None:
    """An unblurred frame with its digest in the table, a damaged part and a wrong label: three videos, one repair."""
    as_built = contents(out)
    film = whole.root / "src" / f"{FACES}.mp4"
    row = rows_of(out, "frames", FACES)[2]
    (frame,) = decode(film, {row["frame_index"]}, 60, index_video(film))
    replace_frame(out, FACES, 2, jpeg_of(frame.rgb))
    put_together(out)
    part(out, "faces", OTHER).write_bytes(part(out, "faces", OTHER).read_bytes()[:200])

    def elsewhere(rows: list[Row]) -> None:
        rows[0] |= {"city": "Paris"}

    edit(out, "clips", PLAIN, elsewhere)
    forget(out)
    repaired = mended(out, whole, "all")
    assert repaired.after.clean, told(repaired.after)
    assert repaired.redone.done == (FACES, OTHER, PLAIN)
    assert contents(out) == as_built


def test_a_clips_part_that_is_gone_comes_back(out: Path, whole: Whole) -> None:
    as_built = contents(out)
    part(out, "clips", FACES).unlink()
    forget(out)
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES,)
    assert contents(out) == as_built


def test_a_tar_is_done_again(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    as_built = contents(out)
    tar = out / "clips" / f"{FACES}.tar"
    tar.write_bytes(tar.read_bytes()[:5000])
    repaired = mended(out, tarred)
    assert repaired.after.clean, told(repaired.after)
    assert contents(out) == as_built


def test_a_commit_that_was_cut_short_is_finished(out: Path, whole: Whole) -> None:
    as_built = contents(out)
    ready = out / ".cgtool" / "ready" / FACES
    shutil.copytree(out / "clips" / FACES, ready / "clips")
    (ready / "parts").mkdir()
    for table in ("frames", "faces", "videos", "clips"):
        shutil.copy(part(out, table, FACES), ready / "parts" / f"{table}.parquet")
    part(out, "clips", FACES).unlink()
    assert mended(out, whole).after.clean
    assert contents(out) == as_built


def test_what_cannot_be_made_again_stays(out: Path, whole: Whole, tmp_path: Path) -> None:
    """The source is gone: the video stays committed, with the frames that it has."""
    film = whole.root / "src" / f"{FACES}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        lost = rows_of(out, "frames", FACES)[0]["path"]
        (out / lost).unlink()
        (out / "clips" / "notes.txt").write_text("mine")
        before = contents(out)
        repaired = mended(out, whole)
    finally:
        (tmp_path / "away.mp4").rename(film)
    assert {fault.where for fault in repaired.after.findings.faults} == {lost, "clips/notes.txt"}
    assert "is not there" in (repaired.redone.failed or {})[FACES]
    assert contents(out) == before
    assert mended(out, whole).n_frames == 1


def test_a_video_of_which_nobody_knows_the_rows_is_left_to_the_build(out: Path, whole: Whole) -> None:
    as_built = contents(out)
    (out / ".cgtool" / "rows.parquet").unlink()
    edit(out, "videos", PLAIN, lambda rows: [{**rows[0], "n_clips": 7}])
    put_together(out)
    repaired = mended(out, whole)
    assert repaired.redone.to_build == (PLAIN,) and not repaired.after.clean
    run("build-dataset", whole.table, "--out", out, *whole.options())
    assert look(out).clean and contents(out) == as_built


def test_other_weights_or_settings_are_refused(out: Path, whole: Whole) -> None:
    """What they gave would not be what the data set says it is."""
    part(out, "faces", FACES).unlink()
    forget(out)
    assert "--scene-model" in (mended(out, whole, scene_model=None).redone.failed or {})[FACES]
    edit_json(out / "dataset.json", lambda dataset: dataset["models"]["detector"].update({"x": "0" * 64}))
    assert "another configuration" in (mended(out, whole).redone.failed or {})[FACES]
    assert not part(out, "faces", FACES).exists()


def _decide(out: Path, *actions: tuple[str, int, tuple[float, float, float, float] | None]) -> None:
    mark = rows_of(out, "clips", FACES)[0]["fingerprint"]
    rows = [
        Decision(action, f"{FACES}_00000", mark, "me", "s", datetime(2026, 1, 1, tzinfo=UTC), new_id(), at, box)  # type: ignore[arg-type]
        for action, at, box in actions
    ]
    DecisionLog(Store(out)).append(FACES, rows)


def test_a_reviewed_video_keeps_its_review(out: Path, whole: Whole) -> None:
    face = rows_of(out, "faces", FACES)[1]
    box = (face["x0"], face["y0"], face["x1"], face["y1"])
    _decide(out, ("draw", 0, (200.0, 30.0, 248.0, 90.0)), ("reject", face["position"], box))
    assert apply_review(out, Silent(), 1).n_frames == 2
    result = look(out)
    assert result.clean, told(result)
    reviewed = contents(out)
    lost = rows_of(out, "frames", FACES)[0]["path"]
    (out / lost).unlink()
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.n_frames == 1 and not repaired.redone.done
    assert contents(out) == reviewed
    edit(out, "videos", FACES, lambda rows: [{**rows[0], "n_clips": 7}])
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES,) and repaired.reviewed == [FACES]
    assert contents(out) == reviewed


def test_a_removal_that_was_cut_short_is_carried_out(out: Path, whole: Whole) -> None:
    from cityguessr_data.run.tombstones import Tombstone, bury

    bury(Store(out), [Tombstone("video", PLAIN, datetime(2026, 1, 1, tzinfo=UTC), "on request", "0.2.0")])
    repaired = mended(out, whole)
    assert repaired.after.clean, told(repaired.after)
    assert rows_of(out, "videos", PLAIN)[0]["status"] == "removed"
    assert not (out / "clips" / PLAIN).exists()


@pytest.mark.parametrize("table", ["frames", "videos"])
def test_a_repair_that_cannot_read_a_part_says_so(out: Path, whole: Whole, tmp_path: Path, table: str) -> None:
    film = whole.root / "src" / f"{PLAIN}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        (out / rows_of(out, "frames", PLAIN)[0]["path"]).unlink()  # the manifests do not fit either
        part(out, table, PLAIN).write_bytes(b"PAR1")
        repaired = mended(out, whole)
    finally:
        (tmp_path / "away.mp4").rename(film)
    assert not repaired.after.clean
    left = {fault.where for fault in repaired.after.findings.faults}
    assert {f"parts/{table}/{PLAIN}.parquet"} <= left
    assert left <= {f"parts/{table}/{PLAIN}.parquet", "manifests/attempts.parquet"}
    assert repaired.why_not and not repaired.put_together
    assert part(out, "clips", PLAIN).exists()
