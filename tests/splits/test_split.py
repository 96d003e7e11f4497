"""Splits of whole data sets: no leak by an independent SQL, files that anyone can read, growth, and what stats says."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityguessr_data.splits.config import SplitConfig
from cityguessr_data.splits.make import split
from cityguessr_data.splits.results import SplitResult
from cityguessr_data.stats.report import measure
from tests.support_out import random_rows, write_out
from tests.support_splits import Video, parts_of, sql, town, write_set

TWELVE = [Video(f"v{i}-{j}", {f"City{i:02d}": 4}, f"channel {i}-{j // 2}") for i in range(12) for j in range(5)]
MIXED = [
    *town("Lima", [9, 3, 3, 2, 7, 1, 1], "a"),
    *town("Oslo", [30, 1, 2, 4], "b"),
    *town("Rome", [5, 5, 5, 5, 5], "c"),
    *town("Nairobi", [8]),
    *(Video(f"tour{i}", {"Oslo": 2, "Rome": 1}, None) for i in range(4)),
    *(Video(f"walk{i}", {"Lima": 3}, f"d{i % 3}") for i in range(6)),
]
BOTH = "SELECT {key} FROM s GROUP BY {key} HAVING count(DISTINCT part) > 1"


def gaps_of(result: SplitResult, at: int = 0) -> set[tuple[str, str, str]]:
    return {(gap.city, gap.part, gap.reason) for gap in result.splits[at].gaps}


@pytest.mark.parametrize("seed", range(6))
def test_no_source_is_on_both_sides(tmp_path: Path, seed: int) -> None:
    out = write_set(tmp_path, MIXED)
    split(out, SplitConfig("video", seed=seed, val=0.1))
    split(out, SplitConfig("channel", seed=seed))
    split(out, SplitConfig("clip", seed=seed))
    assert sql(out, BOTH.format(key="video_id"), "by-video") == []
    assert sql(out, BOTH.format(key="coalesce(channel, video_id)"), "by-channel") == []
    assert sql(out, BOTH.format(key="video_id"), "by-clip") != []
    assert sql(out, "SELECT DISTINCT part FROM s ORDER BY 1", "by-video") == [("test",), ("train",), ("val",)]
    assert sql(out, "SELECT count(*) FROM s", "by-video") == [(sum(sum(v.clips.values()) for v in MIXED),)]


def test_twelve_cities_of_five_videos_give_one_each_to_test(tmp_path: Path) -> None:
    out = write_set(tmp_path, TWELVE)
    result = split(out, SplitConfig("video"))
    query = "SELECT city, count(DISTINCT video_id), count(*) FROM s WHERE part = 'test' GROUP BY city"
    assert sorted(n for _, *n in sql(out, query, "by-video")) == [[1, 4]] * 12
    sizes = {part: (s.n_clips, s.n_sources, s.n_videos, s.n_cities) for part, s in result.splits[0].parts.items()}
    assert sizes == {"train": (192, 48, 48, 12), "test": (48, 12, 12, 12)}
    assert result.splits[0].gaps == ()


@pytest.mark.parametrize("seed", range(3))
def test_by_clip_every_city_has_its_share_to_the_clip(tmp_path: Path, seed: int) -> None:
    out = write_set(tmp_path, [*MIXED, *town("Bergen", [1])])
    result = split(out, SplitConfig("clip", test=0.3, seed=seed))
    query = "SELECT city, count(*), count(*) FILTER (part = 'test') FROM s GROUP BY city"
    for city, n, n_test in sql(out, query, "by-clip"):
        assert isinstance(n, int) and isinstance(n_test, int)
        assert city == "Bergen" or (abs(n_test - 0.3 * n) <= 0.5 and 0 < n_test < n)
    assert gaps_of(result) == {("Bergen", "test", "it has one clip")}


def test_gaps_are_listed_with_their_reason(tmp_path: Path) -> None:
    shared = [Video("x", {"Ayr": 2, "Bath": 2}), Video("y", {"Bath": 2, "Cork": 2}), Video("z", {"Ayr": 1, "Cork": 1})]
    out = write_set(tmp_path, [*town("Nairobi", [8]), *town("Lima", [3, 3]), *shared, *town("Rome", [2] * 6)])
    result = split(out, SplitConfig("video", val=0.1))
    cannot = "its 2 source videos serve other cities too, which would be left without train"
    found = gaps_of(result)
    assert ("Nairobi", "test", "it has one source video") in found
    assert ("Nairobi", "val", "it has one source video") in found
    assert ("Lima", "val", "it has 2 source videos") in found
    # Of three videos, two in each of three cities, only one can be in test: one city is left without
    assert [why for city, part, why in found if part == "test" and city in ("Ayr", "Bath", "Cork")] == [cannot]
    for city, part, _ in found:
        assert sql(out, f"SELECT count(*) FROM s WHERE city = '{city}' AND part = '{part}'", "by-video") == [(0,)]
    empty = """SELECT city, p FROM (SELECT DISTINCT city FROM s), (VALUES ('train'), ('val'), ('test')) parts(p)
        WHERE NOT EXISTS (SELECT 1 FROM s t WHERE t.city = s.city AND t.part = p)"""
    missing = sql(out, empty.replace("DISTINCT city FROM s)", "DISTINCT city FROM s) s"), "by-video")
    assert set(missing) == {(city, part) for city, part, _ in found}


def test_the_same_from_rows_in_any_order_and_other_from_another_seed(tmp_path: Path) -> None:
    for by in ("clip", "video", "channel"):
        config = SplitConfig(by)  # type: ignore[arg-type]
        a, b, c = (write_set(tmp_path / f"{by}{i}", MIXED, shuffle=i) for i in range(3))
        split(a, config)
        split(b, config)
        split(c, SplitConfig(by, name=f"by-{by}", seed=5))  # type: ignore[arg-type]
        files = [(x / "splits" / f"by-{by}.parquet").read_bytes() for x in (a, b)]
        assert files[0] == files[1]
        assert parts_of(a, f"by-{by}") != parts_of(c, f"by-{by}")


def test_the_file_says_what_it_is_and_others_can_read_it(tmp_path: Path) -> None:
    out = write_set(tmp_path, MIXED)
    split(out, SplitConfig("video", test=0.25, val=0.1, seed=7))
    path = out / "splits" / "by-video.parquet"
    metadata = {k.decode(): v.decode() for k, v in pq.read_schema(path).metadata.items() if k.startswith(b"cgtool")}
    assert metadata == {
        "cgtool.schema_version": "1",
        "cgtool.split_rule": "video",
        "cgtool.split_seed": "7",
        "cgtool.split_test": "0.25",
        "cgtool.split_val": "0.1",
    }
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["clip_id", "part"] and frame.clip_id.is_monotonic_increasing
    assert duckdb.sql(f"SELECT * FROM '{path}'").fetchall() == list(frame.itertuples(index=False, name=None))
    assert [p.name for p in (out / "splits").iterdir()] == ["by-video.parquet"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(TWELVE[:40]), st.sampled_from(["video", "channel", "clip"]), st.integers(0, 99))
def test_videos_added_in_any_order_move_no_clip(
    tmp_path_factory: pytest.TempPathFactory, videos: list[Video], by: str, seed: int
) -> None:
    out = tmp_path_factory.mktemp("grows")
    known: dict[str, str] = {}
    config = SplitConfig(by, name="s", seed=seed, replace=True)  # type: ignore[arg-type]
    for n in (17, 18, 24, 40):
        result = split(write_set(out, videos[:n]), config)
        now = parts_of(out, "s")
        assert known.items() <= now.items() and len(now) == 4 * n
        assert (result.n_kept > 0) == bool(known)
        known = now
    if by == "video":
        assert sql(out, "SELECT city FROM s GROUP BY city HAVING count(DISTINCT part) < 2", "s") == []
        assert sql(out, BOTH.format(key="video_id"), "s") == []
    assert b"cgtool.split_extends" in pq.read_schema(out / "splits" / "s.parquet").metadata


def test_folds_grow_too(tmp_path: Path) -> None:
    out = write_set(tmp_path, TWELVE[::2])
    config = SplitConfig("video", folds=3, val=0.1, replace=True)
    split(out, config)
    before = [parts_of(out, f"by-video-fold{i}") for i in range(3)]
    split(write_set(out, TWELVE), config)
    for i in range(3):
        assert before[i].items() <= parts_of(out, f"by-video-fold{i}").items()


def test_two_videos_that_turn_out_to_be_of_one_channel_are_tested_together(tmp_path: Path) -> None:
    """Clips never leave test for train: where a source's parts differ, test wins."""
    videos = town("Lima", [2] * 10) + town("Rome", [2] * 3, "r")
    out = write_set(tmp_path, videos)
    split(out, SplitConfig("channel"))
    before = parts_of(out, "by-channel")
    test, train = (next(v.name for v in videos[:10] if before[f"{v.name}_00000"] == p) for p in ("test", "train"))
    known = [Video(v.name, v.clips, "one" if v.name in (test, train) else v.channel) for v in videos]
    result = split(write_set(out, known), SplitConfig("channel", replace=True))
    after = parts_of(out, "by-channel")
    assert (after[f"{test}_00000"], after[f"{train}_00000"], result.n_merged) == ("test", "test", 1)
    assert {c for c in before if before[c] != after[c]} == {f"{train}_00000", f"{train}_00001"}


