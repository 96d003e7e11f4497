"""What may go out: a finished review that was carried out, and never a frame that was not anonymised."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from tests.support_export import CLIPS, apply, decide, reviewed, rows, run_export, write_set


def test_a_finished_review_goes_out(tmp_path: Path) -> None:
    result = run_export(reviewed(tmp_path / "out"), "webdataset", tmp_path / "x")
    assert (result.counts["clips"], result.counts["frames"], result.counts["videos"]) == (5, 20, 3)
    assert (result.counts["city_classes"], result.counts["continent_classes"]) == (3, 2)
    note = json.loads((tmp_path / "x" / "export.json").read_text())
    assert note["review"] == {
        "finished": True, "clips": 5, "clips_finished": 5, "clips_waiting": 0,
    }  # fmt: skip
    assert (note["name"], note["version"], note["format"]) == ("small streets", "1.2.0", "webdataset")


def test_a_clip_that_waits_for_a_person_is_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    out = write_set(tmp_path / "out")
    with pytest.raises(InputError, match=r"1 clip \(walk_00000\) of 5 wait") as refused:
        run_export(out, "webdataset", tmp_path / "x")
    assert refused.value.exit_code == 2 and f"cgtool review {out}" in refused.value.hint
    assert not (tmp_path / "x").exists()
    result = run_export(out, "webdataset", tmp_path / "x", allow_unreviewed=True)
    assert result.counts["clips"] == 5
    told = json.loads((tmp_path / "x" / "export.json").read_text())["review"]
    assert (told["finished"], told["clips_waiting"]) == (False, 1)


def test_decisions_about_earlier_results_are_named_as_the_reason(tmp_path: Path) -> None:
    """Somebody drew a face; then the video was built anew: what was drawn is nowhere now."""
    out = write_set(tmp_path / "out")
    decide(out, "walk_00001", "draw", position=0, box=(1.0, 2.0, 9.0, 12.0))
    apply(out)
    part = out / "parts" / "clips" / "walk.parquet"
    table = pq.read_table(part)
    at = table.column_names.index("fingerprint")
    anew = pa.array(["another result"] * table.num_rows)
    pq.write_table(table.set_column(at, table.schema.field(at), anew), part)
    said = r"\(1 decision is about an earlier result of its clip and counts no more\)"
    with pytest.raises(InputError, match=said) as refused:
        run_export(out, "webdataset", tmp_path / "x")
    assert "wait for a person" in refused.value.message and "walk_00001" in refused.value.message


def test_decisions_that_wait_to_be_carried_out_are_refused(tmp_path: Path) -> None:
    out = write_set(tmp_path / "out")
    decide(out, "walk_00000", "accept", position=1)
    for allow in (False, True):
        with pytest.raises(InputError, match="not carried out") as refused:
            run_export(out, "webdataset", tmp_path / "x", allow_unreviewed=allow)
        assert f"cgtool review {out} --apply" in refused.value.hint
        assert "--allow-unreviewed" not in refused.value.hint
    apply(out)
    assert run_export(out, "webdataset", tmp_path / "x").counts["clips"] == 5


def test_a_face_that_a_reviewer_drew_is_not_let_through_unblurred(tmp_path: Path) -> None:
    """The flag is for a review that is not finished: nobody has said of those clips that something is wrong."""
    out = write_set(tmp_path / "out")
    decide(out, "walk_00001", "draw", position=0, box=(1.0, 2.0, 9.0, 12.0))
    with pytest.raises(InputError, match=r"1 clip .* wait for a person") as refused:
        run_export(out, "webdataset", tmp_path / "x")
    assert "--allow-unreviewed once `cgtool review" in refused.value.hint and "--apply" in refused.value.hint
    for to in ("webdataset", "huggingface", "croissant", "links"):
        with pytest.raises(InputError, match="not carried out"):
            run_export(out, to, tmp_path / "x", allow_unreviewed=True)
    assert not (tmp_path / "x").exists()
    apply(out)
    assert run_export(out, "webdataset", tmp_path / "x", allow_unreviewed=True).faces.drawn == 1


@pytest.mark.parametrize("allow", [False, True])
def test_frames_that_were_never_anonymised_are_refused_whatever_is_asked(tmp_path: Path, allow: bool) -> None:
    out = write_set(tmp_path / "out", blur=None)
    for to in ("webdataset", "huggingface", "croissant", "links"):
        with pytest.raises(InputError, match="never had their faces blurred") as refused:
            run_export(out, to, tmp_path / "x", allow_unreviewed=allow)
        assert f"cgtool anonymise {out}" in refused.value.hint
    assert not (tmp_path / "x").exists()


def test_marked_clips_stay_where_that_is_asked_and_dropped_ones_always_do(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    decide(out, "walk_00001", "mark", value="indoor")
    decide(out, "walk_00002", "mark", value="montage")
    decide(out, "walk_00002", "unmark", value="montage")
    decide(out, "drive_00000", "drop")
    apply(out)
    everything = run_export(out, "croissant", tmp_path / "all")
    assert everything.left_out == {"dropped by a reviewer": ["drive_00000"]}
    some = run_export(out, "croissant", tmp_path / "some", without=("indoor", "montage"))
    assert some.left_out == {"dropped by a reviewer": ["drive_00000"], "marked indoor": ["walk_00001"]}
    kept = [row["clip_id"] for row in rows(tmp_path / "some" / "manifests" / "clips.parquet")]
    assert kept == [clip for clip in CLIPS if clip not in ("drive_00000", "walk_00001")]
    for table in ("frames", "faces"):
        found = {row["clip_id"] for row in rows(tmp_path / "some" / "manifests" / f"{table}.parquet")}
        assert found <= set(kept)
    videos = {row["video_id"]: row["n_clips"] for row in rows(tmp_path / "some" / "manifests" / "videos.parquet")}
    assert videos == {"walk": 2, "home": 1}
    assert json.loads((tmp_path / "some" / "export.json").read_text())["left_out"]["marked indoor"] == 1


def test_what_is_no_data_set_and_what_is_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an output directory"):
        run_export(tmp_path / "nothing", "links", tmp_path / "x")
    assert not (tmp_path / "nothing").exists()
    out = reviewed(tmp_path / "out")
    for clip in CLIPS:
        decide(out, clip, "mark", value="indoor")
    apply(out)
    with pytest.raises(InputError, match="no clip to export: all its clips were left out"):
        run_export(out, "webdataset", tmp_path / "x", without=("indoor",))


@pytest.mark.parametrize(
    "options",
    [
        {"to": "zip"},
        {"to": "links", "shard_bytes": 10**9},
        {"to": "links", "split": "by-clip"},
        {"to": "croissant", "split": "by-clip"},
        {"to": "webdataset", "shard_bytes": 10},
        {"to": "webdataset", "without": ("dark",)},
        {"to": "huggingface", "contact": " "},
        {"to": "huggingface", "contact": "a\nb"},
        {"to": "webdataset", "split": "absent"},
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    out = reviewed(tmp_path / "out")
    with pytest.raises(InputError):
        run_export(out, str(options.pop("to")), tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()
