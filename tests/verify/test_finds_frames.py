"""Damage to frames and files: each is found, by its own check and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.media.decode import decode, index_video
from tests.support_verify import (
    FACES,
    PLAIN,
    Row,
    Whole,
    edit,
    everything,
    jpeg_of,
    look,
    only,
    part,
    put_together,
    replace_frame,
    rows_of,
    told,
)


def test_a_build_is_clean_and_looking_changes_nothing(whole: Whole) -> None:
    before = everything(whole.out)
    result = look(whole.out)
    assert result.clean, told(result)
    assert everything(whole.out) == before
    looked = result.findings.looked_at
    assert (looked["frames"], looked["sources"], looked["faces"]) == (40, 40, 30)
    assert (looked["rows"], looked["scenes"], looked["tables"], looked["splits"]) == (8, 8, 12, 2)


def test_a_sample_looks_at_some_frames_of_each_video_and_says_so(whole: Whole) -> None:
    result = look(whole.out, "sample")
    assert result.clean and result.findings.looked_at["sources"] == 12
    assert any("4 frames of each of 3 videos" in note for note in result.findings.notes)


def test_a_byte_of_a_frame(out: Path) -> None:
    frame = out / rows_of(out, "frames", PLAIN)[3]["path"]
    content = bytearray(frame.read_bytes())
    content[len(content) // 2] ^= 1
    frame.write_bytes(content)
    (fault,) = only(look(out), "frames")
    assert (fault.where, fault.unit, fault.mend) == (frame.relative_to(out).as_posix(), PLAIN, "frame")


def test_a_frame_that_is_gone_and_one_that_is_empty(out: Path) -> None:
    rows = rows_of(out, "frames", FACES)
    (out / rows[0]["path"]).unlink()
    (out / rows[7]["path"]).write_bytes(b"")
    assert {fault.what for fault in only(look(out), "frames")} == {"is missing", "is empty"}


def test_two_frames_that_changed_places(out: Path) -> None:
    rows = rows_of(out, "frames", PLAIN)
    one, other = out / rows[0]["path"], out / rows[1]["path"]
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)
    assert len(only(look(out), "frames")) == 2


def test_two_frames_that_changed_places_in_the_tables_too(out: Path) -> None:
    """Digests fit; only the source knows."""
    rows = rows_of(out, "frames", PLAIN)
    first, second = ((out / rows[i]["path"]).read_bytes() for i in (0, 1))
    replace_frame(out, PLAIN, 0, second)
    replace_frame(out, PLAIN, 1, first)
    put_together(out)
    faults = only(look(out), "sources")
    assert [fault.where for fault in faults] == [rows[0]["path"], rows[1]["path"]]
    assert "not its source's frame" in faults[0].what


@pytest.mark.parametrize("sources", ["all", "sample"])
def test_an_unblurred_frame_whose_digest_is_in_the_table(out: Path, whole: Whole, sources: str) -> None:
    film = whole.root / "src" / f"{FACES}.mp4"
    rows = rows_of(out, "frames", FACES)
    originals = {f.index: f.rgb for f in decode(film, {r["frame_index"] for r in rows}, 60, index_video(film))}
    for i, row in enumerate(rows):
        replace_frame(out, FACES, i, jpeg_of(originals[row["frame_index"]]))
    put_together(out)
    faults = only(look(out, sources), "sources")  # type: ignore[arg-type]
    assert len(faults) == (len(rows) if sources == "all" else 4)
    assert all("1 of its 1 blurred boxes are not blurred" in fault.what for fault in faults)


def test_without_its_source_a_video_is_told_and_is_no_fault(out: Path, whole: Whole, tmp_path: Path) -> None:
    film = whole.root / "src" / f"{PLAIN}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        result = look(out)
    finally:
        (tmp_path / "away.mp4").rename(film)
    assert result.clean
    assert [note for note in result.findings.notes if note.startswith("1 video was not compared")]


def test_files_that_no_row_names(out: Path) -> None:
    frame = out / rows_of(out, "frames", FACES)[0]["path"]
    shutil.copy(frame, frame.with_name("006.jpg"))
    stray = out / "clips" / "nobody" / "nobody_00000"
    stray.mkdir(parents=True)
    shutil.copy(frame, stray / "001.jpg")
    (out / "clips" / "notes.txt").write_text("mine")
    (frame.parent / "note.txt").write_text("mine")
    (out / "clips" / "empty" / "empty_00000").mkdir(parents=True)
    found = {fault.where: fault.mend for fault in only(look(out), "orphans")}
    assert found == {
        frame.with_name("006.jpg").relative_to(out).as_posix(): "delete",
        "clips/nobody/nobody_00000/001.jpg": "person",
        "clips/empty": "delete",
        "clips/notes.txt": "person",
        (frame.parent / "note.txt").relative_to(out).as_posix(): "person",
    }


def test_parts_without_a_clips_part(out: Path) -> None:
    for table in ("frames", "faces"):
        shutil.copy(part(out, table, FACES), part(out, table, "nobody"))
    (out / "parts" / "clips" / "note.txt").write_text("mine")
    (out / "parts" / "extras").mkdir()
    found = {fault.where: fault.mend for fault in only(look(out), "orphans")}
    assert found == {
        "parts/frames/nobody.parquet": "person", "parts/faces/nobody.parquet": "person",
        "parts/clips/note.txt": "person", "parts/extras": "person",
    }  # fmt: skip


def test_pictures_where_none_may_be(out: Path, whole: Whole) -> None:
    frame = (out / rows_of(out, "frames", FACES)[0]["path"]).read_bytes()
    (out / "notes").mkdir()
    (out / "notes" / "readme.txt").write_bytes(frame)
    (out / ".cgtool" / "review").mkdir()
    (out / ".cgtool" / "review" / "x").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    shutil.copy(whole.root / "src" / f"{FACES}.mp4", out / "source")
    found = {fault.where: fault.what for fault in only(look(out), "pictures")}
    assert found == {
        "notes/readme.txt": "is a JPEG", ".cgtool/review/x": "is a PNG", "source": "is an MP4, MOV, HEIF or AVIF",
    }  # fmt: skip


def test_what_a_killed_run_leaves(out: Path) -> None:
    for name in ("staging/film.0123456789ab/clips", "trash/film.0123456789ab"):
        (out / ".cgtool" / name).mkdir(parents=True)
    (out / "parts" / "videos" / ".film.parquet.1.0123abcd.partial").write_bytes(b"half")
    (out / ".cgtool" / "probe.0123abcd").touch()
    found = {fault.where for fault in only(look(out), "leftovers")}
    assert found == {
        ".cgtool/staging/film.0123456789ab", ".cgtool/trash/film.0123456789ab", ".cgtool/probe.0123abcd",
        "parts/videos/.film.parquet.1.0123abcd.partial",
    }  # fmt: skip


def test_a_commit_that_was_cut_short_is_a_leftover_and_nothing_else(out: Path) -> None:
    """Killed after the decision: the clips part is gone, the new parts wait."""
    ready = out / ".cgtool" / "ready" / FACES
    (ready / "parts").mkdir(parents=True)
    for table in ("frames", "faces", "videos", "clips"):
        shutil.copy(part(out, table, FACES), ready / "parts")
        (ready / "parts" / f"{FACES}.parquet").rename(ready / "parts" / f"{table}.parquet")
    part(out, "clips", FACES).unlink()
    (fault,) = only(look(out), "leftovers")
    assert fault.where == f".cgtool/ready/{FACES}"


def test_a_frame_that_is_in_two_rows(out: Path) -> None:
    def same_path(rows: list[Row]) -> None:
        rows[1]["path"], rows[1]["sha256"] = rows[0]["path"], rows[0]["sha256"]

    lost = rows_of(out, "frames", PLAIN)[1]["path"]
    edit(out, "frames", PLAIN, same_path)
    (out / lost).unlink()
    put_together(out)
    (fault,) = only(look(out, "none"), "rows")
    assert fault.what == "is the file of 2 rows"


def test_a_frame_outside_the_data_set(out: Path, tmp_path: Path) -> None:
    row = rows_of(out, "frames", PLAIN)[0]
    (out / row["path"]).rename(tmp_path / "away.jpg")

    def away(rows: list[Row]) -> None:
        rows[0]["path"] = str(tmp_path / "away.jpg")

    edit(out, "frames", PLAIN, away)
    put_together(out)
    (fault,) = only(look(out, "none"), "rows")
    assert "outside the data set" in fault.what


def test_a_tar_is_looked_into(tarred: Whole, tmp_path: Path) -> None:
    result = look(tarred.out)
    assert result.clean, told(result)
    assert result.findings.looked_at["frames"] == result.findings.looked_at["sources"] == 40
    out = tarred.copy(tmp_path / "out")
    path = rows_of(out, "frames", FACES)[0]["path"].partition("#")[0]
    tar = out / path
    content = bytearray(tar.read_bytes())
    content[2000] ^= 1  # in the first frame
    tar.write_bytes(content)
    (fault,) = only(look(out), "frames")
    assert fault.where.startswith(f"{path}#")
    tar.unlink()
    assert {fault.what for fault in only(look(out), "frames")} == {"is missing"}


def test_members_that_no_row_names(tarred: Whole, tmp_path: Path) -> None:
    import io
    import tarfile

    out = tarred.copy(tmp_path / "out")
    path = out / "clips" / f"{FACES}.tar"
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("film_00099.001.jpg")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"more"))
    shutil.copy(path, out / "clips" / "nobody.tar")
    found = {fault.where: fault.mend for fault in only(look(out), "orphans")}
    assert found == {f"clips/{FACES}.tar": "redo", "clips/nobody.tar": "person"}


def test_partitioned_manifests_are_read_too(out: Path) -> None:
    from cityguessr_data.run.assemble import assemble
    from cityguessr_data.run.store import Store

    assemble(Store(out), partition_from=1)
    assert (out / "manifests" / "frames.parquet").is_dir()
    assert look(out, "none").clean
    files = sorted((out / "manifests" / "faces.parquet").iterdir(), key=lambda path: -path.stat().st_size)
    table = pq.read_table(files[0])
    pq.write_table(table.slice(1), files[0])
    (fault,) = only(look(out, "none"), "manifests")
    assert fault.where == "manifests/faces.parquet"
