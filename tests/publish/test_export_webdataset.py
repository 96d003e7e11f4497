"""Shards that the package `webdataset` reads, every frame byte for byte, and the same bytes from every export."""

from __future__ import annotations

import gc
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.publish.clip import ExportClip
from cityguessr_data.publish.shards import plan_shards
from tests.support_export import CLIPS, FRAMES, frames_of, reviewed, rows, run_export, state_of, write_split

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning",  # webdataset leaves its shards to the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def read(folder: Path, *names: str) -> list[dict[str, Any]]:
    webdataset = pytest.importorskip("webdataset")
    found = list(webdataset.WebDataset([str(folder / name) for name in names], shardshuffle=False).decode())
    gc.collect()
    return found


def test_it_loads_and_every_frame_is_the_one_of_the_data_set(tmp_path: Path) -> None:
    out, dest = reviewed(tmp_path / "out"), tmp_path / "x"
    run_export(out, "webdataset", dest)
    found = read(dest, "clips-000000.tar")
    assert [sample["__key__"] for sample in found] == list(CLIPS)
    frames = frames_of(out)
    for sample in found:
        assert [sample[f"{p + 1:03d}.jpg"] for p in range(FRAMES)] == frames[sample["__key__"]]
    clips = {row["clip_id"]: row for row in rows(out / "manifests" / "clips.parquet")}
    tables = rows(out / "manifests" / "frames.parquet")
    for sample in found:
        told, clip = sample["json"], clips[sample["__key__"]]
        assert {name: told[name] for name in clip if name != "frames_uri"} == {
            name: value for name, value in clip.items() if name != "frames_uri"
        }
        wanted = [row for row in tables if row["clip_id"] == clip["clip_id"]]
        for name in ("position", "frame_index", "timestamp_s", "sha256"):
            assert [frame[name] for frame in told["frames"]] == [row[name] for row in wanted]
    walk = found[2]["json"]
    assert (walk["video"]["url"], walk["video"]["license"]) == ("https://a.example.com/walk.mp4", "CC-BY-4.0")
    assert found[1]["json"]["video"]["url"] == "local:home.mp4"


def test_two_exports_are_the_same_files(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    for name in "ab":
        run_export(out, "webdataset", tmp_path / name)
    assert state_of(tmp_path / "a") == state_of(tmp_path / "b")
    with tarfile.open(tmp_path / "a" / "clips-000000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_shards_follow_a_split_and_clips_that_it_does_not_name_have_their_own(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    parts = {
        "walk_00000": "train",
        "walk_00001": "train",
        "home_00000": "test",
        "walk_00002": "val",
        "gone_00000": "test",
    }
    write_split(out, "mine", parts)
    result = run_export(out, "webdataset", tmp_path / "x", split="mine")
    assert result.parts == {"train": 2, "val": 1, "test": 1, "unassigned": 1}
    names = {part: [s["__key__"] for s in read(tmp_path / "x", f"{part}-000000.tar")] for part in result.parts}
    assert names == {
        "train": ["walk_00000", "walk_00001"],
        "val": ["walk_00002"],
        "test": ["home_00000"],
        "unassigned": ["drive_00000"],
    }
    table = pq.read_table(tmp_path / "x" / "splits" / "mine.parquet")
    assert {row["clip_id"]: row["part"] for row in table.to_pylist()} == {
        k: v for k, v in parts.items() if k != "gone_00000"
    }
    assert table.schema.metadata[b"cgtool.split_seed"] == b"3"


def test_ids_that_cannot_name_a_member_are_made_safe_and_told(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    odd = "a.b/c_00000"
    for name in ("clips", "frames"):
        part = out / "parts" / name / "home.parquet"
        table = pq.read_table(part)
        at = table.column_names.index("clip_id")
        pq.write_table(table.set_column(at, table.schema.field(at), [[odd] * len(table)]), part)
    run_export(out, "webdataset", tmp_path / "x")
    (sample,) = [s for s in read(tmp_path / "x", "clips-000000.tar") if s["json"]["clip_id"] == odd]
    key = sample["__key__"]
    assert "/" not in key and "." not in key and key.startswith("a_b_c_00000_") and sample["json"]["key"] == key
    assert json.loads((tmp_path / "x" / "export.json").read_text())["names_made_safe"] == {odd: key}
    assert [sample[f"{p + 1:03d}.jpg"] for p in range(FRAMES)] == frames_of(out)["home_00000"]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["train", "test", "val"])), min_size=1, max_size=30),
    limit=st.integers(1, 60),
)
def test_shards_hold_every_clip_once_in_order_and_no_more_than_the_limit(
    sizes: list[tuple[int, str]], limit: int
) -> None:
    clips = [ExportClip(f"c{i}", "u", f"c{i}", part, 1, n, "") for i, (n, part) in enumerate(sizes)]
    shards = plan_shards(clips, limit)
    for part in {part for _, part in sizes}:
        of_part = [shard for shard in shards if shard.part == part]
        assert [clip for shard in of_part for clip in shard.clips] == [clip for clip in clips if clip.part == part]
        assert [(shard.number, shard.of) for shard in of_part] == [(i, len(of_part)) for i in range(len(of_part))]
        for shard, after in zip(of_part, [*of_part[1:], None], strict=True):
            held = sum(clip.n_bytes for clip in shard.clips)
            assert len(shard.clips) == 1 or held <= limit
            assert after is None or held + after.clips[0].n_bytes > limit, "no shard is smaller than it must be"
