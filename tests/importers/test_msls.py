"""Mapillary SLS as a data set: sequences by their tables, the paper's subset, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.importers.found import SourceError
from cityguessr_data.importers.importing import import_survey
from cityguessr_data.importers.msls import Subset, survey
from cityguessr_data.importers.result import ImportResult, Silent
from tests.support_imports import image_key, parts_of, small_msls, table, write_msls_side

PAPER21 = {
    "London", "Boston", "Melbourne", "Amsterdam", "Helsinki", "Tokyo", "Moscow", "Bangkok", "Budapest", "Austin",
    "Berlin", "Amman", "Nairobi", "Manila", "Copenhagen", "Miami", "Athens", "Buenos_Aires", "Stockholm", "Banglore",
    "Kampala",
}  # fmt: skip
FOLDERS = {
    "train_val": "trondheim london boston melbourne amsterdam helsinki tokyo toronto saopaulo moscow zurich paris "
    "bangkok budapest austin berlin ottawa phoenix goa amman nairobi manila cph sf",
    "test": "miami athens buenosaires stockholm bengaluru kampala",
}


def imported(source: Path, out: Path, subset: Subset = "full", least: int | None = None) -> ImportResult:
    return import_survey(survey(source, subset, least), out, Silent(), workers=2)


def test_sequences_become_clips_in_the_order_of_their_frame_numbers(tmp_path: Path) -> None:
    source, out = small_msls(tmp_path / "src"), tmp_path / "out"
    result = imported(source, out)
    assert result.exit_code == 0 and result.counts["clips"] == 18 and result.counts["cities"] == 4
    clips = {row["clip_id"]: row for row in table(out, "clips")}
    one = clips["cph_q_1_00000"]
    assert (one["video_id"], one["city"], one["country"], one["n_sampled"]) == ("cph_q_1", "Copenhagen", "Denmark", 19)
    frames = [row for row in table(out, "frames") if row["clip_id"] == "cph_q_1_00000"]
    assert [row["frame_index"] for row in frames] == list(range(3, 40, 2))
    folder = source / "train_val/cph/query/images"
    wanted = [str(folder / f"{image_key('query', 'q_1', n)}.jpg") for n in range(3, 40, 2)]
    assert [row["path"] for row in frames] == wanted and wanted != sorted(wanted)
    assert {row["timestamp_s"] for row in frames} == {None} and {row["channel"] for row in table(out, "videos")} == {
        None
    }
    assert {row["city_label"] for row in clips.values() if row["city"] == "Zurich"} == {29}  # of msls30


def test_a_sequence_on_both_sides_is_one_source_with_two_clips(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    imported(source, tmp_path / "out")
    rows = {r["clip_id"]: r for r in table(tmp_path / "out", "clips") if r["video_id"] == "cph_two"}
    assert {name: (r["clip_index"], r["n_sampled"]) for name, r in rows.items()} == {
        "cph_two_00000": (0, 15), "cph_two_00001": (1, 16),
    }  # fmt: skip
    (video,) = [row for row in table(tmp_path / "out", "videos") if row["video_id"] == "cph_two"]
    assert (video["msls_side"], video["msls_group"], video["msls_sequence"]) == ("database | query", "train_val", "two")
    numbers = [*range(15), *range(100, 116)]
    assert float(video["lon"]) == pytest.approx(12.5 + sum(numbers) / len(numbers) / 1000, abs=1e-6)
    assert (float(video["lat"]), video["captured_at"]) == (55.5, "2017-06-01")


def test_the_papers_subset(tmp_path: Path) -> None:
    result = imported(small_msls(tmp_path / "src"), tmp_path / "out", "paper21")
    clips = table(tmp_path / "out", "clips")
    assert {row["city"] for row in clips} == {"Copenhagen", "Buenos_Aires", "Banglore"}
    assert min(row["n_sampled"] for row in clips) == 15 and len(clips) == 15
    assert {row["city"]: row["city_label"] for row in clips}["Banglore"] == 18  # of the 166
    parts = parts_of(tmp_path / "out", "by-clip")
    tested = [row["city"] for row in clips if parts[row["clip_id"]] == "test"]
    assert sorted(tested) == ["Banglore", "Buenos_Aires", "Copenhagen"]  # one in five of 6, 5 and 4 clips
    assert result.splits == {"by-clip": {"train": 12, "test": 3}}
    assert (result.published["clips"], result.published["train"], result.published["test"]) == (11_320, 9_049, 2_271)
    assert any("1 city of other places than the paper's passed over: zurich" in note for note in result.notes)
    assert any("1 sequence of fewer than 15 images passed over" in note for note in result.notes)


def test_all_thirty_cities_are_known_and_the_papers_are_twenty_one(tmp_path: Path) -> None:
    for group, names in FOLDERS.items():
        for name in names.split():
            write_msls_side(tmp_path / "src", group, name, "database", {f"{name}s": range(15)})
            write_msls_side(tmp_path / "src", group, name, "query", {})
    full = imported(tmp_path / "src", tmp_path / "full")
    assert [full.counts[n] for n in ("clips", "cities", "states", "countries", "continents")] == [30, 30, 29, 24, 6]
    assert {n: full.published[n] for n in ("cities", "states", "countries", "continents")} == {
        "cities": 30, "states": 29, "countries": 24, "continents": 6,
    }  # fmt: skip
    paper = survey(tmp_path / "src", "paper21")
    cities = {clip.place.city for unit in paper.units() for clip in unit.clips}
    assert cities == PAPER21
    counts = [{getattr(c.place, level) for u in paper.units() for c in u.clips} for level in ("state", "country")]
    assert [len(names) for names in counts] == [21, 19]
    result = imported(tmp_path / "src", tmp_path / "paper", "paper21")  # one clip a city: nothing to test
    assert result.splits == {} and any("no split was made" in note for note in result.notes)


def test_shorter_sequences_can_be_left_out_of_the_full_set(tmp_path: Path) -> None:
    result = imported(small_msls(tmp_path / "src"), tmp_path / "out", least=15)
    assert result.counts["clips"] == result.counts["clips of 15 frames or more"] == 16
    with pytest.raises(InputError, match="0 images and over"):
        survey(tmp_path / "src", "full", 0)


def test_images_that_are_listed_and_absent_leave_their_sequence_out(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    gone = f"train_val/cph/database/images/{image_key('database', 'Ab-1', 4)}.jpg"
    (source / gone).unlink()
    result = imported(source, tmp_path / "out")
    assert (result.exit_code, result.counts["clips"]) == (1, 17)
    assert [(f.path, f.what) for f in result.left] == [(gone, "is missing; the sequence Ab-1 has it as frame 4")]
    (row,) = [row for row in table(tmp_path / "out", "videos") if row["video_id"] == "cph_Ab-1"]
    assert (row["status"], row["n_clips"]) == ("failed", 0)


def rewritten(path: Path, change: list[tuple[int, int, str]]) -> None:
    """Put other cells into a CSV: (row, column, text); row 0 is the head."""
    with path.open(newline="") as f:
        rows = list(csv.reader(f))
    for row, column, text in change:
        rows[row][column] = text
    with path.open("w", newline="") as f:
        csv.writer(f).writerows(rows)


def test_tables_that_are_not_fit_are_refused_with_every_fault(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    (source / "train_val/zurich/query/raw.csv").unlink()
    (source / "train_val/cph/query/seq_info.csv").unlink()
    rewritten(source / "train_val/zurich/database/seq_info.csv", [(2, 3, "two"), (3, 1, "../../x")])
    first = (source / "test/buenosaires/database/seq_info.csv").read_text().splitlines()[1].split(",")
    rewritten(source / "test/buenosaires/query/seq_info.csv", [(4, 1, first[1])])
    rewritten(source / "test/bengaluru/query/seq_info.csv", [(0, 2, "sequence")])
    write_msls_side(source, "test", "bigcity", "query", {})
    write_msls_side(source, "test", "miami", "query", {"b1": range(3)})
    with pytest.raises(SourceError) as caught:
        imported(source, tmp_path / "out")
    told = {fault.path: fault.what for fault in caught.value.faults}
    assert told.pop("train_val/zurich/query/raw.csv") == "the table is missing"
    assert told.pop("train_val/cph/query/seq_info.csv") == "the table is missing"
    assert told.pop("train_val/zurich/database/seq_info.csv:3") == "expected a frame number, got 'two'"
    assert "expected the keys" in told.pop("train_val/zurich/database/seq_info.csv:4")
    assert told.pop("test/buenosaires/query/seq_info.csv:5").startswith(
        f"image {first[1]} is there twice, also in test/"
    )
    assert "column 'sequence_key' is missing" in told.pop("test/bengaluru/query/seq_info.csv:1")
    assert "unknown city 'bigcity'; the nearest known are" in told.pop("test/bigcity")
    assert told.pop("test/miami/database") == "the folder is missing"
    assert told.pop("test/miami") == "the sequence b1 is there twice, also in test/buenosaires"
    assert told == {}
    assert not (tmp_path / "out").exists()


def test_a_number_twice_in_a_sequence_is_refused(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    table_path = source / "train_val/zurich/query/seq_info.csv"
    rewritten(table_path, [(1, 3, "0"), (2, 3, "0")])
    with pytest.raises(SourceError, match=r"seq_info.csv:3: frame 0 of the sequence z2 is there twice"):
        survey(source)


def test_a_cut_table_is_refused(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    path = source / "train_val/cph/query/raw.csv"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(SourceError, match=r"cph/query/raw.csv:\d+: expected 7 cells, got"):
        survey(source)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c/train").mkdir(parents=True)
    (tmp_path / "e/train_val").mkdir(parents=True)
    for name, message in (("c", "It looks like CityGuessr68k"), ("e", "no city with query or database")):
        with pytest.raises(InputError, match=message):
            survey(tmp_path / name)
    write_msls_side(tmp_path / "n", "test", "miami", "query", {})
    write_msls_side(tmp_path / "n", "test", "miami", "database", {})
    with pytest.raises(InputError, match="its tables name no sequence"):
        survey(tmp_path / "n")


def test_images_that_no_table_names_are_told(tmp_path: Path) -> None:
    source = small_msls(tmp_path / "src")
    images = source / "train_val/cph/query/images"
    assert not any("no seq_info.csv" in note for note in imported(source, tmp_path / "even").notes)
    first = min(images.iterdir())
    (images / f"{first.stem}.jpeg").write_bytes(first.read_bytes())
    (images / "unlisted.jpg").write_bytes(first.read_bytes())
    notes = imported(source, tmp_path / "out").notes
    assert f"2 files that no seq_info.csv names passed over, e.g. train_val/cph/query/images/{first.stem}.jpeg" in notes