def test_folds_test_every_clip_once(tmp_path: Path) -> None:
    out = write_set(tmp_path, MIXED)
    for by, key in (("video", "video_id"), ("channel", "coalesce(channel, video_id)"), ("clip", "clip_id")):
        result = split(out, SplitConfig(by, folds=3, val=0.1))  # type: ignore[arg-type]
        assert [made.name for made in result.splits] == [f"by-{by}-fold{i}" for i in range(3)]
        tested: list[object] = []
        for i in range(3):
            assert sql(out, BOTH.format(key=key), f"by-{by}-fold{i}") == []
            assert len(parts_of(out, f"by-{by}-fold{i}")) == result.n_clips
            tested += [x for (x,) in sql(out, "SELECT clip_id FROM s WHERE part = 'test'", f"by-{by}-fold{i}")]
        assert len(tested) == len(set(tested)) == result.n_clips
        if by == "video":
            for i in range(3):
                alone = {(part, why) for city, part, why in gaps_of(result, i) if city == "Nairobi" and part != "val"}
                here = ("train", "it has one source video, in test here")
                assert alone in ({here}, {("test", "it has one source video, and there are 3 folds")})
    metadata = pq.read_schema(out / "splits" / "by-video-fold2.parquet").metadata
    assert (metadata[b"cgtool.split_folds"], metadata[b"cgtool.split_fold"]) == (b"3", b"2")


