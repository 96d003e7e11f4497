"""Splits become names of files and words of a card: what is none, or is named oddly, stops an export at its start."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from tests.support_export import reviewed, run_export, state_of, write_split

FORMATS = ("webdataset", "huggingface", "croissant", "links")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reviewed(tmp_path_factory.mktemp("set") / "out")


@pytest.fixture
def out(plain: Path) -> Path:
    """It has no split at the start of each test."""
    for path in plain.glob("splits/*.parquet"):
        path.unlink()
    return plain


def refused(out: Path, dest: Path, to: str, match: str, split: str | None = None) -> None:
    """An export ends by an InputError, and has not made anything."""
    around = state_of(dest.parent)
    with pytest.raises(InputError, match=match):
        run_export(out, to, dest, **({"split": split} if split else {}))
    assert state_of(dest.parent) == around and not dest.exists()


@pytest.mark.parametrize(
    "part", ["../../evil", "/tmp/evil", "no", "2024", "train-a", "", "Train", "train\n", "unassigned"]
)
@pytest.mark.parametrize("to", FORMATS)
def test_a_part_that_is_none_is_refused_before_anything_is_written(
    out: Path, tmp_path: Path, to: str, part: str
) -> None:
    write_split(out, "mine", {"walk_00000": "train", "walk_00001": part, "drive_00000": "test"})
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    refused(out, place / "x", to, "the part of walk_00001 is .* none of train, val, test")
    if to in ("webdataset", "huggingface"):
        refused(out, place / "x", to, "mine.parquet is no split", split="mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_parts_that_are_no_text_and_clips_with_two_parts_are_refused(out: Path, tmp_path: Path) -> None:
    (out / "splits").mkdir(exist_ok=True)
    for name, table in {
        "the part of walk_00000 is 2024": {"clip_id": ["walk_00000"], "part": [2024]},
        "the part of walk_00000 is None": {"clip_id": ["walk_00000"], "part": pa.nulls(1, pa.string())},
        "walk_00000 has 2 rows": {"clip_id": ["walk_00000"] * 2, "part": ["train", "test"]},
    }.items():
        pq.write_table(pa.table(table), out / "splits" / "mine.parquet")
        refused(out, tmp_path / "x", "huggingface", name)


@pytest.mark.parametrize("name", ["a b", "-x", "a\nb", "é", "a:b", "x" * 101, "a#b", "'a'", "~"])
def test_a_name_that_cgtool_split_would_not_take_is_refused(out: Path, tmp_path: Path, name: str) -> None:
    from cityguessr_data.splits.config import SplitConfig

    with pytest.raises(InputError):
        SplitConfig("clip", name)
    write_split(out, name, {"walk_00000": "train", "walk_00001": "test"})
    refused(out, tmp_path / "x", "webdataset", "no name of a split")


def test_all_names_that_cgtool_split_takes_go_out(out: Path, tmp_path: Path) -> None:
    from cityguessr_data.splits.config import SplitConfig

    names = ("by-clip", "by-channel-fold3", "2024", "no", "v1.2_x", "x" * 100)
    for name in names:
        SplitConfig("clip", name)
        write_split(out, name, {"walk_00000": "train", "walk_00001": "test", "home_00000": "val"})
    run_export(out, "webdataset", tmp_path / "x", split="no")
    assert {path.stem for path in (tmp_path / "x" / "splits").iterdir()} == set(names)
    assert {path.name for path in (tmp_path / "x").glob("*.tar")} == {
        f"{part}-000000.tar" for part in ("train", "val", "test", "unassigned")
    }
