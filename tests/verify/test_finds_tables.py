"""Damage to tables: each is found, by its own check and no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.schemas import FINGERPRINT_KEY
from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.run.store import Store
from cityguessr_data.run.tombstones import Tombstone, bury
from cityguessr_data.verify.verify import VerifyConfig, verify
from tests.support_verify import (
    FACES,
    OTHER,
    PLAIN,
    Row,
    city_of,
    edit,
    edit_json,
    look,
    only,
    part,
    put_together,
    rows_of,
    told,
)

CLIP = f"{PLAIN}_00000"


def test_parts_that_are_missing_or_damaged(out: Path) -> None:
    part(out, "faces", FACES).unlink()
    content = part(out, "videos", OTHER).read_bytes()
    part(out, "videos", OTHER).write_bytes(content[: len(content) // 2])
    faults = only(look(out), "tables")
    assert [fault.where for fault in faults] == [f"parts/faces/{FACES}.parquet", f"parts/videos/{OTHER}.parquet"]
    assert [fault.what.split(" (")[0] for fault in faults] == ["is missing", "cannot be read"]
    assert {fault.mend for fault in faults} == {"redo"}


def test_a_clips_part_that_is_gone(out: Path) -> None:
    part(out, "clips", FACES).unlink()
    (fault,) = only(look(out), "tables")
    assert (fault.where, fault.what) == (f"parts/clips/{FACES}.parquet", "is missing")


def test_a_part_of_another_schema(out: Path) -> None:
    path = part(out, "frames", PLAIN)
    table = pq.read_table(path)
    at = table.schema.get_field_index("position")
    pq.write_table(table.set_column(at, "position", table["position"].cast(pa.int64())), path)
    pq.write_table(pq.read_table(part(out, "faces", FACES)).drop_columns(["score"]), part(out, "faces", FACES))
    faults = only(look(out), "tables")
    assert "no column score" in faults[0].what and "is int64, not int32" in faults[1].what


def test_parts_of_two_results(out: Path) -> None:
    path = part(out, "faces", FACES)
    table = pq.read_table(path)
    marks = {**table.schema.metadata, FINGERPRINT_KEY: b"0123456789abcdef"}
    pq.write_table(table.replace_schema_metadata(marks), path)
    (fault,) = only(look(out), "tables")
    assert fault.what == "is of another result than the clips part"


@pytest.mark.parametrize("tables", [("frames", "faces", "videos", "clips", "attempts"), ("clips",)])
def test_a_part_under_a_second_name(out: Path, tables: tuple[str, ...]) -> None:
    for table in tables:
        shutil.copy(part(out, table, FACES), part(out, table, "again"))
    (fault,) = only(look(out), "rows")
    assert (fault.where, fault.what) == ("parts/clips/again.parquet", f"is a second copy of the parts of {FACES}")


def test_a_clip_that_is_in_two_units(out: Path) -> None:
    def adopt(rows: list[Row]) -> list[Row]:
        return [*rows, {**rows_of(out, "clips", FACES)[0], "fingerprint": rows[0]["fingerprint"]}]

    edit(out, "clips", PLAIN, adopt)
    put_together(out)
    faults = look(out, "none").findings.of("rows")
    assert f"is in {FACES} and in {PLAIN}" in {fault.what for fault in faults}


Change = Callable[[list[Row]], list[Row] | None]


def _set(column: str, value: object, row: int = 0) -> Change:
    def change(rows: list[Row]) -> None:
        rows[row][column] = value

    return change


def _without_last(rows: list[Row]) -> list[Row]:
    return rows[:-1]


def _last_twice(rows: list[Row]) -> list[Row]:
    return [*rows, rows[-1]]


ROWS = [
    ("videos", PLAIN, _set("n_clips", 3), "says 3 clips"),
    ("videos", PLAIN, _set("status", "dropped"), "says dropped"),
    ("videos", PLAIN, _set("video_id", "other"), "is of the video other"),
    ("clips", PLAIN, _set("fingerprint", "0123456789abcdef"), "its fingerprint is not that of its part"),
    ("frames", PLAIN, _last_twice, "1 of its frames stand twice"),
]


@pytest.mark.parametrize(("table", "unit", "change", "what"), ROWS)
def test_rows_that_do_not_belong_together(out: Path, table: str, unit: str, change: Change, what: str) -> None:
    edit(out, table, unit, change)
    put_together(out)
    faults = only(look(out, "none"), "rows")
    assert what in faults[0].what


def test_a_row_that_is_gone(out: Path) -> None:
    lost = rows_of(out, "frames", PLAIN)[-1]["path"]
    edit(out, "frames", PLAIN, _without_last)
    (out / lost).unlink()
    put_together(out)
    (fault,) = only(look(out), "rows")
    assert fault.what == "1 of its 5 frames are not in the table"


SPANS = [
    ("frames", _set("frame_index", 1, 1), "1 of its frames are not those that the rule samples"),
    ("videos", _set("n_frames", 30), "its video has 30"),
    ("clips", _set("clip_index", 7), "has the number 7"),
    ("clips", _set("n_frames", 21), "says 21 frames"),
    ("clips", _set("end_frame", 30), "has 30 frames, not 20 to 25"),
    ("clips", _set("end_s", 0.0), "before it starts"),
    ("clips", _set("start_frame", None), "has no span"),
]


@pytest.mark.parametrize(("table", "change", "what"), SPANS)
def test_spans_that_break_the_rule(out: Path, table: str, change: Change, what: str) -> None:
    edit(out, table, PLAIN, change)
    put_together(out)
    faults = only(look(out, "none"), "spans")
    assert any(what in fault.what for fault in faults), [fault.what for fault in faults]


def test_clips_that_share_frames(out: Path) -> None:
    def earlier(rows: list[Row]) -> None:
        rows[1]["start_frame"] -= 1
        rows[1]["end_frame"] -= 1

    def indices(rows: list[Row]) -> None:
        for row in rows[5:]:
            row["frame_index"] -= 1

    edit(out, "clips", PLAIN, earlier)
    edit(out, "frames", PLAIN, indices)
    put_together(out)
    (fault,) = only(look(out, "none"), "spans")
    assert fault.what == f"shares frames with {CLIP}"


def _unblur(review: str) -> Change:
    def change(rows: list[Row]) -> None:
        rows[0] |= {"blurred": False, "review": review}

    return change


@pytest.mark.parametrize(
    ("review", "what"), [("pending", "boxes of a score of 0.5 and over are not blurred"), ("rejected", "no decision")]
)
def test_a_face_over_the_threshold_that_was_not_blurred(out: Path, review: str, what: str) -> None:
    edit(out, "faces", FACES, _unblur(review))
    edit(out, "frames", FACES, _set("n_faces", 0))
    edit(out, "clips", FACES, _set("n_faces", 4))
    put_together(out)
    faults = only(look(out, "none"), "faces")
    assert any(what in fault.what for fault in faults)


def test_a_face_that_a_reviewer_rejected_is_none(out: Path) -> None:
    face = rows_of(out, "faces", FACES)[0]
    box = (face["x0"], face["y0"], face["x1"], face["y1"])
    mark = rows_of(out, "clips", FACES)[0]["fingerprint"]
    decision = Decision(
        "reject", face["clip_id"], mark, "somebody", "s", datetime(2026, 1, 1, tzinfo=UTC), new_id(), 0, box
    )
    DecisionLog(Store(out)).append(FACES, [decision])
    edit(out, "faces", FACES, _unblur("rejected"))
    edit(out, "frames", FACES, _set("n_faces", 0))
    edit(out, "clips", FACES, _set("n_faces", 4))
    put_together(out)
    result = look(out, "none")
    assert result.clean, told(result)


FACE_ROWS = [
    ("frames", _set("n_faces", 2), "frames say another number"),
    ("clips", _set("n_faces", 9), "9 blurred faces in the clip's row, 5 boxes"),
    ("clips", _set("blur", "strict"), "has the blur strict"),
    ("clips", _set("blur", None), "clip was never blurred"),
    ("faces", _set("frame_index", 3), "another frame_index"),
    ("faces", _set("x0", float("nan")), "boxes are none"),
    ("faces", _set("origin", "guessed"), "unknown kind, origin or review"),
]


@pytest.mark.parametrize(("table", "change", "what"), FACE_ROWS)
def test_faces_that_do_not_fit(out: Path, table: str, change: Change, what: str) -> None:
    edit(out, table, FACES, change)
    put_together(out)
    result = look(out, "none")
    assert any(what in fault.what for fault in result.findings.of("faces")), told(result)
    assert {fault.check for fault in result.findings.faults} <= {"faces", "rows"}, told(result)


def test_labels_that_the_rows_do_not_give(out: Path) -> None:
    edit(out, "clips", PLAIN, _set("city_label", city_of("Tokyo"), 1))
    put_together(out)
    (fault,) = only(look(out), "labels")
    assert fault.what == f"its city London has the id {city_of('Tokyo')}, the taxonomy's is {city_of('London')}"
    assert fault.mend == "redo"


def test_the_taxonomy_of_its_build_counts(out: Path, tmp_path: Path) -> None:
    """One with other ids than the shipped one; a file that is named wins."""
    header = "city_id,city,state_id,state,country_id,country,continent_id,continent"
    lines = [header, "0,London,0,England,0,United_Kingdom,0,Europe", "1,Tokyo,1,Tokyo,1,Japan,1,Asia"]
    own = tmp_path / "own.csv"
    own.write_text("\n".join(lines) + "\n")
    result = verify(VerifyConfig(out, "none", taxonomy=own))
    told_ids = {fault.what for fault in result.findings.of("labels")}
    assert f"its city London has the id {city_of('London')}, the taxonomy's is 0" in told_ids, told(result)


def test_labels_outside_the_taxonomy_must_agree_with_each_other(out: Path) -> None:
    def town(state: str, label: int) -> Change:
        def change(rows: list[Row]) -> None:
            for row in rows:
                row |= {"city": "Nowhere", "city_label": label, "state": state, "state_label": None}

        return change

    edit(out, "clips", FACES, town("Here", 900))
    edit(out, "clips", OTHER, town("Here", 900))
    put_together(out)
    assert look(out).clean
    edit(out, "clips", OTHER, town("Here", 901))
    put_together(out)
    assert "has the id 901 here and 900" in only(look(out), "labels")[0].what
    edit(out, "clips", OTHER, town("There", 900))
    put_together(out)
    assert "is in There here and in Here" in only(look(out), "labels")[0].what


SCENES = [
    ("clips", _set("scene_majority", 3), "the largest share is"),
    ("clips", _set("scene_soft", [0.5, *[0.0] * 15]), "sums to 0.5"),
    ("clips", _set("scene_soft", [1.0]), "has 1 shares"),
    ("clips", _set("scene_soft", None), "has only one of"),
    ("frames", _set("scene_top1", None), "1 of its frames have no scene"),
    ("frames", _set("scene_top1", 400), "has the scene 400"),
]


@pytest.mark.parametrize(("table", "change", "what"), SCENES)
def test_scenes_that_do_not_follow_from_their_frames(out: Path, table: str, change: Change, what: str) -> None:
    edit(out, table, PLAIN, change)
    put_together(out)
    faults = only(look(out), "scenes")
    assert any(what in fault.what for fault in faults), [fault.what for fault in faults]


@pytest.mark.parametrize("table", ["videos", "clips", "frames", "faces", "attempts"])
def test_a_manifest_that_says_something_else(out: Path, table: str) -> None:
    path = out / "manifests" / f"{table}.parquet"
    whole = pq.read_table(path)
    pq.write_table(whole.slice(0, whole.num_rows - 1), path)
    assert only(look(out), "manifests")[0].mend == "assemble"
    pq.write_table(pa.concat_tables([whole, whole.slice(0, 1)]), path)
    assert only(look(out), "manifests")[0].what == "has rows that no part has"
    pq.write_table(whole.take([1, 0, *range(2, whole.num_rows)]), path)
    only(look(out), "manifests")
    path.write_bytes(path.read_bytes()[:-20])
    only(look(out), "manifests")
    path.unlink()
    assert only(look(out), "manifests")[0].what == "is missing"


def test_a_part_that_changed_after_the_manifests(out: Path) -> None:
    edit(out, "videos", PLAIN, _set("title", "another"))
    (fault,) = only(look(out), "manifests")
    assert fault.what == f"does not say what the parts say, from {PLAIN} on"


def test_counts_and_preview(out: Path) -> None:
    edit_json(out / "dataset.json", lambda dataset: dataset["counts"].update(clips=9))
    page = out / "preview.html"
    page.write_text(page.read_text().replace(f"<b>{CLIP}</b>", "<b>gone_00000</b>"))
    (out / "preview.jpg").unlink()
    found = {fault.where: fault.what for fault in only(look(out), "dataset")}
    assert found == {
        "dataset.json": "says clips: 9, there are 8", "preview.jpg": "is missing",
        "preview.html": "shows 1 missing clip, such as gone_00000",
    }  # fmt: skip


def _split(out: Path, name: str, change: Change) -> None:
    path = out / "splits" / f"{name}.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows) or rows, table.schema), path)


SPLITS = [
    ("by-clip", _last_twice, "1 of its rows name a clip that stands there already"),
    ("by-clip", _set("clip_id", "gone_00000"), "names 1 missing clip"),
    ("by-clip", _set("part", "exam"), "has the part exam"),
    ("by-video", None, "has 1 video in more than one part"),
]


@pytest.mark.parametrize(("name", "change", "what"), SPLITS)
def test_splits_that_are_none(out: Path, name: str, change: Change | None, what: str) -> None:
    def other_side(rows: list[Row]) -> None:
        rows[0]["part"] = "train" if rows[0]["part"] == "test" else "test"

    _split(out, name, change or other_side)
    (fault,) = only(look(out), "splits")
    assert what in fault.what and fault.mend == "person" and "--replace" in fault.hint


def test_a_split_that_cannot_be_read_and_one_that_lacks_clips(out: Path) -> None:
    _split(out, "by-clip", _without_last)
    result = look(out)
    assert result.clean and any("no part for 1 clip" in note for note in result.findings.notes)
    (out / "splits" / "by-video.parquet").write_bytes(b"PAR1")
    assert "cannot be read" in only(look(out), "splits")[0].what


def test_what_was_removed_and_is_there(out: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bury(Store(out), [Tombstone("video", PLAIN, now, "on request", "0.2.0")])
    assert [(fault.where, fault.what, fault.mend) for fault in only(look(out), "removed")] == [
        (PLAIN, "was removed, and 2 clips of it are there", "removal"),
        (PLAIN, "the removal of this video is not finished", "removal"),
        ("manifests/tombstones.parquet", "does not say what its parts say", "assemble"),
    ]
    (out / "parts" / "tombstones" / f"video_{PLAIN}.parquet").write_bytes(b"PAR1")
    assert only(look(out), "removed")[0].mend == "person"


def test_decisions_of_another_data_set(out: Path) -> None:
    mark = rows_of(out, "clips", FACES)[0]["fingerprint"]
    decision = Decision(
        "accept", f"{FACES}_00000", mark, "somebody", "s", datetime(2026, 1, 1, tzinfo=UTC), new_id(), 0
    )
    DecisionLog(Store(out)).append(FACES, [decision])
    assert look(out, "none").clean
    edit_json(out / "dataset.json", lambda dataset: dataset.update(id="f" * 32))
    assert only(look(out, "none"), "decisions")[0].what == "is about another data set"
    part(out, "decisions", FACES).write_bytes(b"PAR1")
    assert "cannot be read" in only(look(out, "none"), "decisions")[0].what


ATTEMPTS = [
    (_set("attempt", 3), "not numbered from 1"),
    (_set("status", "lost"), "has a status that is none"),
    (_set("video_id", "other"), "is of the video other"),
]


@pytest.mark.parametrize(("change", "what"), ATTEMPTS)
def test_attempts(out: Path, change: Change, what: str) -> None:
    edit(out, "attempts", PLAIN, change)
    put_together(out)
    (fault,) = only(look(out, "none"), "attempts")
    assert what in fault.what


def test_a_damaged_plan(out: Path) -> None:
    (out / ".cgtool" / "plan.json").write_text("{")
    result = look(out)
    assert [fault.where for fault in result.findings.of("dataset")] == [".cgtool/plan.json"], told(result)


def test_a_dataset_json_of_another_schema(out: Path) -> None:
    edit_json(out / "dataset.json", lambda dataset: dataset.update(schema_version="2"))
    assert only(look(out, "none"), "dataset")[0].what == "is of schema version 2"
    assert json.loads((out / "dataset.json").read_text())["schema_version"] == "2"