def test_stats_reports_the_leaks_that_the_split_reported(tmp_path: Path) -> None:
    out = write_out(tmp_path / "out", random_rows(seed=3, n_videos=40))
    made = [split(out, SplitConfig(by)).splits[0] for by in ("clip", "video", "channel")]  # type: ignore[arg-type]
    reported = {leak.split: leak for leak in measure(out).leakage}
    assert set(reported) == {"by-clip", "by-video", "by-channel"}
    for one in made:
        theirs = reported[one.name]
        assert (one.leakage.n_same_video, one.leakage.n_same_channel, one.leakage.n_adjacent) == (
            theirs.n_same_video, theirs.n_same_channel, theirs.n_adjacent
        )  # fmt: skip
        shared = "SELECT count(*) FROM s WHERE part = 'test' AND {k} IN (SELECT {k} FROM s WHERE part = 'train')"
        for key, n in (("video_id", theirs.n_same_video), ("channel", theirs.n_same_channel)):
            assert sql(out, shared.format(k=key), one.name) == [(n,)]
    assert reported["by-clip"].n_same_video and reported["by-video"].n_same_video == 0
    assert reported["by-channel"].n_same_channel == 0


def test_nothing_but_clips_and_videos_is_read(tmp_path: Path) -> None:
    out = write_set(tmp_path, MIXED)
    (out / "manifests" / "frames.parquet").write_bytes(b"no table")
    (out / "dataset.json").write_text("{")
    result = split(out, SplitConfig("channel"))
    assert result.n_videos_without_channel == 5  # Nairobi's and the four tours
    assert json.dumps([made.name for made in result.splits]) == '["by-channel"]'
