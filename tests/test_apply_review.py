"""Applying a review to real builds: what changed is blurred anew, nothing else is touched, twice is as once."""

from __future__ import annotations

import io
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cityguessr_data.core.errors import InputError
from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.over_frames.apply_review import ApplyResult, apply_review
from cityguessr_data.review.decisions import Box, Decision, DecisionLog, new_id
from cityguessr_data.review.lock import review_lock
from cityguessr_data.review.progress import read_progress
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.compute import Failed, Staged
from cityguessr_data.run.executor import Fetched, Postponed
from cityguessr_data.run.store import Store
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_imported import face_source, state_of, table, write_imported
from tests.support_inline import cgtool_inline
from tests.support_video import numbered_video

FACE, OTHER = "face_00000", "face_00001"
DRAWN: Box = (200.0, 30.0, 248.0, 90.0)
"""On the wall, where the film shows no face."""


class Listening:
    """Hears a run and keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def planned(self, videos: int) -> None:
        self.heard.append(f"planned {videos}")

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None: ...

    def fetched(self, fetched: Fetched) -> None: ...

    def ticked(self, stage: str, frames: int) -> None: ...

    def ended(self, outcome: Staged | Failed | Postponed) -> None: ...

    def said(self, message: str) -> None:
        self.heard.append(message)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Path:
    """A folder with sources.csv, face.mp4 (three clips with a face), two.mp4 (none) and the data set `out`."""
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copy(face_film, folder / "face.mp4")
    numbered_video(folder / "two.mp4", 45)
    rows = [{"url": "face.mp4", "city": "Tokyo", "video_id": "face"}, {"url": "two.mp4", "city": "Lyon"}]
    done = cgtool_inline("build-dataset", write_sources(folder / "sources.csv", rows), "--out", folder / "out", *SHORT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of it whose tables name the copied sources; files keep their times."""
    shutil.copytree(built, tmp_path / "data")
    folder = tmp_path / "data"
    for name in ("parts/videos/face.parquet", "parts/videos/local_two.parquet", "manifests/videos.parquet"):
        path = folder / "out" / name
        old = pq.read_table(path)
        urls = [url.replace(str(built), str(folder)) for url in old["url"].to_pylist()]
        stat = path.stat()
        pq.write_table(old.set_column(old.schema.get_field_index("url"), old.schema.field("url"), [urls]), path)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return folder


def decide(out: Path, *actions: tuple[str, str, dict[str, Any]]) -> list[str]:
    """Write decisions (action, clip, more) as the page would; returns their ids."""
    log = DecisionLog(Store(out))
    fingerprints = {row["clip_id"]: (row["video_id"], row["fingerprint"]) for row in table(out, "clips")}
    ids = []
    for action, clip_id, more in actions:
        unit, mark = fingerprints[clip_id]
        one = Decision(
            action=action,  # type: ignore[arg-type]
            clip_id=clip_id,
            fingerprint=mark,
            reviewer="someone",
            session="tab",
            decided_at=datetime.now(UTC),
            decision_id=new_id(),
            **more,
        )
        log.append(unit, [one])
        ids.append(one.decision_id)
    return ids


def apply(out: Path) -> ApplyResult:
    return apply_review(out, Listening(), workers=1)


def blurred_faces(out: Path, clip_id: str, position: int) -> list[Box]:
    return [
        (f["x0"], f["y0"], f["x1"], f["y1"])
        for f in table(out, "faces")
        if (f["clip_id"], f["position"]) == (clip_id, position) and f["blurred"]
    ]


def frame_row(out: Path, clip_id: str, position: int) -> dict[str, Any]:
    (row,) = [r for r in table(out, "frames") if (r["clip_id"], r["position"]) == (clip_id, position)]
    return row


def picture(out: Path, clip_id: str, position: int) -> np.ndarray:
    return np.asarray(Image.open(out / frame_row(out, clip_id, position)["path"])).astype(float)


