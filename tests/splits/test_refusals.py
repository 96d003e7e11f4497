"""What a split refuses, each with one line that says what to do; and that nothing was written then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.splits.config import SplitConfig
from cityguessr_data.splits.make import split
from tests.support_splits import Video, parts_of, town, write_set

LIMA = [*town("Lima", [4] * 6, "a"), *town("Rome", [4] * 6, "b")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"by": "city"}, "not by 'city'"),
        ({"test": 0.0}, "a test share of 0 is not within"),
        ({"test": 1.0}, "a test share of 1 is not within"),
        ({"test": -0.1}, "a test share of -0.1 is not within"),
        ({"test": float("nan")}, "a test share of nan is not within"),
        ({"val": -0.1}, "a val share of -0.1"),
        ({"test": 0.5, "val": 0.5}, "leaves nothing to train on"),
        ({"folds": 1}, "1 folds are not possible"),
        ({"folds": 101}, "101 folds are not possible"),
        ({"folds": 5, "test": 0.2}, "with --folds the test share is one over the folds"),
        ({"folds": 2, "val": 0.5}, "leaves nothing to train on"),
        *(
            ({"name": n}, "is not a plain file name")
            for n in ("", "a/b", "../a", ".a", "-a", "a b", "a\n", "ä", "x" * 101)
        ),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        SplitConfig(**({"by": "video"} | values))
    assert said in caught.value.message and caught.value.hint and caught.value.exit_code == 2


@pytest.mark.parametrize("by", ["video", "channel"])
def test_an_unknown_source_is_refused_but_by_clip(tmp_path: Path, by: Any) -> None:
    out = write_set(tmp_path, LIMA, source=False)
    with pytest.raises(InputError, match=r"the source video of 48 of 48 clips is unknown: Lima0_00000, .*--by clip"):
        split(out, SplitConfig(by))
    assert not (out / "splits").exists()
    made = split(out, SplitConfig("clip")).splits[0]
    assert (made.leakage.n_same_video, made.parts["test"].n_videos, made.parts["test"].n_clips) == (None, None, 10)


def test_one_clip_without_a_source_is_enough(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    path = out / "manifests" / "clips.parquet"
    table = pq.read_table(path)
    ids = [" " if i == 3 else v for i, v in enumerate(table["video_id"].to_pylist())]
    pq.write_table(table.set_column(table.schema.get_field_index("video_id"), "video_id", pa.array(ids)), path)
    with pytest.raises(InputError, match="of 1 of 48 clips is unknown: Lima0_00003"):
        split(out, SplitConfig("video", folds=2))


def test_by_channel_without_any_channel(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no video has a known channel. Choose --by video"):
        split(write_set(tmp_path, town("Lima", [3, 3])), SplitConfig("channel"))


@pytest.mark.parametrize(
    ("videos", "config", "said"),
    [
        (town("Lima", [5]), SplitConfig("video"), "by-video: no clip would be in test: 1 source videos"),
        ([*town("Lima", [5]), *town("Rome", [5])], SplitConfig("video"), "no clip would be in test"),
        (town("Lima", [5, 5]), SplitConfig("video", val=0.1), "no clip would be in val"),
        (town("Lima", [5, 5]), SplitConfig("video", folds=3), "by-video-fold.: no clip would be in test"),
        (town("Lima", [1]), SplitConfig("clip"), "no clip would be in test: 1 clips"),
        ([Video("a", {"X": 1}, "k"), Video("b", {"X": 1}, "k")], SplitConfig("channel"), "no clip would be in test"),
    ],
)
def test_an_empty_part_is_refused(tmp_path: Path, videos: list[Video], config: SplitConfig, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(write_set(tmp_path, videos), config)
    assert not (tmp_path / "splits").exists()


def test_the_same_split_again_does_nothing(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video"))
    before = (out / "splits" / "by-video.parquet").stat()
    for replace in (False, True):
        again = split(write_set(out, LIMA, shuffle=1), SplitConfig("video", replace=replace))
        assert [made.action for made in again.splits] == ["unchanged"]
    after = (out / "splits" / "by-video.parquet").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("change", [{"seed": 1}, {"test": 0.5}, {"val": 0.1}, {"by": "clip"}])
def test_another_split_of_the_name_is_refused_unless_asked_for(tmp_path: Path, change: dict[str, Any]) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video", name="s"))
    before = parts_of(out, "s")
    changed = {"by": "video", "name": "s"} | change
    with pytest.raises(InputError, match=r"another split named s\. --replace makes it anew"):
        split(out, SplitConfig(**changed))
    assert parts_of(out, "s") == before
    result = split(out, SplitConfig(**changed, replace=True))
    assert (result.splits[0].action, result.n_kept) == ("replaced", 0)
    fresh = write_set(tmp_path / "fresh", LIMA)
    split(fresh, SplitConfig(**changed))
    assert parts_of(out, "s") == parts_of(fresh, "s") != before


def test_a_grown_set_is_refused_with_what_replace_would_do(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video"))
    grown = write_set(out, [*LIMA, *town("Oslo", [2, 2])])
    with pytest.raises(
        InputError, match=r"same rule and seed, other clips\. --replace adds the new clips and moves no"
    ):
        split(grown, SplitConfig("video"))
    assert len(parts_of(out, "by-video")) == 48


def test_a_file_that_is_no_split_of_ours_is_not_trusted(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    (out / "splits").mkdir()
    path = out / "splits" / "by-video.parquet"
    for content in (b"", b"PAR1 no table PAR1"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="another split named by-video"):
            split(out, SplitConfig("video"))
        assert path.read_bytes() == content
    pq.write_table(pa.table({"clip_id": ["Lima0_00000"] * 2, "part": ["test", "train"]}), path)
    assert split(out, SplitConfig("video", replace=True)).n_kept == 0


def test_a_row_twice_is_another_content(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video"))
    path = out / "splits" / "by-video.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    with pytest.raises(InputError, match="another split named by-video"):
        split(out, SplitConfig("video"))


def test_folds_are_compared_whole_before_one_is_written(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video", folds=4))
    first = (out / "splits" / "by-video-fold0.parquet").read_bytes()
    for path in (out / "splits").glob("*fold[01].parquet"):
        path.unlink()
    with pytest.raises(InputError, match="another split named by-video-fold2"):
        split(out, SplitConfig("video", folds=3))
    assert len(list((out / "splits").iterdir())) == 2
    again = split(out, SplitConfig("video", folds=4))  # what a killed run left is completed
    assert [made.action for made in again.splits] == ["written", "written", "unchanged", "unchanged"]
    assert len(first) > 0 and set(parts_of(out, "by-video-fold0").values()) == {"train", "test"}
    split(out, SplitConfig("video", folds=3, replace=True))
    assert sorted(p.name for p in (out / "splits").iterdir()) == [f"by-video-fold{i}.parquet" for i in range(3)]


def test_fewer_folds_do_not_leave_old_ones_beside_them(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    split(out, SplitConfig("video", folds=3))
    for i in range(3):
        (out / "splits" / f"by-video-fold{i}.parquet").rename(out / "splits" / f"by-video-fold{i + 7}.parquet")
    with pytest.raises(InputError, match="another split named by-video-fold7 and 2 more"):
        split(out, SplitConfig("video", folds=3))


def test_tables_that_are_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no clips table"):
        split(tmp_path, SplitConfig("clip"))
    out = write_set(tmp_path / "empty", [])
    with pytest.raises(InputError, match=r"has no clips\. There is nothing to split yet"):
        split(out, SplitConfig("clip"))
    for videos, said in (([*LIMA, LIMA[0]], "4 clip ids stand there again, e.g. Lima0_00000"),
                         (town(" ", [2]), "2 of 2 clips have no city")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            split(write_set(tmp_path / "bad", videos), SplitConfig("clip"))
    (out / "manifests" / "clips.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot read"):
        split(out, SplitConfig("clip"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    out = write_set(tmp_path, LIMA)
    (out / "splits").write_text("a file")
    with pytest.raises(MachineError, match="cannot be"):
        split(out, SplitConfig("video"))
