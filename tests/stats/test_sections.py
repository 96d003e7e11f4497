"""The sections of the report against DuckDB's answers over the same tables, written as plain SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cityguessr_data.core.places365 import SCENE_CLASSES
from cityguessr_data.stats.report import measure
from cityguessr_data.stats.results import Stats
from tests.support_out import Rows, random_rows, write_out


@pytest.fixture(scope="module")
def rows() -> Rows:
    return random_rows(seed=1, n_videos=30)


@pytest.fixture(scope="module")
def out(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_out(tmp_path_factory.mktemp("stats") / "set", rows)


@pytest.fixture(scope="module")
def stats(out: Path) -> Stats:
    return measure(out, few_below=8)


@pytest.fixture(scope="module")
def sql(out: Path) -> Any:
    """Runs a query; tables are those of the manifests."""
    base = duckdb.connect()
    for path in (out / "manifests").glob("*.parquet"):
        base.execute(f"create view {path.stem} as select * from '{path}'")
    return lambda query: base.execute(query).fetchall()


def test_size(stats: Stats, sql: Any) -> None:
    (expected,) = sql(
        "select count(*), count(distinct video_id), sum(n_sampled), sum(n_frames / fps) / 3600 from clips"
    )
    size = stats.size
    assert (size.n_clips, size.n_videos, size.n_frames) == expected[:3]
    assert size.hours == pytest.approx(expected[3])
    assert size.videos_by_status == {"done": 30}
    assert (size.taxonomy_cities, size.cities_of_taxonomy) == (166, sql("select count(distinct city) from clips")[0][0])


@pytest.mark.parametrize("level", ["city", "state", "country", "continent"])
def test_levels(stats: Stats, sql: Any, level: str) -> None:
    expected = sql(f"select {level}, count(*), count(distinct video_id) from clips group by 1 order by 2 desc, 1")
    found = stats.levels[level]  # type: ignore[index]
    assert found is not None
    assert [(c.name, c.n_clips, c.n_videos) for c in found.classes] == expected
    assert sorted(found.few) == sorted(name for name, n, _ in expected if n < 8)
    assert found.n_clips == stats.size.n_clips
    median = sql(f"select median(n) from (select count(*) n from clips group by {level})")[0][0]
    assert found.per_class.median == median


def test_parents_and_coordinates(stats: Stats) -> None:
    city = stats.levels["city"]
    assert city is not None
    by_name = {c.name: c for c in city.classes}
    assert by_name["Austin"].parents == ("Texas", "United_States", "North_America")
    assert by_name["Austin"].lat == pytest.approx(30.27, abs=0.05)


def test_footage(stats: Stats, sql: Any) -> None:
    footage = stats.footage
    assert footage is not None and footage.clip_s is not None and footage.clip_frames is not None
    (low, median, mean, high) = sql(
        "select min(s), median(s), avg(s), max(s) from (select n_frames / fps s from clips)"
    )[0]
    spread = footage.clip_s
    assert (spread.low, spread.median, spread.mean, spread.high) == pytest.approx((low, median, mean, high))
    for i, n in enumerate(spread.counts):
        below = "<=" if i == len(spread.counts) - 1 else "<"
        where = f"n_frames / fps >= {spread.edges[i]!r} and n_frames / fps {below} {spread.edges[i + 1]!r}"
        assert n == sql(f"select count(*) from clips where {where}")[0][0]
    assert dict(footage.resolution) == dict(sql("select width || 'x' || height, count(*) from clips group by 1"))
    assert dict(footage.fps) == {f"{fps:g}": n for fps, n in sql("select fps, count(*) from clips group by 1")}
    assert footage.n_from_15_frames == 0  # every clip has 10
    assert (footage.one_length, footage.from_video, footage.own_folders) == (True, True, True)
    assert footage.video_s is not None and footage.video_s.n == 30


@pytest.mark.parametrize(("place", "own"), [("clips/{video_id}.tar", True), ("clips/{video_id}", False)])
def test_clips_in_one_tar_have_places_of_their_own(rows: Rows, tmp_path: Path, place: str, own: bool) -> None:
    clips = [row | {"frames_uri": place.format(**row)} for row in rows["clips"]]
    footage = measure(write_out(tmp_path / "set", rows | {"clips": clips}), few_below=8).footage
    assert footage is not None and footage.own_folders is own


def test_faces(stats: Stats, sql: Any) -> None:
    faces = stats.faces
    assert faces is not None and faces.scores is not None and faces.heights_px is not None
    assert (faces.n_detections, faces.n_blurred, faces.n_in_band, faces.n_reviewed) == sql(
        "select sum((origin = 'detected')::int), sum(blurred::int),"
        " sum((origin = 'detected' and not blurred and score < 0.5 and review = 'pending')::int),"
        " sum((review <> 'pending')::int) from faces"
    )[0]
    assert dict(faces.by_origin) == dict(sql("select origin, count(*) from faces where blurred group by 1"))
    in_bin = sql("select floor(score * 100)::int b, count(*) from faces where origin = 'detected' group by 1")
    assert {i: n for i, n in enumerate(faces.scores.counts) if n} == dict(in_bin)
    median = sql("select median(score) from faces where origin = 'detected'")[0][0]
    assert faces.scores.median == pytest.approx(median, abs=1e-4)
    (median,) = sql("select median(y1 - y0) from faces where blurred")[0]
    assert faces.heights_px.median == pytest.approx(median, abs=0.1)
    assert (faces.n_visible, faces.n_strangers) == (0, 0)
    assert faces.per_clip is not None and faces.per_frame is not None
    assert faces.per_clip.mean == pytest.approx(sql("select avg(n_faces) from clips")[0][0])
    assert (faces.per_frame.n, faces.per_frame.mean) == pytest.approx(
        sql("select count(*), avg(n_faces) from frames")[0]
    )
    assert faces.conf == 0.5


def test_scenes(stats: Stats, rows: Rows, sql: Any) -> None:
    scenes = stats.scenes
    assert scenes is not None
    labelled = [row for row in rows["clips"] if row["scene_soft"] is not None]
    assert (scenes.n_labelled, scenes.n_unlabelled) == (len(labelled), len(rows["clips"]) - len(labelled))
    for i in range(len(SCENE_CLASSES)):
        (share, majority) = sql(f"select avg(scene_soft[{i + 1}]), sum((scene_majority = {i})::int) from clips")[0]
        assert scenes.overall[i] == pytest.approx(share, abs=1e-6)
        assert scenes.majority[i] == majority
        for continent, mean in sql(f"select continent, avg(scene_soft[{i + 1}]) from clips group by 1"):
            assert scenes.by_continent[continent][i] == pytest.approx(mean, abs=1e-6)


def test_provenance(stats: Stats, sql: Any) -> None:
    found = stats.provenance
    assert found is not None and found.channels is not None
    assert (
        found.clips_per_video.median
        == sql("select median(n) from (select count(*) n from clips group by video_id)")[0][0]
    )
    alone = sql("select city from clips group by city having count(distinct video_id) = 1 order by 1")
    assert list(found.one_video_cities) == [name for (name,) in alone]
    joined = "clips join videos using (video_id)"
    assert dict(found.channels) == dict(
        sql(f"select channel, count(*) from {joined} where channel is not null group by 1")
    )
    assert found.n_channel_unknown == sql(f"select count(*) from {joined} where channel is null")[0][0]
    assert found.n_videos == 30
    assert [v.n_clips for v in found.videos] == sorted((v.n_clips for v in found.videos), reverse=True)
    assert {v.video_id: v.title for v in found.videos} == dict(sql("select video_id, title from videos"))


def test_frames_of_unknown_clips_are_told(rows: Rows, tmp_path: Path) -> None:
    fewer = {**rows, "clips": rows["clips"][1:]}
    first = rows["clips"][0]["clip_id"]
    n = sum(row["clip_id"] == first for row in rows["frames"])
    notes = measure(write_out(tmp_path / "set", fewer)).notes
    assert f"{n} rows of the frames table are of clips that the clips table does not have" in notes
    n_faces = sum(row["clip_id"] == first for row in rows["faces"])
    assert f"{n_faces} rows of the faces table are of clips that the clips table does not have" in notes


def test_a_visible_face_is_told_and_a_rejected_one_is_not(rows: Rows, tmp_path: Path) -> None:
    faces = [dict(row) for row in rows["faces"]]
    high = [row for row in faces if row["blurred"] and row["origin"] == "detected"]
    high[0] |= {"blurred": False}
    high[1] |= {"blurred": False, "review": "rejected"}
    stats = measure(write_out(tmp_path / "set", {**rows, "faces": faces}))
    assert "1 faces of score 0.5 and over are not blurred" in stats.notes
    assert stats.faces is not None and stats.faces.n_visible == 1
    before = sum(not r["blurred"] and r["score"] < 0.5 and r["review"] == "pending" for r in rows["faces"])
    assert stats.faces.n_in_band == before


def test_a_frames_table_that_is_half_there_is_told(rows: Rows, tmp_path: Path) -> None:
    notes = measure(write_out(tmp_path / "set", {**rows, "frames": rows["frames"][:25]})).notes
    assert f"the frames table has 25 of the {len(rows['frames'])} frames of the clips table" in notes


def test_nothing_is_said_of_what_is_not_there(rows: Rows, tmp_path: Path) -> None:
    bare = {name: [] if name in ("frames", "faces") else table for name, table in rows.items()}
    bare["clips"] = [row | {"scene_soft": None, "fps": None, "n_frames": None} for row in rows["clips"]]
    stats = measure(write_out(tmp_path / "set", bare))
    assert stats.scenes is None and stats.duplicates is None and stats.size.hours is None
    assert stats.blank["scenes"] == "no clip has a scene label"
    assert stats.footage is not None and stats.footage.clip_s is None
    assert stats.footage.fps == {"unknown": len(rows["clips"])}
    assert stats.faces is not None and stats.faces.scores is None and stats.faces.n_detections == 0


def test_splits_of_the_directory_and_of_the_command_line(rows: Rows, tmp_path: Path) -> None:
    """What leaks, counted by SQL; a split by video leaks no video."""
    clips = rows["clips"]
    by_clip = {row["clip_id"]: "test" if i % 5 == 0 else "train" for i, row in enumerate(clips)}
    by_video = {row["clip_id"]: "test" if row["video_id"] < "v06" else "train" for row in clips}
    out = write_out(tmp_path / "set", rows, splits={"clip": by_clip})
    video = tmp_path / "video.csv"
    video.write_text("clip_id,part\n" + "".join(f"{c},{part}\n" for c, part in by_video.items()))
    first, second = measure(out, splits=(video,)).leakage
    assert (first.split, second.split) == ("clip", "video")
    base = duckdb.connect()
    for name in ("clips", "videos"):
        base.execute(f"create view {name} as select * from '{out}/manifests/{name}.parquet'")
    for leak, parts in ((first, f"'{out}/splits/clip.parquet'"), (second, f"'{video}'")):
        base.execute(
            f"create or replace view s as select * from clips join videos using (video_id) join {parts} using (clip_id)"
        )
        seen = "from s t where part = 'test' and exists (select 1 from s u where u.part = 'train' and"
        (expected,) = base.execute(
            f"""select (select count(*) from s where part = 'test'),
                (select count(*) {seen} u.video_id = t.video_id)),
                (select count(*) {seen} u.channel = t.channel)),
                (select count(*) {seen} u.video_id = t.video_id and abs(u.clip_index - t.clip_index) = 1)),
                (select count(*) from s where part = 'test' and channel is null)"""
        ).fetchall()
        found = (leak.n_test, leak.n_same_video, leak.n_same_channel, leak.n_adjacent, leak.n_channel_unknown)
        assert found == expected
    assert first.n_same_video and second.n_same_video == 0