def source_frame(folder: Path, out: Path, clip_id: str, position: int) -> np.ndarray:
    """The frame before blurring, through JPEG as it would be saved, by Pillow."""
    number = frame_row(out, clip_id, position)["frame_index"]
    film = folder / "face.mp4"
    (frame,) = decode(film, {number}, number + 1, index_video(film))
    buffer = io.BytesIO()
    Image.fromarray(frame.rgb).save(buffer, "JPEG", quality=95, subsampling=2)
    return np.asarray(Image.open(buffer)).astype(float)


def jpegs(out: Path) -> dict[str, tuple[int, str]]:
    return {name: state for name, state in state_of(out).items() if name.startswith("clips/")}


def changed(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> set[str]:
    """Files that are not the same to the byte and the time of writing."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def whole(out: Path) -> None:
    """Every row has its frame with the digest written, no file is over, and counts agree with the faces table."""
    import hashlib

    frames = table(out, "frames")
    files = {str(p.relative_to(out)) for p in (out / "clips").rglob("*.jpg")}
    assert {row["path"] for row in frames} == files
    faces = table(out, "faces")
    for row in frames:
        assert hashlib.sha256((out / row["path"]).read_bytes()).hexdigest() == row["sha256"]
        here = [f for f in faces if (f["clip_id"], f["position"]) == (row["clip_id"], row["position"])]
        assert row["n_faces"] == sum(f["blurred"] for f in here)
    for clip in table(out, "clips"):
        assert clip["n_faces"] == sum(r["n_faces"] for r in frames if r["clip_id"] == clip["clip_id"])
    counts = json.loads((out / "dataset.json").read_text())["counts"]
    assert counts["faces_blurred"] == sum(f["blurred"] for f in faces)


def test_a_box_that_is_no_face_becomes_visible_and_nothing_else_changes(folder: Path) -> None:
    out = folder / "out"
    (box,) = blurred_faces(out, FACE, 2)
    raw, before = source_frame(folder, out, FACE, 2), jpegs(out)
    decide(out, ("reject", FACE, {"position": 2, "box": box}))
    result = apply(out)
    assert (result.exit_code, result.n_frames, result.lacking) == (0, 1, [])
    assert changed(before, jpegs(out)) == {frame_row(out, FACE, 2)["path"]}
    assert np.abs(picture(out, FACE, 2) - raw).mean() < 1
    (row,) = [f for f in table(out, "faces") if (f["clip_id"], f["position"], f["score"] > 0.5) == (FACE, 2, True)]
    assert (row["blurred"], row["review"]) == (False, "rejected")
    whole(out)


def test_a_drawn_face_is_blurred_and_only_there(folder: Path) -> None:
    out = folder / "out"
    raw = source_frame(folder, out, FACE, 1)
    saved = picture(out, FACE, 1)
    decide(out, ("draw", FACE, {"position": 1, "box": DRAWN}))
    assert apply(out).n_frames == 1
    now = picture(out, FACE, 1)
    x0, y0, x1, y1 = map(int, DRAWN)
    assert np.abs(now[y0:y1, x0:x1] - raw[y0:y1, x0:x1]).mean() > 5, "blurred"
    outside = np.ones(now.shape[:2], bool)
    outside[y0 - 16 : y1 + 16, x0 - 16 : x1 + 16] = False  # JPEG's blocks and halved colour reach over the edge
    assert np.array_equal(now[outside], saved[outside]), "the face that was found is blurred as it was"
    (manual,) = [f for f in table(out, "faces") if f["origin"] == "manual"]
    assert (manual["blurred"], manual["review"], manual["frame_index"]) == (True, "accepted", 4)
    whole(out)


def test_applying_twice_does_nothing_the_second_time(folder: Path) -> None:
    out = folder / "out"
    decide(out, ("draw", FACE, {"position": 1, "box": DRAWN}), ("accept", OTHER, {"position": 0}))
    assert apply(out).report.done == 1
    state = state_of(out)
    again = apply(out)
    assert (again.report.done, again.n_frames, again.exit_code) == (0, 0, 0)
    assert changed(state, state_of(out)) == set()


def test_undoing_gives_back_the_very_bytes_of_the_build(folder: Path) -> None:
    out = folder / "out"
    before, faces = {name: digest for name, (_, digest) in jpegs(out).items()}, table(out, "faces")
    (box,) = blurred_faces(out, FACE, 0)
    ids = decide(
        out,
        ("draw", FACE, {"position": 1, "box": DRAWN}),
        ("reject", FACE, {"position": 0, "box": box}),
        ("accept", FACE, {"position": 0}),
    )
    assert apply(out).n_frames == 2
    assert {name: digest for name, (_, digest) in jpegs(out).items()} != before
    decide(out, *(("undo", FACE, {"undoes": one}) for one in ids))
    assert apply(out).n_frames == 2
    assert {name: digest for name, (_, digest) in jpegs(out).items()} == before
    assert table(out, "faces") == faces
    whole(out)


def test_accepting_touches_no_picture(folder: Path) -> None:
    out = folder / "out"
    before = jpegs(out)
    version = json.loads((out / "dataset.json").read_text())["version"]
    decide(out, ("accept", FACE, {"position": 0}))
    result = apply(out)
    assert (result.report.done, result.n_frames) == (1, 0)
    assert changed(before, jpegs(out)) == set()
    first = [f["review"] for f in table(out, "faces") if (f["clip_id"], f["position"]) == (FACE, 0) and f["blurred"]]
    assert first == ["accepted"]
    assert json.loads((out / "dataset.json").read_text())["version"] == version


class TestWithoutTheSource:
    def test_blur_can_be_added_and_what_cannot_be_taken_off_is_listed(self, folder: Path) -> None:
        out = folder / "out"
        (box,) = blurred_faces(out, FACE, 0)
        saved, before = picture(out, FACE, 1), jpegs(out)
        (folder / "face.mp4").unlink()
        decide(
            out,
            ("draw", FACE, {"position": 1, "box": DRAWN}),
            ("reject", FACE, {"position": 0, "box": box}),
        )
        result = apply(out)
        assert result.exit_code == 0
        assert result.lacking == [(FACE, 0, box)]
        assert changed(before, jpegs(out)) == {frame_row(out, FACE, 1)["path"]}
        x0, y0, x1, y1 = map(int, DRAWN)
        now = picture(out, FACE, 1)
        assert now[y0:y1, x0:x1].std() < 0.6 * saved[y0:y1, x0:x1].std()
        a0, b0, a1, b1 = map(int, blurred_faces(out, FACE, 1)[0])
        assert np.abs(now[b0:b1, a0:a1] - saved[b0:b1, a0:a1]).mean() < 0.5, "what was blurred is not blurred again"
        (row,) = [f for f in table(out, "faces") if (f["clip_id"], f["position"]) == (FACE, 0) and f["score"] > 0.5]
        assert (row["blurred"], row["review"]) == (True, "rejected"), "the table says what the pixels are"
        whole(out)

    def test_again_it_is_listed_again_and_nothing_changes(self, folder: Path) -> None:
        out = folder / "out"
        (box,) = blurred_faces(out, FACE, 0)
        (folder / "face.mp4").rename(folder / "away.mp4")
        decide(out, ("reject", FACE, {"position": 0, "box": box}))
        assert len(apply(out).lacking) == 1
        state = state_of(out)
        again = apply(out)
        assert (len(again.lacking), again.report.done) == (1, 0)
        assert changed(state, state_of(out)) == set()
        assert read_progress(Store(out)).unapplied == (), "what cannot be done does not wait"

    def test_when_the_source_is_back_it_is_done(self, folder: Path) -> None:
        out = folder / "out"
        (box,) = blurred_faces(out, FACE, 0)
        raw = source_frame(folder, out, FACE, 0)
        (folder / "face.mp4").rename(folder / "away.mp4")
        decide(out, ("reject", FACE, {"position": 0, "box": box}))
        apply(out)
        (folder / "away.mp4").rename(folder / "face.mp4")
        result = apply(out)
        assert (result.n_frames, result.lacking) == (1, [])
        assert np.abs(picture(out, FACE, 0) - raw).mean() < 1

    def test_another_film_of_that_name_is_not_the_source(self, folder: Path) -> None:
        out = folder / "out"
        (box,) = blurred_faces(out, FACE, 0)
        numbered_video(folder / "face.mp4", 60)
        decide(out, ("reject", FACE, {"position": 0, "box": box}))
        assert len(apply(out).lacking) == 1


class TestClips:
    def test_a_dropped_clip_goes_and_the_others_keep_their_files(self, folder: Path) -> None:
        out = folder / "out"
        before = jpegs(out)
        decide(out, ("drop", OTHER, {}))
        result = apply(out)
        assert result.dropped == [OTHER]
        gone = {name for name in before if f"/{OTHER}/" in name}
        assert len(gone) == 5
        assert changed(before, jpegs(out)) == gone
        assert {row["clip_id"] for row in table(out, "clips") if row["video_id"] == "face"} == {FACE, "face_00002"}
        (tombstone,) = table(out, "tombstones")
        assert (tombstone["kind"], tombstone["id"], tombstone["reason"]) == ("clip", OTHER, "review")
        assert (tombstone["start_frame"], tombstone["end_frame"]) == (20, 40)
        assert (tombstone["start_s"], tombstone["end_s"]) == pytest.approx((20 / 30, 40 / 30))
        assert json.loads((out / "dataset.json").read_text())["version"] == "0.2.0"
        assert OTHER in (out / "CHANGELOG.md").read_text() or "1 clip" in (out / "CHANGELOG.md").read_text()
        whole(out)
        again = cgtool_inline("build-dataset", folder / "sources.csv", "--out", out, *SHORT)
        assert again.returncode == 0, again.stderr
        assert OTHER not in {row["clip_id"] for row in table(out, "clips")}

    def test_a_split_loses_it_too(self, folder: Path) -> None:
        out = folder / "out"
        assert cgtool_inline("split", out, "--by", "clip").returncode == 0
        metadata = pq.read_schema(out / "splits" / "by-clip.parquet").metadata
        decide(out, ("drop", OTHER, {}))
        apply(out)
        split = pq.read_table(out / "splits" / "by-clip.parquet")
        assert sorted(split["clip_id"].to_pylist()) == sorted(row["clip_id"] for row in table(out, "clips"))
        assert split.schema.metadata == metadata

    def test_another_city(self, folder: Path) -> None:
        out = folder / "out"
        before = jpegs(out)
        decide(out, ("label", FACE, {"value": "Malmö"}), ("label", OTHER, {"value": "lyon"}))
        assert apply(out).n_relabelled == 2
        rows = {row["clip_id"]: row for row in table(out, "clips")}
        assert (rows[FACE]["city"], rows[FACE]["country"], rows[FACE]["continent"]) == ("Malm", "Sweden", "Europe")
        assert rows[OTHER]["city"] == "Lyon"
        assert rows[OTHER]["city_label"] == rows["local_two_00000"]["city_label"]
        assert rows["face_00002"]["city"] == "Tokyo"
        assert changed(before, jpegs(out)) == set()
        assert apply(out).n_relabelled == 0

    def test_a_city_that_is_taken_back_is_the_old_one_again(self, folder: Path) -> None:
        out = folder / "out"
        before = table(out, "clips")
        (label,) = decide(out, ("label", FACE, {"value": "Lyon"}))
        apply(out)
        assert table(out, "clips") != before
        decide(out, ("undo", FACE, {"undoes": label}))
        assert apply(out).n_relabelled == 1
        assert table(out, "clips") == before

    def test_a_city_that_nobody_knows_stops_it_before_a_clip_is_dropped(self, folder: Path) -> None:
        out = folder / "out"
        decide(out, ("drop", OTHER, {}), ("label", FACE, {"value": "Atlantis"}))
        before = jpegs(out)
        with pytest.raises(InputError, match="--taxonomy"):
            apply(out)
        assert jpegs(out) == before
        assert not (out / "parts" / "tombstones").exists()


class TestMadeAnew:
    """The same request gives another result: a unit that was lost, another library, settings changed to and fro."""

    def rebuilt(self, folder: Path, *more: str) -> Path:
        out = folder / "out"
        shutil.rmtree(out / "clips" / "face")
        for name in ("clips", "frames", "faces", "videos", "attempts"):
            (out / "parts" / name / "face.parquet").unlink()
        done = cgtool_inline("build-dataset", folder / "sources.csv", "--out", out, *SHORT, *more)
        assert done.returncode == 0, done.stderr
        return out

    def test_what_was_kept_of_an_earlier_result_does_not_count(self, folder: Path) -> None:
        out = folder / "out"
        decide(out, ("draw", FACE, {"position": 1, "box": DRAWN}))
        apply(out)
        self.rebuilt(folder)
        part = out / "parts" / "faces" / "face.parquet"
        faces = pq.read_table(part)
        one_more = faces.slice(0, 1).to_pylist()[0] | {"clip_id": OTHER, "position": 3, "x0": 1.0, "blurred": True}
        pq.write_table(pa.concat_tables([faces, pa.Table.from_pylist([one_more], faces.schema)]), part)
        apply(out)
        kept = [f for f in table(out, "faces") if (f["clip_id"], f["position"], f["x0"]) == (OTHER, 3, 1.0)]
        assert [face["blurred"] for face in kept] == [True], "a face of the new result lost its row"
        assert [f["origin"] for f in table(out, "faces") if f["clip_id"] == FACE and f["position"] == 1].count("manual")

    def test_a_detection_that_was_taken_for_a_face_is_blurred_though_its_row_is_gone(self, folder: Path) -> None:
        out = folder / "out"
        decide(out, ("blur", FACE, {"position": 1, "box": DRAWN}))  # as if a library had found it, and another not
        assert apply(out).n_frames == 1
        assert DRAWN in blurred_faces(out, FACE, 1)

    def test_a_clip_that_was_drawn_in_waits_for_a_person_again(self, folder: Path) -> None:
        out = folder / "out"
        clip_id = "local_two_00000"
        assert clip_id not in read_progress(Store(out)).unfinished, "no face: it needs nobody"
        decide(out, ("draw", clip_id, {"position": 1, "box": (10.0, 10.0, 30.0, 30.0)}))
        apply(out)
        assert clip_id not in read_progress(Store(out)).unfinished
        sources = write_sources(
            folder / "sources.csv",
            [
                {"url": "face.mp4", "city": "Tokyo", "video_id": "face"},
                {"url": "two.mp4", "city": "Lyon", "end_s": 1.4},
            ],
        )
        assert cgtool_inline("build-dataset", sources, "--out", out, *SHORT).returncode == 0
        progress = read_progress(Store(out))
        assert clip_id in progress.unfinished
        decide(out, ("label", clip_id, {"value": "Osaka"}))
        assert clip_id in read_progress(Store(out)).unfinished, "a label says nothing of faces"
        decide(out, ("accept", clip_id, {"position": 1}))
        assert clip_id not in read_progress(Store(out)).unfinished


def test_the_version_rises_though_the_run_that_changed_frames_was_cut_off(folder: Path) -> None:
    out = folder / "out"
    decide(out, ("draw", FACE, {"position": 1, "box": DRAWN}))
    with pytest.MonkeyPatch.context() as patch:

        def cut_off(*_: object, **__: object) -> None:
            raise RuntimeError("power")

        patch.setattr("cityguessr_data.over_frames.apply_review._record", cut_off)
        with pytest.raises(RuntimeError):
            apply(out)
    assert json.loads((out / "dataset.json").read_text())["version"] == "0.1.0"
    assert apply(out).n_frames == 0
    assert json.loads((out / "dataset.json").read_text())["version"] == "0.2.0"
    assert "cut off" in (out / "CHANGELOG.md").read_text()
    apply(out)
    assert json.loads((out / "dataset.json").read_text())["version"] == "0.2.0"


class TestRefused:
    def test_decisions_about_another_data_set(self, folder: Path, tmp_path: Path) -> None:
        decide(folder / "out", ("accept", FACE, {"position": 0}))
        apply(folder / "out")
        other = tmp_path / "other"
        table_file = write_sources(tmp_path / "s.csv", [{"url": str(folder / "two.mp4"), "city": "Lyon"}])
        assert cgtool_inline("build-dataset", table_file, "--out", other, *SHORT).returncode == 0
        shutil.copy(folder / "out/manifests/decisions.parquet", other / "manifests")
        state = state_of(other / "clips")
        with pytest.raises(InputError, match="another data set"):
            apply(other)
        assert state_of(other / "clips") == state

    def test_while_a_review_is_open(self, folder: Path) -> None:
        with review_lock(Store(folder / "out")), pytest.raises(InputError, match="review"):
            apply(folder / "out")

    def test_a_city_that_nobody_knows(self, folder: Path) -> None:
        decide(folder / "out", ("label", FACE, {"value": "Atlantis"}))
        state = jpegs(folder / "out")
        with pytest.raises(InputError, match="Atlantis"):
            apply(folder / "out")
        assert jpegs(folder / "out") == state


def test_a_frame_that_was_changed_behind_its_back_stops_the_video_and_says_which(folder: Path) -> None:
    out = folder / "out"
    (folder / "face.mp4").unlink()
    path = out / frame_row(out, FACE, 1)["path"]
    path.write_bytes(path.read_bytes() + b"x")
    decide(out, ("draw", FACE, {"position": 1, "box": DRAWN}))
    result = apply(out)
    assert result.exit_code == 1
    assert [one.video_id for one in result.report.failed] == ["face"]
    assert path.name in result.report.failed[0].message


def test_imported_frames_are_made_from_their_originals(tmp_path: Path, detector_weights: Path) -> None:
    tree = face_source(tmp_path / "released", ["Tokyo_1"], clips=1)
    originals = state_of(tmp_path / "released")
    out = write_imported(tmp_path / "out", tree)
    with pytest.raises(InputError, match="anonymise"):
        apply(out)
    assert cgtool("anonymise", out, "--detector", "mobilenet0.25").returncode == 0
    (clip_id,) = {row["clip_id"] for row in table(out, "clips")}
    (box,) = blurred_faces(out, clip_id, 0)
    before = jpegs(out)
    decide(out, ("reject", clip_id, {"position": 0, "box": box}))
    result = apply(out)
    assert (result.n_frames, result.exit_code) == (1, 0)
    assert changed(before, jpegs(out)) == {frame_row(out, clip_id, 0)["path"]}
    first = np.asarray(Image.open(tmp_path / "released" / "Tokyo_1" / clip_id / "1.jpg")).astype(float)
    assert np.abs(picture(out, clip_id, 0) - first).mean() < 1
    assert state_of(tmp_path / "released") == originals
    whole(out)
    assert cgtool("anonymise", out, "--detector", "mobilenet0.25").returncode == 0
    assert np.abs(picture(out, clip_id, 0) - first).mean() < 1, "the same settings: nothing to do"


def test_a_unit_that_is_not_anonymised_yet_is_never_written(tmp_path: Path) -> None:
    """An `anonymise` that was interrupted has said how it blurs; the frames of its last units lie outside still."""
    blur = {"mode": "paper", "kernel_px": 63, "sigma_px": 21.0}
    tree = face_source(tmp_path / "src", ["a"], clips=1)
    out = write_imported(tmp_path / "out", tree, config={"anonymise": {"blur": blur}, "jpeg_quality": 95})
    assemble(Store(out))
    decide(out, *(("draw", "a_00007", {"position": position, "box": DRAWN}) for position in range(6)))
    result = apply(out)
    assert result.exit_code == 1 and "is not anonymised" in result.report.failed[0].message
    assert not [path for path in out.rglob("*") if path.suffix in (".jpg", ".tar")]
