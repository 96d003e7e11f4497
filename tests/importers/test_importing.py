"""What holds for every import: it goes on after a kill, does nothing twice, and keeps sources apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.importers import checking, cityguessr68k, commit, importing, msls
from cityguessr_data.importers.folders import missing_numbers, source_folder
from cityguessr_data.importers.importing import check_target, import_survey
from cityguessr_data.importers.result import ImportResult, Silent
from cityguessr_data.run.store import Store
from tests.support_imports import small_cityguessr, small_msls, table, write_clip

TABLES = ("videos", "clips", "frames", "faces", "attempts")


def imported(source: Path, out: Path) -> ImportResult:
    return import_survey(cityguessr68k.survey(source_folder(source, out)), out, Silent(), workers=2)


def everything(out: Path) -> dict[str, object]:
    return {name: table(out, name) for name in TABLES} | {
        "splits": {p.name: p.read_bytes() for p in (out / "splits").iterdir()}
    }


def test_importing_again_reads_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    first = imported(source, out)
    assert (first.n_frames_read, first.n_units_done) == (9 * 12, 0)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob("*.parquet")}
    monkeypatch.setattr(checking, "check_frame", lambda path: pytest.fail(f"{path} was read again"))
    again = imported(source, out)
    assert (again.n_frames_read, again.n_clips_new, again.n_units_done) == (0, 0, 4)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob("*.parquet")} == before


def test_what_was_blurred_since_is_left_alone(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    imported(source, out)
    part = out / "parts/clips/Tokyo_1.parquet"
    rows = pq.read_table(part)
    blurred = pa.array(["strict"] * len(rows), pa.string())
    pq.write_table(rows.set_column(rows.schema.get_field_index("blur"), rows.schema.field("blur"), blurred), part)
    result = imported(source, out)
    assert result.n_units_done == 4
    assert {r["blur"] for r in table(out, "clips") if r["video_id"] == "Tokyo_1"} == {"strict"}
    (out / "clips/Tokyo_1/Tokyo_1_00000").mkdir(parents=True)
    (out / "clips/Tokyo_1/Tokyo_1_00000/001.jpg").write_bytes(b"copy")
    write_clip(source / "train/Tokyo/Tokyo_1_00007")  # the unit has grown: it is the source's again, without copies
    imported(source, out)
    assert {r["blur"] for r in table(out, "clips") if r["video_id"] == "Tokyo_1"} == {None}
    assert not (out / "clips/Tokyo_1").exists()


def test_the_files_of_a_unit_are_listed_when_it_is_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cityguessr68k.survey(small_cityguessr(tmp_path / "src"))
    listed: list[str] = []
    real = cityguessr68k.numbered_frames
    monkeypatch.setattr(cityguessr68k, "numbered_frames", lambda path, shown: listed.append(shown) or real(path, shown))
    units = found.units()
    assert next(units).unit_id == "Abu_Dhabi_6" and len(listed) == 4
    assert next(units).unit_id == "Abu_Dhabi_7" and len(listed) == 5


def test_only_what_is_new_is_imported(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    imported(source, out)
    write_clip(source / "train/Tokyo/Tokyo_1_00002")
    write_clip(source / "train/Lyon/Lyon_4_00000")
    result = imported(source, out)
    assert (result.n_units_done, result.n_frames_read, result.counts["clips"]) == (3, 4 * 12, 11)
    shutil.rmtree(source / "train/Lyon")
    kept = imported(source, out)
    assert kept.counts["clips"] == 11 and any("not in the folder any more" in note for note in kept.notes)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_import_goes_on_to_the_same_tables(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole, out = small_cityguessr(tmp_path / "src"), tmp_path / "whole", tmp_path / "out"
    imported(source, whole)
    real, calls = Store.commit, []

    def dies(self: Store, video_id: str, staging: Path) -> None:
        calls.append(video_id)
        if len(calls) > after:
            raise Killed  # the staged parts are there, and none of them is in place
        real(self, video_id, staging)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", dies)
        patch.setattr(importing, "assemble", lambda store: {})
        patch.setattr(importing, "count", lambda store: {})
        patch.setattr(importing, "_COMMITTERS", 1)
        with pytest.raises(Killed):
            imported(source, out)
    assert len(list((out / "parts/clips").glob("*.parquet"))) == after and not (out / "splits").exists()
    result = imported(source, out)
    assert result.n_units_done == after
    assert everything(out) == everything(whole)
    assert not list((out / ".cgtool/staging").glob("*"))


def test_sources_and_kinds_are_kept_apart(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    imported(source, out)
    dataset = json.loads((out / "dataset.json").read_text())
    assert dataset["imported"] == {"from": "cityguessr68k", "source": str(source), "settings": {}}
    assert dataset["counts"]["clips"] == 9 and dataset["counts"]["city_classes"] == 2
    other = tmp_path / "other"
    shutil.copytree(source, other)
    with pytest.raises(InputError, match=r"was imported from the cityguessr68k in .*src.*one holds one source"):
        imported(other, out)
    with pytest.raises(InputError, match="was imported from the cityguessr68k"):
        check_target(out, "msls", source)
    (tmp_path / "built").mkdir()
    (tmp_path / "built/dataset.json").write_text('{"name": "b", "config": {}}')
    with pytest.raises(InputError, match="was built, not imported"):
        check_target(tmp_path / "built", "msls", source)
    with pytest.raises(InputError, match="is there and is no data set"):
        check_target(source, "msls", source)


def test_another_subset_is_another_data_set(tmp_path: Path) -> None:
    source, out = small_msls(tmp_path / "src"), tmp_path / "out"
    import_survey(msls.survey(source, "paper21"), out, Silent(), workers=1)
    with pytest.raises(InputError, match="subset was paper21, now full"):
        import_survey(msls.survey(source), out, Silent(), workers=1)


def test_what_others_wrote_into_dataset_json_stays(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    imported(source, out)
    dataset = json.loads((out / "dataset.json").read_text())
    (out / "dataset.json").write_text(json.dumps(dataset | {"models": {"detector": "d"}, "version": "2.0"}))
    write_clip(source / "train/Lyon/Lyon_4_00000")
    imported(source, out)
    after = json.loads((out / "dataset.json").read_text())
    assert (after["models"], after["version"], after["counts"]["clips"]) == ({"detector": "d"}, "2.0", 10)


def test_the_source_is_only_read(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    before = {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in sorted(source.rglob("*"))}
    imported(source, tmp_path / "out")
    assert {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in sorted(source.rglob("*"))} == before


def test_the_same_listing_has_the_same_mark_wherever_it_lies(tmp_path: Path) -> None:
    units = {}
    for name in ("a", "b"):
        found = cityguessr68k.survey(small_cityguessr(tmp_path / name))
        units[name] = [commit.listing_mark(unit) for unit in found.units()]
    assert units["a"] == units["b"] and len(set(units["a"])) == 4
    (tmp_path / "b/train/Tokyo/Tokyo_1_00000/3.jpg").write_bytes(b"longer" * 1000)
    changed = [commit.listing_mark(unit) for unit in cityguessr68k.survey(tmp_path / "b").units()]
    assert sum(a != b for a, b in zip(units["a"], changed, strict=True)) == 1


def test_frames_of_several_sizes_are_told(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    folder = source / "train/Tokyo/Tokyo_1_00001"
    shutil.rmtree(folder)
    write_clip(folder, 12, size=(320, 240))
    other = write_clip(tmp_path / "other", [5], size=(240, 320))
    (other / "5.jpg").replace(folder / "5.jpg")
    result = imported(source, tmp_path / "out")
    assert result.exit_code == 0 and any("1 clip with frames of several sizes" in note for note in result.notes)
    (row,) = [row for row in table(tmp_path / "out", "clips") if row["clip_id"] == "Tokyo_1_00001"]
    assert (row["width"], row["height"]) == (320, 240)
    (video,) = [row for row in table(tmp_path / "out", "videos") if row["video_id"] == "Tokyo_1"]
    assert video["width"] is None


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [([1, 2, 3], ""), ([2], "1"), ([1, 4, 6], "2 to 3, 5"), ([3, 4, 9], "1 to 2, 5 to 8"), ([], "")],
)
def test_missing_numbers(numbers: list[int], gaps: str) -> None:
    assert missing_numbers(numbers) == gaps
