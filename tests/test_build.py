"""`cgtool build-dataset` from end to end, in its own process, on real video with a real face in it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.ndimage
from PIL import Image

from cityguessr_data.core.schemas import SCHEMA_VERSION, TABLES, VERSION_KEY
from cityguessr_data.media.decode import decode, index_video
from tests.support_build import SHORT, cgtool, result_of, tree_digest, write_sources
from tests.support_video import numbered_video


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path
) -> tuple[Path, dict[str, Any]]:
    """A data set of three videos: one with a face, one with two spans in two cities, one too short."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copy(face_film, folder / "face.mp4")
    numbered_video(folder / "two.mp4", 130)
    numbered_video(folder / "short.mp4", 10)
    rows: list[dict[str, Any]] = [
        {"url": "face.mp4", "city": "Tokyo", "video_id": "face", "camera": "hand", "license": "CC BY"},
        {"url": "two.mp4", "city": "Bangalore", "start_s": 0, "end_s": 2},
        {"url": "two.mp4", "city": "cph", "start_s": 2},
        {"url": "short.mp4", "city": "Accra", "state": "Greater Accra", "country": "Ghana", "continent": "Africa"},
    ]
    table = write_sources(folder / "sources.csv", rows)
    done = cgtool("build-dataset", table, "--out", folder / "out", "--json", *SHORT)
    assert done.returncode == 0, done.stderr
    return folder, result_of(done)


