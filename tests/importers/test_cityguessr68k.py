"""The released CityGuessr68k as a data set: what becomes of its folders, and what is refused."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.importers.cityguessr68k import clip_number, survey
from cityguessr_data.importers.folders import source_folder
from cityguessr_data.importers.found import SourceError
from cityguessr_data.importers.importing import import_survey
from cityguessr_data.importers.result import ImportResult, Silent
from cityguessr_data.importers.split_files import read_published
from cityguessr_data.splits.config import SplitConfig
from cityguessr_data.splits.make import split
from tests.support_imports import jpeg, parts_of, small_cityguessr, small_msls, table, write_cityguessr, write_clip


def imported(source: Path, out: Path, labels: tuple[Path, ...] = (), test_list: Path | None = None) -> ImportResult:
    found = survey(source_folder(source, out), labels)
    test = None if test_list is None else read_published(test_list, found.part_of)
    return import_survey(found, out, Silent(), workers=2, test=test)


def told(error: pytest.ExceptionInfo[SourceError]) -> list[tuple[str, str]]:
    return [(fault.path, fault.what) for fault in error.value.faults]


def test_the_folders_become_the_tables_of_the_contract(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    result = imported(source, out)
    assert (result.exit_code, result.left, result.n_clips_new, result.n_units) == (0, (), 9, 4)
    clips = {row["clip_id"]: row for row in table(out, "clips")}
    assert set(clips) == {p.name for p in source.glob("*/*/*")}
    one = clips["Abu_Dhabi_6_00084"]
    wanted = {
        "video_id": "Abu_Dhabi_6", "clip_index": 84, "city": "Abu_Dhabi", "country": "United_Arab_Emirates",
        "continent": "Asia", "city_label": 0, "country_label": 0, "n_sampled": 12, "width": 64, "height": 48,
        "frames_uri": str(source / "test/Abu_Dhabi/Abu_Dhabi_6_00084"), "n_frames": None, "fps": None, "blur": None,
        "scene_soft": None, "scene_majority": None, "n_faces": None, "start_frame": None,
    }  # fmt: skip
    assert {name: one[name] for name in wanted} == wanted
    frames = [row for row in table(out, "frames") if row["clip_id"] == "Abu_Dhabi_6_00084"]
    assert [Path(row["path"]).name for row in frames] == [f"{n}.jpg" for n in range(1, 13)]  # as text 10 comes before 2
    assert [row["position"] for row in frames] == list(range(12))
    assert [row["sha256"] for row in frames] == [hashlib.sha256(jpeg(n)).hexdigest() for n in range(1, 13)]
    assert {row["video_id"]: (row["n_clips"], row["status"]) for row in table(out, "videos")} == {
        "Abu_Dhabi_6": (4, "done"), "Abu_Dhabi_7": (1, "done"), "Tokyo_1": (2, "done"), "Tokyo_2": (2, "done"),
    }  # fmt: skip
    assert table(out, "faces") == table(out, "attempts") == []
    assert parts_of(out, "released") == {p.name: p.parts[-3] for p in source.glob("*/*/*")}
    assert not list(out.rglob("*.jpg"))


def test_both_forms_of_ids(tmp_path: Path) -> None:
    assert clip_number("Abu_Dhabi_6_00084") == ("Abu_Dhabi", "6", 84)
    assert clip_number("Abu_Dhabi_0000") == ("Abu_Dhabi", None, 0)
    assert clip_number("Abu_Dhabi") is None and clip_number("6_00084") == ("6", None, 84)
    clips = {"train": ["Tokyo_0000", "Tokyo_0001", "Lyon_3_00007"], "val": ["Tokyo_0002"]}
    result = imported(write_cityguessr(tmp_path / "src", clips), tmp_path / "out")
    rows = {row["clip_id"]: (row["video_id"], row["clip_index"]) for row in table(tmp_path / "out", "clips")}
    assert rows == {
        "Tokyo_0000": (None, 0), "Tokyo_0001": (None, 1), "Tokyo_0002": (None, 2), "Lyon_3_00007": ("Lyon_3", 7)
    }  # fmt: skip
    assert result.splits["released"] == {"train": 3, "test": 1}  # without a folder test, val is the test part
    assert any("source video of 3 clips is unknown" in note for note in result.notes)


def test_one_folder_alone_gives_no_split(tmp_path: Path) -> None:
    result = imported(
        write_cityguessr(tmp_path / "src", {"train": ["Tokyo_1_00000", "Lyon_1_00000"]}), tmp_path / "out"
    )
    assert not result.splits and not (tmp_path / "out" / "splits").exists()
    assert "the folders have no part test: no split released was made" in result.notes


def test_a_split_by_video_is_refused_where_the_source_is_lost(tmp_path: Path) -> None:
    clips = {"train": [f"Tokyo_{i:04d}" for i in range(4)] + ["Lyon_1_00000", "Lyon_2_00000"]}
    imported(write_cityguessr(tmp_path / "src", clips), tmp_path / "out")
    for by in ("video", "channel"):
        with pytest.raises(InputError, match=r"the source video of 4 of 6 clips is unknown: Tokyo_0000, .*--by clip"):
            split(tmp_path / "out", SplitConfig(by=by))
    assert split(tmp_path / "out", SplitConfig(by="clip")).splits[0].parts["test"].n_clips == 2


def test_the_published_list_makes_a_split(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    listed = tmp_path / "test.txt"
    listed.write_text(
        "Abu_Dhabi_6_00001,0,0,0,0,0.5,0.25\n/data/test/Tokyo/Tokyo_1_00001,157,150,86,0\n\nTokyo_9_00000\n"
    )
    result = imported(source, tmp_path / "out", test_list=listed)
    assert {c for c, part in parts_of(tmp_path / "out", "published").items() if part == "test"} == {
        "Abu_Dhabi_6_00001", "Tokyo_1_00001",
    }  # fmt: skip
    assert len(parts_of(tmp_path / "out", "published")) == 9
    assert result.exit_code == 1 and [(f.path, f.what) for f in result.left] == [
        (f"{listed}:4", "test clip Tokyo_9_00000 is not there")
    ]
    metadata = pq.read_schema(tmp_path / "out/splits/published.parquet").metadata
    assert metadata[b"cgtool.split_rule"] == b"published"
    assert metadata[b"cgtool.split_list_sha256"].decode() == hashlib.sha256(listed.read_bytes()).hexdigest()
    strange = tmp_path / "strange.txt"
    strange.write_text("Lima_1_00000\nLima_1_00001\n")
    with pytest.raises(InputError, match="none of its 2 clips is in the source folder"):
        imported(source, tmp_path / "out2", test_list=strange)
    strange.write_text("Tokyo_1_00000\nTokyo_2_00000\nTokyo_1_00000\n")
    with pytest.raises(InputError, match="clip Tokyo_1_00000 stands on the lines 1 and 3"):
        imported(source, tmp_path / "out2", test_list=strange)
    assert not (tmp_path / "out2").exists()


def test_labels_are_compared_with_the_folders(tmp_path: Path) -> None:
    source = write_cityguessr(tmp_path / "src", {"train": ["Tokyo_1_00000", "Lyon_1_00000"]})
    (source / "meta").mkdir()
    (source / "meta/labels_list.csv").write_text("City,State,Country,Continent\nTokyo,Kanto,Japan,Asia\n")
    (source / "meta/train_labels_x.txt").write_text("Tokyo_1_00000,157,148,50,0,0.1\nTokyo_1_00009,157\n")
    with pytest.raises(SourceError) as caught:  # the published ids of Tokyo are 157, 148, 51, 0
        survey(source)
    assert [what for _, what in told(caught)] == [
        "clip Tokyo_1_00000 has the country label 50 here, and 51 by its folder, Tokyo"
    ]
    (source / "meta/train_labels_x.txt").write_text("Tokyo_1_00000,157,148,51,0,0.1\nTokyo_1_00009,157\n")
    found = survey(source)
    assert [fault.what for fault in found.left] == ["clip Tokyo_1_00009 is listed and not there"]
    assert any("1 clip in no labels list, e.g. Lyon_1_00000" in note for note in found.notes)
    wrong = tmp_path / "labels.csv"
    wrong.write_text("city,state,country,continent\nTokyo,Kanto,Japan,Europe\nTokio,x,Japan,Asia\n")
    with pytest.raises(SourceError) as caught:
        survey(source, (wrong,))
    assert told(caught)[0] == (f"{wrong}:2", "Tokyo is in Europe here, and in Asia by its label")
    assert told(caught)[1][0] == f"{wrong}:3" and "Tokyo" in told(caught)[1][1]
    wrong.write_text("Tokyo_1_00000,Lyon\n")
    with pytest.raises(SourceError, match="is of 'Lyon' here, and lies in the folder of Tokyo"):
        survey(source, (wrong,))


def test_a_tree_that_is_not_fit_is_refused_with_every_fault(tmp_path: Path) -> None:
    clips = {"train": ["Tokyo_1_00000", "Atlantis_1_00000", "Tokyo_2_00003"], "test": ["Tokyo_1_00000", "Tokyo_2_3"]}
    source = write_cityguessr(tmp_path / "src", clips)
    write_clip(source / "test/Tokyo/Lyon_1_00000")
    write_clip(source / "test/Tokyo/new")
    with pytest.raises(SourceError) as caught:
        imported(source, tmp_path / "out")
    paths = [path for path, _ in told(caught)]
    assert sorted(paths) == [
        "test/Tokyo/Lyon_1_00000",
        "test/Tokyo/Tokyo_1_00000",
        "test/Tokyo/Tokyo_2_3",
        "test/Tokyo/new",
        "train/Atlantis",
    ]
    assert ("test/Tokyo/Tokyo_1_00000", "the same clip is also train/Tokyo/Tokyo_1_00000") in told(caught)
    assert "the nearest known are" in dict(told(caught))["train/Atlantis"]
    assert not (tmp_path / "out").exists()


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m/train_val").mkdir(parents=True)
    (tmp_path / "e/train/Tokyo").mkdir(parents=True)
    for source, message in (
        ("m", "It looks like Mapillary SLS"),
        ("e", "no clip folder"),
        ("none", "there is no folder"),
    ):
        with pytest.raises(InputError, match=message):
            imported(tmp_path / source, tmp_path / "out")
    for out in (tmp_path / "e", tmp_path / "e/out", tmp_path):
        with pytest.raises(InputError, match="lie in each other"):
            imported(tmp_path / "e", out)


BAD = {
    "cut": lambda f: (f / "7.jpg").write_bytes(jpeg(7)[:-40]),
    "empty": lambda f: (f / "7.jpg").write_bytes(b""),
    "text": lambda f: (f / "7.jpg").write_text("no picture"),
    "garbage": lambda f: (f / "7.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50) + b"\xff\xd9"),
    "gap": lambda f: (f / "7.jpg").unlink(),
    "twice": lambda f: (f / "07.jpg").write_bytes(jpeg(7)),
    "none": lambda f: [p.unlink() for p in f.iterdir()],
}


@pytest.mark.parametrize(
    ("kind", "path", "what"),
    [
        ("cut", "/7.jpg", "is cut off: it has no end"),
        ("empty", "/7.jpg", "is empty"),
        ("text", "/7.jpg", "is no JPEG"),
        ("garbage", "/7.jpg", "is no picture"),
        ("gap", "", "frames are missing: 7"),
        ("twice", "/7.jpg", "frame 7 is there twice, also as 07.jpg"),
        ("none", "", "the clip folder has no frame"),
    ],
)
def test_a_clip_that_is_not_whole_is_left_out_and_comes_when_it_is_mended(
    kind: str, path: str, what: str, tmp_path: Path
) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    folder = source / "train/Tokyo/Tokyo_1_00001"
    BAD[kind](folder)
    result = imported(source, out)
    assert result.exit_code == 1
    assert [(f.path, f.what) for f in result.left] == [(f"train/Tokyo/Tokyo_1_00001{path}", what)]
    with (out / "import_left_out.csv").open(newline="") as f:
        assert list(csv.reader(f)) == [["path", "what"], [f"train/Tokyo/Tokyo_1_00001{path}", what]]
    assert len(table(out, "clips")) == 8 and "Tokyo_1_00001" not in parts_of(out, "released")
    assert {row["clip_id"] for row in table(out, "frames")} == {row["clip_id"] for row in table(out, "clips")}
    (row,) = [row for row in table(out, "videos") if row["video_id"] == "Tokyo_1"]
    assert row["n_clips"] == 1 and what in row["reason"] and "1 of 2 clips left out" in row["reason"]
    again = imported(source, out)
    assert (again.exit_code, again.n_clips_new, again.n_units_done, again.left) == (1, 0, 3, result.left)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    write_clip(folder)
    mended = imported(source, out)
    assert (mended.exit_code, mended.n_clips_new, mended.n_units_done) == (0, 2, 3)
    assert len(table(out, "clips")) == 9 and not (out / "import_left_out.csv").exists()


def test_other_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    (source / "train/readme.txt").write_text("x")
    (source / "train/Tokyo/Tokyo_1_00001/notes.txt").write_text("x")
    (source / "train/Tokyo/Tokyo_1_00001/.DS_Store").write_text("x")
    result = imported(source, tmp_path / "out")
    assert (result.exit_code, result.counts["clips"]) == (0, 9)
    assert any("1 file" in note and "notes.txt" in note for note in result.notes)
    assert any("1 file beside the folders of train" in note for note in result.notes)


def test_mapillary_with_its_test_part_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="It looks like Mapillary SLS"):
        imported(small_msls(tmp_path / "src"), tmp_path / "out")


def test_out_may_not_lie_where_a_link_of_the_source_leads(tmp_path: Path) -> None:
    source, elsewhere = small_cityguessr(tmp_path / "src"), tmp_path / "elsewhere"
    (source / "train").rename(elsewhere)
    (source / "train").symlink_to(elsewhere)
    for out in (elsewhere / "out", elsewhere / "Tokyo/Tokyo_1_00000", tmp_path / "elsewhere"):
        with pytest.raises(InputError, match="lie in each other"):
            imported(source, out)
    (source / "test/Tokyo").rename(tmp_path / "Tokyo")
    (source / "test/Tokyo").symlink_to(tmp_path / "Tokyo")
    with pytest.raises(InputError, match="lie in each other"):
        imported(source, tmp_path / "Tokyo/out")
    assert imported(source, tmp_path / "out").counts["clips"] == 9  # the links themselves are fine


def test_links_to_nothing_are_clips_and_frames_that_are_missing(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    (source / "train/Tokyo/Tokyo_1_00007").symlink_to(tmp_path / "gone")
    (source / "test/Tokyo/Tokyo_2_00001/13.jpg").symlink_to(tmp_path / "gone.jpg")
    result = imported(source, tmp_path / "out")
    assert result.exit_code == 1 and result.counts["clips"] == 8
    assert {(fault.path, fault.what) for fault in result.left} == {
        ("train/Tokyo/Tokyo_1_00007", "cannot be listed: No such file or directory"),
        ("test/Tokyo/Tokyo_2_00001/13.jpg", "is missing"),
    }


def test_clips_that_lack_their_last_frames_are_told(tmp_path: Path) -> None:
    source = small_cityguessr(tmp_path / "src")
    assert not any("number of frames" in note for note in imported(source, tmp_path / "even").notes)
    for n in (11, 12):
        (source / f"train/Tokyo/Tokyo_1_00000/{n}.jpg").unlink()
    (source / "test/Tokyo/Tokyo_2_00000/12.jpg").unlink()
    told = "2 clips with another number of frames than 12, e.g. Tokyo_1_00000: 10"
    for _ in range(2):  # also where nothing is new
        assert told in imported(source, tmp_path / "out").notes


def test_a_published_split_that_lacks_clips_is_told(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    listed = tmp_path / "test.txt"
    listed.write_text("Tokyo_1_00000\n")
    imported(source, out, test_list=listed)
    assert not any("published" in note for note in imported(source, out).notes)
    write_clip(source / "train/Tokyo/Tokyo_1_00007")
    assert "the split published lacks 1 clip: give --test-list again" in imported(source, out).notes
    imported(source, out, test_list=listed)
    assert parts_of(out, "published")["Tokyo_1_00007"] == "train"
