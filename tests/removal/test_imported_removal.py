"""Removing from imported data: tables lose their rows, the frames that lie where they were imported from are left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.removal.remove import remove
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import enforce
from tests.support_imported import face_source, state_of, table, write_imported
from tests.support_removal import write_by_hand


@pytest.fixture
def out(tmp_path: Path) -> Path:
    tree = face_source(tmp_path / "src", ["city", "other"])
    return write_imported(tmp_path / "out", tree)


def test_a_clip_goes_from_the_tables_and_its_frames_stay(out: Path, tmp_path: Path) -> None:
    before = state_of(tmp_path / "src")
    done = remove(out, "clip", "city_00008")
    assert (done.version, sorted(done.taken.clip_ids)) == ("0.2.0", ["city_00008"])
    assert sum(one.n_outside for one in done.taken.doomed) == 6
    assert state_of(tmp_path / "src") == before
    assert {row["clip_id"] for row in table(out, "clips")} == {"city_00007", "other_00007", "other_00008"}
    assert {row["clip_id"] for row in table(out, "frames")} == {"city_00007", "other_00007", "other_00008"}
    # The span of an imported clip may be unknown: it is known by its id, also when an import brings it again
    [stone] = table(out, "tombstones")
    assert (stone["id"], stone["start_frame"]) == ("city_00008", None)
    shutil.rmtree(out / "parts" / "clips")
    write_imported(out, face_source(tmp_path / "src", ["city"]), version="0.2.0")
    store = Store(out)
    told: list[object] = []
    assert enforce(store, told.append).clip_ids == {"city_00008"} == told[0]
    assert pq.read_table(store.part("clips", "city"))["clip_id"].to_pylist() == ["city_00007"]


def test_a_unit_without_any_clip_left_is_a_removed_video(out: Path) -> None:
    for clip_id in ("city_00007", "city_00008"):
        remove(out, "clip", clip_id)
    row = next(row for row in table(out, "videos") if row["video_id"] == "city")
    assert (row["status"], row["n_clips"], row["reason"]) == ("removed", 0, "all its clips were removed")
    with pytest.raises(InputError, match="city_00010"):
        remove(out, "clip", "city_00010")


def test_boxes_and_places_of_a_removed_clip_go_too(tmp_path: Path) -> None:
    out = write_by_hand(tmp_path)
    faces = pq.read_table(out / "parts" / "faces" / "a.parquet")
    only = faces.slice(faces["clip_id"].to_pylist().index("a_00008"), 1)  # as if no other clip had any
    pq.write_table(only, out / "parts" / "faces" / "a.parquet")
    remove(out, "clip", "a_00008")
    assert {row["clip_id"] for row in table(out, "faces")} == {"b_00007", "b_00008"}
    for kept in (out / ".cgtool" / "originals" / "a.parquet", out / ".cgtool" / "review" / "faces" / "a.parquet"):
        assert set(pq.read_table(kept)["clip_id"].to_pylist()) == {"a_00007", "a_00009"}
    remove(out, "video", "a")
    assert [path.name for path in (out / ".cgtool").rglob("*.parquet")] == ["b.parquet"] * 2
    assert {row["clip_id"] for name in ("clips", "frames", "faces") for row in table(out, name)} == {
        "b_00007",
        "b_00008",
    }
    left = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert left == {"another.mp4", "b.mp4", "b.json", "x.part", "b_00007.mp4", "b_00008.mp4"}


def test_caches_of_a_copied_data_set_are_told_and_left(tmp_path: Path) -> None:
    out = write_by_hand(tmp_path)
    copy = Path(shutil.copytree(out, tmp_path / "copy"))
    before = state_of(tmp_path / "cache")
    done = remove(copy, "video", "a")
    assert done.taken.cache.elsewhere == (tmp_path / "cache",) and done.taken.cache.files == 0
    assert state_of(tmp_path / "cache") == before