def through_jpeg(rgb: np.ndarray) -> np.ndarray:
    """A picture after JPEG at quality 95 with halved colour, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(buffer, "JPEG", quality=95, subsampling=2)
    return np.asarray(Image.open(buffer)).astype(float)


def read(folder: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "out" / "manifests" / f"{table}.parquet").to_pylist()
    return rows


def test_counts(built: tuple[Path, dict[str, Any]]) -> None:
    folder, result = built
    # face: 60 // 20 = 3 clips of 20. two: 60 frames -> 3 clips of 20; 70 frames -> 3 clips of 23, 1 frame left.
    assert result["run"]["done"] == 2
    assert result["run"]["dropped"] == {"too-short": 1}
    assert result["run"]["clips"] == 9
    assert result["run"]["frames"] == 45
    assert result["run"]["tail_frames_left_out"] == 1
    assert result["dataset"]["done"] == 2
    assert json.loads((folder / "out" / "dataset.json").read_text())["counts"]["clips"] == 9


def test_tables_have_the_contract_s_columns_and_version(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    for name, schema in TABLES.items():
        table = pq.read_schema(folder / "out" / "manifests" / f"{name}.parquet")
        assert (table.metadata or {})[VERSION_KEY] == SCHEMA_VERSION.encode()
        assert table.names[: len(schema.names)] == schema.names
        assert [table.field(n).type for n in schema.names] == [schema.field(n).type for n in schema.names]


def test_videos_table(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    videos = {row["video_id"]: row for row in read(folder, "videos")}
    assert sorted(videos) == ["face", "local_short", "local_two"]
    assert videos["face"]["camera"] == "hand"
    assert videos["face"]["license"] == "CC BY"
    assert (videos["face"]["width"], videos["face"]["height"], videos["face"]["n_frames"]) == (320, 240, 60)
    assert videos["local_short"]["status"] == "dropped"
    assert videos["local_short"]["reason"].startswith("too-short: 10 frames")


def test_clips_table(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    clips = {row["clip_id"]: row for row in read(folder, "clips")}
    spans = {clip_id: (row["start_frame"], row["end_frame"]) for clip_id, row in clips.items()}
    assert spans == {
        "face_00000": (0, 20), "face_00001": (20, 40), "face_00002": (40, 60),
        "local_two_00000": (0, 20), "local_two_00001": (20, 40), "local_two_00002": (40, 60),
        "local_two_00003": (60, 83), "local_two_00004": (83, 106), "local_two_00005": (106, 129),
    }  # fmt: skip
    two = clips["local_two_00003"]
    assert (two["city"], two["country"], two["continent"]) == ("Copenhagen", "Denmark", "Europe")
    assert clips["local_two_00000"]["city"] == "Banglore"
    assert clips["local_two_00000"]["city_label"] == 18
    assert two["scene_soft"] is None
    assert two["scene_majority"] is None
    assert all(row["n_sampled"] == 5 for row in clips.values())
    assert clips["face_00000"]["n_faces"] >= 4


def test_every_frame_is_on_disk_with_its_digest_and_no_other(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    rows = {row["path"]: row["sha256"] for row in read(folder, "frames")}
    assert rows == tree_digest(folder / "out")
    assert len(rows) == 45
    assert "clips/face/face_00000/001.jpg" in rows


def test_boxes_are_blurred_and_everything_else_is_the_source(built: tuple[Path, dict[str, Any]]) -> None:
    """The blur is recomputed with SciPy on frames decoded anew; the worst box counts, not the mean."""
    folder, _ = built
    source = folder / "face.mp4"
    frames = {row["frame_index"]: row for row in read(folder, "frames") if row["clip_id"].startswith("face")}
    faces: dict[int, list[dict[str, Any]]] = {}
    for face in read(folder, "faces"):
        if face["clip_id"].startswith("face"):
            faces.setdefault(face["frame_index"], []).append(face)
    boxes = 0
    for decoded in decode(source, set(frames), 60, index_video(source)):
        row = frames[decoded.index]
        saved = cv2.cvtColor(cv2.imread(str(folder / "out" / row["path"])), cv2.COLOR_BGR2RGB).astype(float)
        expected = decoded.rgb.astype(float)
        found = faces.get(decoded.index, [])
        assert {f["blurred"] for f in found if f["score"] >= 0.5} <= {True}
        assert {f["blurred"] for f in found if f["score"] < 0.5} <= {False}
        assert row["n_faces"] == sum(f["blurred"] for f in found)
        hard = [f for f in found if f["blurred"]]
        for f in hard:
            x0, y0 = int(np.floor(f["x0"])), int(np.floor(f["y0"]))
            x1, y1 = int(np.ceil(f["x1"])), int(np.ceil(f["y1"]))
            region = expected[y0:y1, x0:x1]
            detail_before = np.abs(np.diff(region, axis=1)).mean()
            blurred = scipy.ndimage.gaussian_filter(region, (21, 21, 0), mode="mirror", truncate=31 / 21)
            expected[y0:y1, x0:x1] = np.rint(blurred)
            detail_after = np.abs(np.diff(saved[y0:y1, x0:x1], axis=1)).mean()
            assert detail_after < detail_before / 4, f"frame {decoded.index} still shows the face"
            boxes += 1
        # Pillow's encoder says what JPEG at this quality costs on the frame that we should have written
        difference, jpeg = np.abs(saved - expected), np.abs(through_jpeg(expected) - expected)
        assert difference.mean() < 1.1 * jpeg.mean() + 0.1
        assert difference.max() < 1.5 * jpeg.max() + 2
    assert boxes >= 12


def test_the_face_is_found_in_nearly_every_frame(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    with_face = {f["frame_index"] for f in read(folder, "faces") if f["clip_id"].startswith("face") and f["blurred"]}
    assert len(with_face) >= 13  # of 15


def test_the_same_command_again_does_nothing(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    out = folder / "out"
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "lock"}
    done = cgtool("build-dataset", folder / "sources.csv", "--out", out, *SHORT, "--json")
    assert done.returncode == 0
    assert result_of(done)["run"]["already_done"] == 3
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "lock"}
    assert before == after


def test_attempts_tell_every_stage(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    rows = [row for row in read(folder, "attempts") if row["video_id"] == "face"]
    assert [row["stage"] for row in rows] == ["download", "clip", "anonymise", "label", "write"]
    assert {row["status"] for row in rows} == {"done"}
    dropped = [row for row in read(folder, "attempts") if row["video_id"] == "local_short"]
    assert dropped[-1]["status"] == "dropped"


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
def test_other_readers_open_the_manifests(built: tuple[Path, dict[str, Any]], reader: str) -> None:
    folder, _ = built
    path = str(folder / "out" / "manifests" / "clips.parquet")
    if reader == "pandas":
        import pandas

        assert len(pandas.read_parquet(path)) == 9
    elif reader == "duckdb":
        import duckdb

        assert duckdb.sql(f"select count(*), sum(n_sampled) from '{path}'").fetchall() == [(9, 45)]
    else:
        import polars

        assert polars.read_parquet(path)["n_sampled"].sum() == 45


def test_another_configuration_is_refused_by_name(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    done = cgtool("build-dataset", folder / "sources.csv", "--out", folder / "out", *SHORT, "--conf", "0.4")
    assert done.returncode == 2
    assert "conf was 0.5, now 0.4" in done.stderr
    assert done.stderr.count("\n") == 1


def test_status_and_dry_run_of_a_finished_build(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    status = result_of(cgtool("status", folder / "out", "--json"))
    assert (status["done"], status["dropped"], status["pending"], status["clips"]) == (2, {"too-short": 1}, 0, 9)
    dry = result_of(
        cgtool("build-dataset", folder / "sources.csv", "--out", folder / "out", *SHORT, "--dry-run", "--json")
    )
    assert (dry["rows"], dry["videos"], dry["committed"], dry["requests"]) == (4, 3, 3, 0)


def test_a_new_span_redoes_its_video_and_a_lost_source_costs_nothing(
    built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built[0], folder)
    before = tree_digest(folder / "out")
    rows: list[dict[str, Any]] = [
        {"url": "face.mp4", "city": "Tokyo", "video_id": "face", "camera": "hand", "license": "CC BY", "end_s": 1},
        {"url": "face.mp4", "city": "Osaka", "video_id": "face", "camera": "hand", "license": "CC BY", "start_s": 1},
    ]
    table = write_sources(folder / "sources.csv", rows)
    (folder / "face.mp4").rename(folder / "away.mp4")
    (folder / "face.mp4").write_bytes(b"<html>gone</html>")
    done = cgtool("build-dataset", table, "--out", folder / "out", *SHORT, "--json")
    assert done.returncode == 0, done.stderr  # permanently gone videos are normal, and counted
    assert result_of(done)["run"]["failed"][0]["error_class"] == "bad-media"
    assert tree_digest(folder / "out") == before
    assert {r["city"] for r in read(folder, "clips") if r["video_id"] == "face"} == {"Tokyo"}

    (folder / "away.mp4").replace(folder / "face.mp4")
    rows[1]["city"] = "Seoul"
    write_sources(folder / "sources.csv", rows)
    done = cgtool("build-dataset", table, "--out", folder / "out", *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    clips = {r["clip_id"]: r for r in read(folder, "clips")}
    assert [clips[f"face_{i:05d}"]["city"] for i in range(2)] == ["Tokyo", "Seoul"]
    assert "face_00002" not in clips
    assert sum(path.startswith("clips/local_two") for path in tree_digest(folder / "out")) == 30
    assert (
        result_of(done)["dataset"]["extra"] == 2
    )  # local_two and local_short stay though the table no longer names them


def test_strict_blur_fills_in_and_grows(tmp_path: Path, face_film: Path, detector_weights: Path) -> None:
    shutil.copy(face_film, tmp_path / "face.mp4")
    table = write_sources(
        tmp_path / "sources.csv",
        [{"url": "face.mp4", "city": "Rome", "state": "Lazio", "country": "Italy", "continent": "Europe"}],
    )
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT, "--blur", "strict", "--json")
    assert done.returncode == 0, done.stderr
    faces = read(tmp_path, "faces")
    assert all(f["blurred"] for f in faces if f["score"] >= 0.2)
    assert all(0 <= f["x0"] < f["x1"] <= 320 and 0 <= f["y0"] < f["y1"] <= 240 for f in faces)
    clips = read(tmp_path, "clips")
    assert {c["blur"] for c in clips} == {"strict"}
    assert clips[0]["city_label"] is None
    assert clips[0]["country"] == "Italy"
    assert clips[0]["country_label"] is not None


def test_two_workers_give_the_same_frames_as_one(built: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = built
    again = folder / "again"
    done = cgtool("build-dataset", folder / "sources.csv", "--out", again, *SHORT, "--workers", "2", fresh=True)
    assert done.returncode == 0, done.stderr
    assert tree_digest(again) == tree_digest(folder / "out")


def test_scenes_sum_to_one(tmp_path: Path, face_film: Path, detector_weights: Path, scene_onnx: Path) -> None:
    shutil.copy(face_film, tmp_path / "face.mp4")
    table = write_sources(tmp_path / "sources.csv", [{"url": "face.mp4", "city": "Tokyo"}])
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT[:-1], scene_onnx)
    assert done.returncode == 0, done.stderr
    for clip in read(tmp_path, "clips"):
        assert len(clip["scene_soft"]) == 16
        assert sum(clip["scene_soft"]) == pytest.approx(1, abs=1e-6)
        assert clip["scene_majority"] == int(np.argmax(clip["scene_soft"]))
    frames = read(tmp_path, "frames")
    assert all(0 <= f["scene_top1"] < 365 and 0 < f["scene_top1_prob"] <= 1 for f in frames)
