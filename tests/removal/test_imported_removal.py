"""Removing from imported data: tables lose their rows, the frames that lie where they were imported from are left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.importers import cityguessr68k, importing, msls
from cityguessr_data.importers.result import ImportResult, Silent
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.removal.refresh import refresh
from cityguessr_data.removal.remove import remove
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import enforce, is_unsettled
from tests.support_imported import face_source, state_of, table, write_imported
from tests.support_imports import small_cityguessr, small_msls, write_clip
from tests.support_removal import Quiet, write_by_hand

UNITS = ("Tokyo_1", "Abu_Dhabi_7", "Tokyo_2")
"""Of two, one and two clips."""


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
    kept_of = [path.name for path in (out / ".cgtool").glob("*/**/*.parquet")]
    assert kept_of == ["b.parquet"] * 2
    assert set(pq.read_table(out / ".cgtool" / "assembled.parquet")["unit"].to_pylist()) - {"a"} == {"b"}
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


def test_a_sequence_goes_alone_though_its_folder_is_that_of_its_city(tmp_path: Path) -> None:
    source, out = small_msls(tmp_path / "src"), tmp_path / "out"
    importing.import_survey(msls.survey(source), out, Silent(), workers=2)
    all_clips = {row["clip_id"] for row in table(out, "clips")}
    rows = {row["video_id"]: row["url"] for row in table(out, "videos")}
    [unit, *others] = sorted(name for name in rows if name.startswith("buenosaires_b"))
    assert rows[unit] == rows[others[0]]
    expected = {clip_id for clip_id in all_clips if clip_id.startswith(f"{unit}_")}
    assert set(remove(out, "video", unit, dry_run=True).taken.clip_ids) == expected
    done = remove(out, "video", unit)
    assert set(done.taken.clip_ids) == expected and [one.unit for one in done.taken.doomed] == [unit]
    assert {row["clip_id"] for row in table(out, "clips")} == all_clips - expected
    assert [(one.id, one.url) for one in done.tombstones] == [(unit, None)]
    remove(out, "clip", f"{others[0]}_00000")
    assert {row["url"] for row in table(out, "tombstones")} == {None} and not is_unsettled(Store(out))
    asked = refresh(out, Downloader(DownloadConfig(tmp_path / "none")), Quiet())
    assert set(asked.counts) == {"no-link"} and asked.n_videos == len(rows) - 2 and asked.exit_code == 0


def imported(tmp_path: Path) -> ImportResult:
    return importing.import_survey(cityguessr68k.survey(tmp_path / "src"), tmp_path / "out", Silent(), workers=2)


def test_an_import_never_commits_what_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed before it looks after what it committed must leave nothing behind."""
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    imported(tmp_path)
    held = {unit: [row["clip_id"] for row in table(out, "clips") if row["clip_id"].startswith(unit)] for unit in UNITS}
    assert [len(held[unit]) for unit in UNITS] == [2, 1, 2]
    one, only, whole = UNITS
    for kind, wanted in (("clip", held[one][0]), ("clip", held[only][0]), ("video", whole)):
        remove(out, kind, wanted)  # type: ignore[arg-type]
    kept = {row["clip_id"] for row in table(out, "clips")}
    for unit in UNITS:  # each has changed, so it is imported again
        folder = next(source.glob(f"*/*/{held[unit][-1]}"))
        (folder / "13.jpg").write_bytes((folder / "12.jpg").read_bytes())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(importing, "enforce", killed)
        with pytest.raises(KeyboardInterrupt):
            imported(tmp_path)
    store = Store(out)
    there = {c for path in store.parts("clips") for c in pq.read_table(path)["clip_id"].to_pylist()}
    assert there == kept and not is_unsettled(store)

    write_clip(source / "train/Tokyo/Tokyo_1_00009")
    imported(tmp_path)
    assert {row["clip_id"] for row in table(out, "clips")} == kept | {"Tokyo_1_00009"}
    again = imported(tmp_path)  # what was left out is not looked at again
    assert (again.n_frames_read, again.n_units_done) == (0, 4)
    told = {row["video_id"]: (row["status"], row["reason"]) for row in table(out, "videos")}
    assert told[one] == ("done", None) and told[only] == ("removed", "all its clips were removed")
    assert told[whole][0] == "removed" and told[whole][1].endswith(": on request")
